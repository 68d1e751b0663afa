"""A mask for each instance: written by the run folder, read back by what goes on from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from visuals.pipeline.images.read import read_image
from visuals.pipeline.inputs import previous_run
from visuals.pipeline.inputs import shots as inputs
from visuals.pipeline.runs.folder import NAME, RunFolder, read_lines
from visuals.stages.shot import Detection, FileInput, Shot


def shot_with(*masks: np.ndarray | None, name: str = "a") -> Shot:
    height, width = next(m.shape for m in masks if m is not None)
    found = tuple(
        Detection((0, 0, width, height), 0.5, "mug", mask=mask, mask_score=0.25) for mask in masks
    )
    image = np.zeros((height, width, 3), np.uint8)
    source = FileInput("x.png", 1)
    return Shot(name, source, ("mug",), image=image, detections=found, status="kept")


def recorded(path: Path, *shots: Shot) -> RunFolder:
    folder = RunFolder(path, request={}, settings={})
    for shot in shots:
        folder.record(shot)
    return folder


def square(y: int, x: int, size: int = 4) -> np.ndarray:
    mask = np.zeros((8, 12), bool)
    mask[y : y + size, x : x + size] = True
    return mask


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=array_shapes(min_dims=2, max_dims=2, max_side=9))
def test_masks_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shape: tuple[int, int]
) -> None:
    masks = data.draw(st.lists(arrays(bool, shape), min_size=1, max_size=5))
    path = tmp_path_factory.mktemp("run")
    recorded(path, shot_with(*masks))
    found = previous_run.finder(path)("a")
    assert len(found) == len(masks)
    for detection, mask in zip(found, masks, strict=True):
        assert detection.mask is not None and np.array_equal(detection.mask, mask)


def test_overlapping_products_keep_their_own_pixels(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", shot_with(square(0, 0), square(2, 2)))
    (line,) = read_lines(folder.path)
    names = [found["mask"] for found in line["detections"]]
    assert names == ["instances/a.1.png", "instances/a.2.png"]
    union = read_image(folder.path / line["files"]["mask"]).rgb[..., 0] > 127
    assert union.sum() == 16 + 16 - 4
    # Both boxes are the whole picture: cut from the union, each would have all 28 pixels.
    assert [found["mask_area"] for found in line["detections"]] == [16, 16]
    (shot,) = inputs.load(inputs.from_run(folder.path), previous_run.finder(folder.path))
    assert [d.mask.sum() for d in shot.detections if d.mask is not None] == [16, 16]


def test_one_product_has_no_second_file(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", shot_with(square(1, 1)))
    (line,) = read_lines(folder.path)
    assert line["detections"][0]["mask"] == line["files"]["mask"] == "masks/a.png"
    assert not (folder.path / "instances").exists()


def test_a_shot_named_like_an_instance_keeps_its_mask(tmp_path: Path) -> None:
    first, second, third = square(0, 0), square(3, 3), square(4, 8)
    folder = recorded(tmp_path / "run", shot_with(first, second), shot_with(third, name="a.2"))
    find = previous_run.finder(folder.path)
    assert np.array_equal(find("a")[1].mask, second)
    assert np.array_equal(find("a.2")[0].mask, third)


def test_an_instance_without_a_mask(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", shot_with(None, square(0, 0)))
    found = previous_run.finder(folder.path)("a")
    assert found[0].mask is None and np.array_equal(found[1].mask, square(0, 0))
    bare = replace(shot_with(square(0, 0)), detections=(Detection((0, 0, 2, 2), 0.5, "mug"),))
    assert previous_run.finder(recorded(tmp_path / "bare", bare).path)("a") == ()


def test_an_older_run_folder_still_works(tmp_path: Path) -> None:
    left, right = square(0, 0), square(4, 8)
    folder = recorded(tmp_path / "run", shot_with(left, right)).path
    (line,) = read_lines(folder)
    boxes = [[0, 0, 4, 4], [8, 4, 12, 8]]
    for found, box in zip(line["detections"], boxes, strict=True):
        del found["mask"]
        found["box_xyxy"] = box
    (folder / NAME).write_text(json.dumps(line) + "\n")
    found = previous_run.finder(folder)("a")
    assert np.array_equal(found[0].mask, left) and np.array_equal(found[1].mask, right)


def test_a_lost_mask_fails_its_shot_only(tmp_path: Path) -> None:
    folder = recorded(
        tmp_path / "run",
        shot_with(square(0, 0), square(2, 2)),
        shot_with(square(0, 0), square(4, 4), name="b"),
    ).path
    (folder / "instances" / "a.2.png").unlink()
    shots = inputs.load(inputs.from_run(folder), previous_run.finder(folder))
    assert [shot.status for shot in shots] == ["failed", "pending"]
    assert shots[0].failure is not None and "a.2.png: no such file" in shots[0].failure.message
