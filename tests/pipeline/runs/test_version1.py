"""Run folders, settings and prompt tables of version 0.1.0 resume, replay and load as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from helpers.command_line import json_of
from PIL import Image

from visuals.configs.schema import check, load_settings
from visuals.pipeline.build.model_hashes import fingerprints
from visuals.pipeline.cli import main
from visuals.pipeline.images import provenance
from visuals.pipeline.reports.html import write_report
from visuals.pipeline.runs import run_yaml

pytestmark = pytest.mark.usefixtures("loaded_models")

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "version1"
RUNS = ("mugs", "found", "striped", "table")


@pytest.fixture
def old(tmp_path: Path, mini: Path, mini_is_trained: bool, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fixtures, the working folder, to which their absolute paths lead."""
    if not mini_is_trained:
        pytest.skip("the weights of the embedded models are not here")
    copy = tmp_path / "version1"
    shutil.copytree(FIXTURES, copy)
    for run in RUNS:
        path = copy / run / "run.yaml"
        path.write_text(path.read_text().replace("/version1", str(copy)))
    monkeypatch.chdir(copy)
    return copy


def lines(path: Path) -> dict[str, Any]:
    return {line["id"]: line for line in map(json.loads, path.read_text().splitlines())}


def same_models(run: Path) -> None:
    """Skip the test where the embedded models were trained anew after the fixtures were made."""
    record = run_yaml.read(run)
    now = fingerprints(check(record["settings"]), ["<lora:ppzmini:1>"])
    if {**now, **record["checkpoints"]} != now:
        pytest.skip("the embedded models have other weights than in version 0.1.0")


def same_picture(old: Path, new: Path, versions: dict[str, str]) -> None:
    """Assert that two pictures agree within 2 of 255, the tolerance that docs/runs.md states.

    Other libraries may round more pixels than that: there the mean difference is compared.
    """
    before, after = (np.asarray(Image.open(path).convert("RGB"), int) for path in (old, new))
    assert before.shape == after.shape
    apart = np.abs(before - after)
    now = run_yaml.versions()
    if all(now[name] == versions[name] for name in ("torch", "diffusers", "numpy")):
        assert apart.max() <= 2, (old.name, apart.max())
    assert apart.mean() <= 2, (old.name, apart.mean())


@pytest.mark.parametrize("run", RUNS)
def test_a_run_replays(run: str, old: Path, tmp_path: Path) -> None:
    same_models(old / run)
    again = tmp_path / "again"
    CliRunner().invoke(main, ["replay", str(old / run), "--out", str(again), "--json"])
    versions = run_yaml.read(old / run)["versions"]
    before, after = lines(old / run / "manifest.jsonl"), lines(again / "manifest.jsonl")
    assert list(before) == list(after) and before
    for id_, line in before.items():
        assert after[id_].keys() - line.keys() == {"run"} and not line.keys() - after[id_].keys()
        for key in ("status", "prompt", "prompts", "seed", "settings", "edit", "batch", "classes"):
            assert after[id_][key] == line[key], key
        for name in filter(None, line["files"].values()):
            same_picture(old / run / name, again / name, versions)


def test_a_picture_file_replays(old: Path, tmp_path: Path) -> None:
    """Pictures moved out of their run folder, by the record that they hold."""
    same_models(old / "striped")
    versions = run_yaml.read(old / "striped")["versions"]
    for name in ("mugs/images/mug-0001.png", "striped/images/04-teal-mug.png"):
        alone = tmp_path / Path(name).name
        shutil.copy(old / name, alone)
        out = tmp_path / f"{alone.stem}-again"
        photos = ("--photos", str(old / "photos")) if "striped" in name else ()
        CliRunner().invoke(main, ["replay", str(alone), *photos, "--out", str(out), "--json"])
        same_picture(alone, out / "images" / alone.name, versions)
        assert provenance.read(alone)["id"] == alone.stem


def test_an_interrupted_run_resumes(old: Path) -> None:
    same_models(old / "found")
    assert len(lines(old / "found" / "manifest.jsonl")) == 1
    done = json_of("resume", old / "found")
    assert (done["resumed"], done["total"], done["kept"]) == (1, 1, 1)
    now, before = lines(old / "found" / "manifest.jsonl"), lines(old / "found.jsonl")
    first, second = now.values()
    assert first == before["01-purple-sneaker"]
    expected = before["04-teal-mug"]
    for key in ("status", "seed", "classes", "batch", "files"):
        assert second[key] == expected[key]
    (found,), (wanted,) = second["detections"], expected["detections"]
    assert found["label"] == wanted["label"] and found["mask"] == wanted["mask"]
    assert found["score"] == pytest.approx(wanted["score"], abs=0.01)
    assert found["box_xyxy"] == pytest.approx(wanted["box_xyxy"], abs=1)
    assert found["mask_area"] == pytest.approx(wanted["mask_area"], rel=0.02)


