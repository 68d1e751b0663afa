"""The built wheel holds the package, whole, and nothing else."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile

import pytest
from helpers import source

ROOT = source.ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The wheel's file list, built from the tracked and the not-yet-tracked files."""
    source = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


def test_one_name_and_its_metadata(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert sorted(t for t in tops if not t.endswith(".dist-info")) == ["visuals"]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_every_module_of_the_tree_ships(names: list[str]) -> None:
    expected = {"visuals/__init__.py", "visuals/__main__.py", "visuals/py.typed"}
    for part in source.FOLDERS:
        expected |= {f"visuals/{p.relative_to(ROOT)}" for p in (ROOT / part).rglob("*.py")}
    assert {n for n in names if n.endswith(".py")} == {n for n in expected if n.endswith(".py")}
    assert expected <= set(names)


def test_data_ships_and_nothing_of_the_workshop(names: list[str]) -> None:
    data = (".yaml", ".css", ".html", ".js", ".j2", ".json", ".gz", ".safetensors", ".jpg")
    expected = {
        f"visuals/{path.relative_to(ROOT)}"
        for part in source.FOLDERS
        for path in (ROOT / part).rglob("*")
        if path.suffix in data
    }
    assert expected <= set(names)
    for name in names:
        assert not name.startswith(("visuals/tests/", "visuals/docs/", "visuals/.")), name
        assert not name.endswith((".pyc", ".nbc", ".nbi", ".part")), name


def test_the_extras_are_of_this_distribution_and_in_the_readme() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    name = parser["metadata"]["name"]
    assert name == "product-visuals"  # on PyPI, visuals is another project
    table = (ROOT / "README.md").read_text("utf-8").split("| extra | for |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.M))))
    assert listed == set(parser["options.extras_require"])
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    pages += [path for part in source.FOLDERS for path in (ROOT / part).rglob("*.py")]
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r"(?<!product-)\bvisuals\[[a-z]", text.replace("_visuals[", "")), page
