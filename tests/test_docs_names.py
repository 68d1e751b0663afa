"""The page for kohya's users names every other name of a setting; pages link to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import source

from visuals.configs.train import ALIASES, TrainSettings

DOCS = source.ROOT / "docs"
PAGES = [source.ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
OF_DIFFUSERS = {
    "lora_layers", "optimizer", "proportion_empty_prompts", "validation_prompt", "gradient_clip",
}  # fmt: skip
"""Other names that are not of kohya's scripts."""


def test_every_other_name_of_a_setting_is_on_the_page() -> None:
    page = (DOCS / "from-kohya.md").read_text("utf-8")
    rows = page.split("here, both are taken |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[re.findall(r"`(\w+)[`:]", cell) for cell in row.split("|")[1:3]] for row in rows]
    named: dict[str, str] = {}
    for theirs, ours in cells:
        named |= dict(zip(theirs, ours if len(ours) > 1 else ours * len(theirs), strict=True))
    own = {name for name in named if name == named[name]} | {"use_8bit_adam"}
    assert {k: v for k, v in named.items() if k not in own} == {
        k: v for k, v in ALIASES.items() if k not in OF_DIFFUSERS
    }
    assert set(named.values()) <= set(TrainSettings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_to_pages_sections_and_pictures(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, section = target.partition("#")
        file = page.parent / name if name else page
        assert file.is_file(), target
        if section:
            heads = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert section in slugs, target