@pytest.mark.parametrize("run", ["mugs", "striped", "table"])
def test_a_finished_run_has_nothing_left_to_do(run: str, old: Path) -> None:
    same_models(old / run)
    manifest = (old / run / "manifest.jsonl").read_bytes()
    done = json_of("resume", old / run)
    assert (done["total"], done["resumed"]) == (0, len(manifest.splitlines()))
    assert (old / run / "manifest.jsonl").read_bytes() == manifest


def test_the_same_command_continues_a_run(old: Path) -> None:
    """And another setting is refused by its name."""
    same_models(old / "mugs")
    command = ["generate", "--class", "mug", "--seed", 3, "--out", "mugs"]
    command += ["--prompt", "ppzmini, {class}, <lora:ppzmini:0.8>"]
    assert json_of(*command, "--count", 2)["resumed"] == 2
    result = CliRunner().invoke(
        main, [*map(str, command), "--count", "2", "--set", "generate.steps=3"]
    )
    assert result.exit_code == 2 and "generate.steps: 20 → 3" in result.stderr


def test_masks_of_a_run_are_used_again(old: Path, tmp_path: Path) -> None:
    same_models(old / "found")
    options = ["--class", "sneaker", "--set", "rerender.steps=2", "--prompt", "ppzmini, {class}"]
    done = json_of("enhance", old / "found", *options, "--out", tmp_path / "red")
    assert done["enhanced"] == 1
    (line,) = lines(tmp_path / "red" / "manifest.jsonl").values()
    assert line["detections"][0]["mask_area"] == 1273


def test_annotations_are_as_before(old: Path, tmp_path: Path) -> None:
    json_of("annotate", old / "striped", "--format", "coco,yolo,metadata", "--out", tmp_path / "a")
    coco, expected = (
        json.loads((folder / "coco.json").read_text())
        for folder in (tmp_path / "a", old / "annotations")
    )
    for key in ("images", "annotations", "categories"):
        assert coco[key] == expected[key]
    sizes = {Path(image["file_name"]).stem: image for image in coco["images"]}
    for name in ("01-purple-sneaker", "04-teal-mug"):
        size = sizes[name]["width"], sizes[name]["height"]
        made, before = (  # points of version 1 are half a pixel from its corner, not a quarter
            np.array((folder / "labels" / f"{name}.txt").read_text().split(), float)
            for folder in (tmp_path / "a" / "yolo", old / "annotations")
        )
        assert made[0] == before[0]
        points, expected_points = (np.floor(p[1:].reshape(-1, 2) * size) for p in (made, before))
        assert np.array_equal(points, expected_points)
    made = (tmp_path / "a" / "metadata" / "metadata.jsonl").read_text()
    assert made == (old / "annotations" / "metadata.jsonl").read_text()


@pytest.mark.parametrize("run", RUNS)
def test_a_report_is_written(run: str, old: Path) -> None:
    page = write_report(old / run).read_text(encoding="utf-8")
    records = lines(old / run / "manifest.jsonl")
    assert page.count("<article") == len(records) and all(id_ in page for id_ in records)
    assert page.count('alt=""') == sum(bool(r["files"]["result"]) for r in records.values())


CHANGED = (
    "generate.fuse_loras", "generate.width", "generate.height", "detect.box_threshold", "verify",
    "controls.depth.conditioning_scale",
)  # fmt: skip
"""Settings whose value in the preset `mini` is another one since."""


def test_a_settings_file_loads_as_before(old: Path) -> None:
    expected = yaml.safe_load((old / "settings.yaml").read_text())
    found = load_settings(str(old / "shop.yaml")).model_dump(mode="json")

    def compare(wanted: Any, value: Any, name: str) -> None:
        if isinstance(wanted, dict):
            for key in wanted:
                compare(wanted[key], value[key], f"{name}.{key}")
        elif name.removeprefix("settings.") not in CHANGED:
            assert value == wanted, name

    compare(expected, found, "settings")


def test_a_prompt_table_is_read_as_before(old: Path, tmp_path: Path) -> None:
    same_models(old / "table")
    command = ["generate", "--preset", "shop.yaml", "--prompts", "table.csv"]
    assert json_of(*command, "--out", "table")["resumed"] == 3
    json_of(*command, "--out", tmp_path / "again")
    before = lines(old / "table" / "manifest.jsonl")
    after = lines(tmp_path / "again" / "manifest.jsonl")
    for id_, line in before.items():
        changed = {key for key in line if line[key] != after[id_][key]}
        assert changed <= {"seconds"}, id_
