"""Shots and detections compare, hash, print and pickle by what they hold."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from visuals.stages.shot import Detection, FileInput, Prompted, Shot


def detection(**changes: object) -> Detection:
    mask = np.zeros((6, 8), bool)
    mask[1:3, 2:5] = True
    return replace(Detection((2.0, 1.0, 5.0, 3.0), 0.9, "mug", mask, mask_score=0.8), **changes)  # type: ignore[arg-type]


def shot(**changes: object) -> Shot:
    values = {
        "image": np.full((6, 8, 3), 7, np.uint8),
        "icc_profile": b"profile",
        "detections": (detection(),),
        "metrics": {"seam": 0.5},
    }
    return Shot("a", FileInput("a.png", 3), ("mug",), **(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [detection, shot])
def test_two_copies_are_equal_and_have_one_hash(make: object) -> None:
    one, two = make(), make()  # type: ignore[operator]
    assert one is not two and one == two and hash(one) == hash(two)
    assert len({one, two}) == 1 and {one: 1}[two] == 1
    assert pickle.loads(pickle.dumps(one)) == one


def test_anything_else_differs() -> None:
    mask = detection().mask
    assert mask is not None
    assert detection() != detection(mask=~mask) != detection(mask=None)
    assert detection() != detection(score=0.8) and detection() != "mug"
    image = np.zeros((6, 8, 3), np.uint8)
    for changes in ({"image": image}, {"image": None}, {"detections": ()}, {"metrics": {}}):
        assert shot() != shot(**changes)
    assert shot() != replace(shot(), detections=(detection(mask=~mask),))
    assert shot(batch=(shot(),)) == shot(batch=(shot(),)) != shot(batch=(shot(image=None),))


def test_they_print_without_their_arrays() -> None:
    assert repr(detection()) == (
        "Detection(box_xyxy=(2.0, 1.0, 5.0, 3.0), score=0.9, label='mug', mask=<bool 6x8>, "
        "mask_score=0.8)"
    )
    text = repr(shot(detections=()))
    assert "image=<uint8 6x8x3>, icc_profile=<7 bytes>, status='pending'" in text
    assert "result" not in text


def test_a_shot_names_its_file_or_its_prompt() -> None:
    assert (shot().path, shot().prompt) == ("a.png", None)
    drawn = Shot("b", Prompted("a mug", "", 1), ("mug",))
    assert (drawn.path, drawn.prompt) == (None, "a mug")


def test_a_detection_goes_to_supervision() -> None:
    supervision = pytest.importorskip("supervision")
    one = detection().to_supervision()
    assert one.xyxy.tolist() == [[2, 1, 5, 3]] and one.data["class_name"].tolist() == ["mug"]
    assert one.mask.shape == (1, 6, 8) and one.confidence[0] == pytest.approx(0.9)
    assert len(supervision.Detections.merge([one, one])) == 2
