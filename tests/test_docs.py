"""Every command in the README and in docs/ runs, page after page in one folder, with few steps."""

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
    "grid": ["generate.steps=2"],
}
PHOTOS = ("01", "02", "03", "04", "06", "12", "15", "19")
"""Of samples/photos: the classes that the pages ask for, two products in one, and none."""
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


def files(page: Path) -> list[tuple[str, str]]:
    """Name and text of each file of a page: a block that begins with `# name.yaml`."""
    return re.findall(r"```\w+\n# (\S+\.\w+)\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    """The reader's folder, with what the pages speak of: photos, a run that kept some of them, and
    `my-clip`, the folder of a CLIP."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "photos").mkdir()
    for photo in (ROOT / "samples" / "photos").iterdir():
        if photo.name[:2] in PHOTOS:
            shutil.copy(photo, folder / "photos")
    shutil.copytree(clip, folder / "my-clip")
    names = ["photos", "--class", "mug", "--class", "car", "--out", "runs/that-run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(main, ["filter", *names])
    assert result.exit_code == 0, result.output
    return folder


def test_the_pages_hold_commands() -> None:
    assert {len(commands(page)) > 1 for page in PAGES} == {True}


def test_no_two_pages_write_to_one_place() -> None:
    pages: dict[str, set[str]] = {}
    for page in PAGES:
        lines = [shlex.split(line) for line in commands(page)]
        outs = [args[args.index("--out") + 1] for args in lines if "--out" in args]
        for name in (*outs, *(name for name, _ in files(page))):
            pages.setdefault(name, set()).add(page.stem)
    assert {name: found for name, found in pages.items() if len(found) > 1} == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_the_commands_of_a_page_run_in_order(
    page: Path, place: Path, mini_is_trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder where those of the pages before it ran."""
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    for name, text in files(page):
        (place / name).write_text(text)
    monkeypatch.chdir(place)
    for line in commands(page):
        args = shlex.split(line)[1:]
        if args[0] in ELSEWHERE:
            args = [*args, "--help"]
        for change in STEPS.get(args[0], []):
            args[1:1] = ["--set", change]
        result = CliRunner().invoke(main, args)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
