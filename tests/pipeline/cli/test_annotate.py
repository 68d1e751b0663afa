"""`--annotate`, `visuals annotate` and `--prompt-file` from the command line, on the models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from helpers.command_line import EVERYTHING, json_of
from pycocotools.coco import COCO

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.usefixtures("loaded_models")

FAST = ("--set", "generate.steps=2", "--set", "rerender.steps=3")
DOCS = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"


@pytest.fixture(autouse=True)
def models(mini: Path) -> Path:
    return mini


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def lines_of(folder: str | Path) -> list[dict[str, Any]]:
    text = (Path(folder) / "manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def dataset(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two drawn, annotated pictures of a class, as the docs make five hundred."""
    place = tmp_path_factory.mktemp("dataset")
    roads = place / "roads.txt"
    roads.write_text("# two roads\na red {class} on a wooden table\n\na blue {class}, studio\n")
    return json_of(
        "run", "--class", "car", "--count", "3", "--prompt-file", str(roads),
        "--annotate", "coco,yolo", "--out", str(place / "cars"), *FAST, *EVERYTHING,
    )  # fmt: skip


def check_coco(folder: Path, path: str) -> int:
    """Every instance of the manifest is in the file, pixel for pixel; how many there are."""
    api = COCO(path)
    compared = 0
    for image in api.loadImgs(api.getImgIds()):
        (line,) = (
            line
            for line in lines_of(folder)
            if image["file_name"] in (line["files"]["result"], line["files"]["source"])
        )
        marked = api.imgToAnns[image["id"]]
        assert len(marked) == len(line["detections"]) and line["status"] in ("kept", "enhanced")
        for annotation, found in zip(marked, line["detections"], strict=True):
            mask = read_image(folder / found["mask"]).rgb[..., 0] > 127
            assert np.array_equal(api.annToMask(annotation) > 0, mask)
            assert annotation["area"] == found["mask_area"] == mask.sum()
            assert annotation["score"] == found["score"]
            compared += 1
    return compared


def test_a_run_becomes_a_dataset(dataset: dict[str, Any]) -> None:
    folder = Path(dataset["folder"])
    assert dataset["annotations"] == {
        "coco": str(folder / "annotations" / "coco.json"),
        "yolo": str(folder / "annotations" / "yolo"),
    }
    assert dataset["annotation_errors"] == []
    assert check_coco(folder, dataset["annotations"]["coco"]) >= dataset["enhanced"] >= 1
    api = COCO(dataset["annotations"]["coco"])
    for image in api.dataset["images"]:
        assert image["file_name"].startswith("images/")
        assert read_image(folder / image["file_name"]).rgb.shape[1] == image["width"]


def test_prompts_of_a_file_take_turns(dataset: dict[str, Any]) -> None:
    prompts = [
        line["prompt"] for line in sorted(lines_of(dataset["folder"]), key=lambda x: x["id"])
    ]
    assert prompts == [
        "a red car on a wooden table", "a blue car, studio", "a red car on a wooden table",
    ]  # fmt: skip


def test_going_on_with_other_prompts_is_refused(dataset: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("a green {class}\n")
    result = invoke(
        "run", "--class", "car", "--count", "3", "--prompt-file", str(tmp_path / "other.txt"),
        "--out", dataset["folder"], *FAST, *EVERYTHING,
    )  # fmt: skip
    assert result.exit_code == 2 and "request.prompts" in result.stderr


def test_annotating_a_run_that_is_there(dataset: dict[str, Any], tmp_path: Path) -> None:
    result = invoke(
        "annotate", dataset["folder"], "--format", "coco", "--format", "voc,masks",
        "--polygons", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = dict(line.split() for line in result.stdout.splitlines())
    assert said == {
        "coco": str(tmp_path / "out" / "coco.json"),
        "voc": str(tmp_path / "out" / "voc"),
        "masks": str(tmp_path / "out" / "masks"),
    }
    assert check_coco(Path(dataset["folder"]), said["coco"]) >= 1
    assert isinstance(
        json.loads(Path(said["coco"]).read_text())["annotations"][0]["segmentation"], list
    )


def test_filter_annotates_and_enhance_takes_each_mask(dataset: dict[str, Any]) -> None:
    place = Path(dataset["folder"]).parent
    kept = json_of(
        "filter", dataset["folder"], "--class", "car", "--class", "mug", "--annotate", "coco",
        "--out", str(place / "kept"), *EVERYTHING,
    )  # fmt: skip
    assert check_coco(place / "kept", kept["annotations"]["coco"]) >= 1
    record = json_of(
        "enhance", str(place / "kept"), "--annotate", "metadata", "--edit", "blue",
        "--out", str(place / "blue"), *FAST,
    )  # fmt: skip
    before = {line["id"]: line for line in lines_of(place / "kept")}
    compared = 0
    for line in lines_of(place / "blue"):
        for new, old in zip(line["detections"], before[line["id"]]["detections"], strict=True):
            masks = [
                read_image(place / where / found["mask"]).rgb
                for where, found in (("blue", new), ("kept", old))
            ]
            assert np.array_equal(*masks)
            compared += 1
    assert compared >= 1
    rows = Path(record["annotations"]["metadata"], "metadata.jsonl").read_text().splitlines()
    assert len(rows) == record["enhanced"] and "blue" in json.loads(rows[0])["text"]


def test_a_run_that_keeps_nothing_says_so(tmp_path: Path) -> None:
    result = invoke(
        "run", "--class", "mug", "--count", "1", "--retries", "0", "--box-threshold", "1",
        "--annotate", "coco", "--out", str(tmp_path / "o"), *FAST,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "no annotations" in result.stderr and "kept no picture" in result.stderr
    assert not (tmp_path / "o" / "annotations").exists()


def test_the_closing_lines_name_the_files(tmp_path: Path) -> None:
    result = invoke(
        "generate", "--class", "mug", "--count", "1", "--annotate", "metadata",
        "--out", str(tmp_path / "o"), *FAST,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["pictures", str(tmp_path / "o" / "images")],
        ["metadata", str(tmp_path / "o" / "annotations" / "metadata")],
        ["report", str(tmp_path / "o" / "report.html")],
    ]


def test_a_missing_library_names_its_extra(dataset: dict[str, Any]) -> None:
    code = (
        "import sys\n"
        "sys.modules['pycocotools'] = None\n"
        "from visuals.pipeline.cli import main\n"
        f"main(['annotate', {dataset['folder']!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "visuals: pycocotools is not installed; pip install 'product-visuals[annotate]'"
    ]


def test_the_python_of_the_docs_works(
    dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its shell commands run in tests/test_docs.py."""
    shutil.copytree(dataset["folder"], tmp_path / "cars")
    monkeypatch.chdir(tmp_path)
    text = DOCS.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        if "datasets" not in block:  # not among the libraries that tests need
            exec(compile(block, str(DOCS), "exec"), {})
