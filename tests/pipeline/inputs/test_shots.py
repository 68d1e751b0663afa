"""What a run starts from, and the words that its models know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.stand_ins import STAGES, find, prompted

from visuals.checkpoints import atomic_files
from visuals.configs.errors import UsageError
from visuals.pipeline.images.write import encode_png
from visuals.pipeline.inputs import previous_run
from visuals.pipeline.inputs import shots as inputs
from visuals.pipeline.inputs.prompt_rows import PromptRow
from visuals.pipeline.inputs.prompt_rows import shots as shots_of_rows
from visuals.pipeline.prompts.model_vocabulary import (
    UnknownClassError,
    check_classes,
    unknown_words,
)
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.pipeline.runs import locate
from visuals.pipeline.runs.folder import RunFolder
from visuals.stages.stage import FunctionStage

KNOWN = {
    "classes": ["sneaker", "mug"],
    "synonyms": {"sneaker": ["shoe"], "mug": ["cup"]},
    "colours": ["red"],
    "materials": ["leather"],
    "scenes": ["wooden table"],
    "other": ["studio photography"],
}


def test_prompts_carry_class_and_a_seed_of_their_own() -> None:
    shots = inputs.prompted(["mug", "sneaker"], 2, prompt="a {class}, x", run_seed=5)
    assert [s.id for s in shots] == ["mug-0001", "mug-0002", "sneaker-0001", "sneaker-0002"]
    assert shots[2].source.prompt == "a sneaker, x"  # type: ignore[union-attr]
    more = inputs.prompted(["sneaker"], 9, prompt="other", run_seed=5)
    assert more[0].seed == shots[2].seed and len({s.seed for s in more}) == 9


def test_a_first_seed_counts_up_in_each_class() -> None:
    shots = inputs.prompted(["mug", "car"], 2, prompt="x", run_seed=5, first_seed=2**32 - 1)
    assert [s.seed for s in shots] == [2**32 - 1, 0, 2**32 - 1, 0]


def test_photos_keep_their_folders(tmp_path: Path) -> None:
    for name in ("a/x.png", "b/x.png", "b/x.jpg"):
        atomic_files.write(tmp_path / name, b"x")
    shots = inputs.photos([str(tmp_path)], ["mug"])
    assert sorted(s.id for s in shots) == ["a/x", "b/x_jpg", "b/x_png"]
    both = inputs.photos([str(tmp_path / "a"), str(tmp_path / "b")], ["mug"])
    assert len({s.id for s in both}) == 3


def test_nothing_to_work_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(inputs.InputError, match="holds no picture"):
        inputs.photos([str(tmp_path)], ["mug"])
    with pytest.raises(inputs.InputError, match="no file or folder"):
        inputs.photos([str(tmp_path / "none")], ["mug"])


def test_a_broken_file_fails_alone(tmp_path: Path) -> None:
    image = np.full((8, 8, 3), 200, np.uint8)
    atomic_files.write(tmp_path / "good.png", encode_png(image))
    atomic_files.write(tmp_path / "bad.png", b"no picture")
    shots = inputs.photos([str(tmp_path)], ["mug"])
    out = {s.id: s for s in run_shots(shots, Stages(load=inputs.load, detect=FunctionStage(find)))}
    assert out["good"].status == "kept" and out["bad"].status == "failed"
    assert inputs.first_error(shots) == ""
    assert "bad.png" in inputs.first_error([s for s in shots if s.id == "bad"])


def test_an_earlier_run_brings_its_masks(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    stages = Stages(generate=STAGES.generate, detect=STAGES.detect)
    for shot in run_shots([prompted("a", 2), prompted("b", 1)], stages):
        folder.record(shot)
    assert inputs.is_run_folder([str(folder.path)])
    (shot,) = inputs.from_run(folder.path, edit="red")
    assert (shot.id, shot.edit, shot.classes) == ("a", "red", ("mug",))
    (loaded,) = inputs.load([shot], previous_run.finder(folder.path))
    (found,) = loaded.detections
    assert found.mask is not None and found.mask.sum() == 16 and found.label == "mug"


def test_classes_in_the_models_own_words() -> None:
    assert check_classes(["Shoe", "sneaker", "CUP "], KNOWN, preset="mini") == ["sneaker", "mug"]
    assert check_classes(["toaster"], None, preset="sd15") == ["toaster"]


def test_an_unknown_class_names_the_nearest_those_known_and_the_preset_for_the_rest() -> None:
    with pytest.raises(UnknownClassError) as caught:
        check_classes(["sneakr"], KNOWN, preset="mini")
    said = str(caught.value)
    assert "'sneakr'; did you mean 'sneaker'?" in said
    assert "sneaker, mug" in said and "--preset sd15" in said


def test_unknown_words_of_a_prompt() -> None:
    text = "((red:1.2)) leather shoe on a wooden table, neon jungle <lora:zzz:1> tag, BREAK 8k"
    assert unknown_words(text, KNOWN, "tag, {class}") == ["neon", "jungle", "8k"]
    assert unknown_words(text, None) == []


@pytest.mark.parametrize("class_", ["m" * 260, "é" * 150, "a b/" * 90, "mug\x07"])
def test_ids_of_any_class_are_names_of_files(tmp_path: Path, class_: str) -> None:
    ids = [shot.id for shot in inputs.prompted([class_, f"{class_}x"], 2, prompt="{class}")]
    assert len(set(ids)) == 4
    for id_ in ids:
        (tmp_path / f"{id_}.control.png").touch()
        assert id_.isprintable()
    new = Path(locate.new_folder([class_]))
    (tmp_path / new.name).mkdir()
    assert new.parent == Path("runs")


@pytest.mark.parametrize(
    ("count", "classes", "rows"),
    [(10**29, [], 0), (10**12, ["mug"], 0), (600_000, ["mug", "car"], 0), (0, ["a", "b"], 6)],
)
def test_a_run_of_more_pictures_than_anyone_draws_is_refused(
    count: int, classes: list[str], rows: int
) -> None:
    row = PromptRow(line=1, count=100_000)
    with pytest.raises(UsageError, match="expected at most 1,000,000 in a run"):
        if rows:
            shots_of_rows([row] * rows, classes, prompt="")
        else:
            inputs.prompted(classes, count, prompt="")


def test_lines_of_an_earlier_run_without_a_picture_are_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    for shot in run_shots([prompted(name, 2) for name in "abc"], STAGES):
        folder.record(shot)
    path = folder.path / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[:2]:
        line["files"] = {}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    warnings: list[str] = []
    found = inputs.from_run(folder.path, warn=warnings.append)
    assert [shot.id for shot in found] == ["c"] and len(warnings) == 1
    assert "name no picture: a and 1 more" in warnings[0]


def test_shots_of_the_same_texts_are_checked_once() -> None:
    shots = inputs.prompted(["mug", "car"], 5_000, prompt="a {class}", prompts=("x", "y {class}"))
    assert [shot.source.prompt for shot in shots.distinct] == ["x", "y mug", "x", "y car"]
    variants = shots.with_edits(["red", "blue"])
    assert len(variants) == 20_000 and len(variants.distinct) == 8
    assert {shot.edit for shot in variants.distinct} == {"red", "blue"}
    drawn = shots[:6].changed(lambda shot: replace(shot, edit=str(shot.seed)))
    assert len(drawn.distinct) == 6  # each may be another
