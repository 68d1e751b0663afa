"""Every command in the README and in docs/ runs, page by page, in order, with few steps."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from visuals.pipeline.cli import main

pytestmark = pytest.mark.usefixtures("loaded_models")

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "python.md")  # its examples are Python: see test_docs_python
STEPS = {
    "run": ["generate.steps=2", "rerender.steps=2"],
    "generate": ["generate.steps=2"],
    "enhance": ["rerender.steps=2"],
}
PHOTOS = ("01", "02", "03", "04", "05", "06", "12", "15", "17", "19", "20")
"""Of samples/photos: each class, two products in one, and none."""
ELSEWHERE = {"bench", "ui"}
"""Groups whose commands take minutes or a browser: their own tests run them."""


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks that begin with `visuals`, without their comments."""
    found = []
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().startswith("visuals "):
                found.append(line.split("  #")[0].strip())
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages speak of: a folder of photos and a run that kept some of them."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "photos").mkdir()
    for photo in (ROOT / "samples" / "photos").iterdir():
        if photo.name[:2] in PHOTOS:
            shutil.copy(photo, folder / "photos")
    names = ["photos", "--class", "mug", "--class", "car", "--out", "runs/that-run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(main, ["filter", *names])
    assert result.exit_code == 0, result.output
    return folder


def test_the_pages_hold_commands() -> None:
    assert {len(commands(page)) > 1 for page in PAGES} == {True}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_commands_of_a_page_run_in_order(
    page: Path,
    place: Path,
    clip: Path,
    mini_is_trained: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A YAML block that begins with `# name.yaml` is that file; `my-clip` is a CLIP's folder."""
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    here = tmp_path / "here"
    shutil.copytree(place, here)
    shutil.copytree(clip, here / "my-clip")
    for name, block in re.findall(r"```\w+\n# (\S+\.\w+)\n(.*?)```", page.read_text(), re.DOTALL):
        (here / name).write_text(block)
    monkeypatch.chdir(here)
    for line in commands(page):
        args = shlex.split(line)[1:]
        if args[0] in ELSEWHERE:
            args = [*args, "--help"]
        for change in STEPS.get(args[0], []):
            args[1:1] = ["--set", change]
        result = CliRunner().invoke(main, args)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
