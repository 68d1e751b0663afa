"""The second look: what is in doubt is seen again in a close-up, what is sure is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visuals.checkpoints import load
from visuals.configs.detect import DetectOptions
from visuals.samples import varied
from visuals.stages.detect import Detector
from visuals.stages.detection import close_ups
from visuals.stages.detection.backends import RawDetections
from visuals.stages.regions.boxes import iou
from visuals.stages.shot import FileInput, Shot


def answer(*found: tuple[list[float], float]) -> RawDetections:
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    return RawDetections(boxes, np.array([score for _, score in found], np.float32))


def test_each_thing_in_doubt_is_one_view() -> None:
    found = answer(
        ([10, 10, 50, 50], 0.6),
        ([11, 10, 50, 52], 0.5),  # the same thing
        ([100, 10, 140, 50], 0.95),
        ([100, 10, 140, 52], 0.7),  # of a thing that is sure
        ([200, 10, 240, 50], 0.1),
    )
    (view,) = close_ups.views([{"mug": found}])
    assert (view.picture, view.phrase) == (0, "mug")
    assert view.queries.tolist() == [0, 1]
    assert view.box.tolist() == [10, 10, 50, 50]


def test_a_look_is_the_mean_of_its_close_ups_and_brings_the_closest_box() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    view = close_ups.View(0, "mug", np.array([100, 80, 140, 120], np.float32), np.array([0]))

    def ask(close: np.ndarray) -> RawDetections:
        side = close.shape[0]
        inset = (side - 44) / 2  # a box of 44 px in the middle, and another elsewhere
        middle = [inset, inset, side - inset, side - inset]
        return answer((middle, 0.9 if side > 70 else 0.7), ([0, 0, 9, 9], 1.0))

    shown = close_ups.close_ups(image, view, (0.25, 0.6))
    assert [close.image.shape for close in shown] == [(88, 88, 3), (60, 60, 3)]
    score, box = close_ups.look(view, [(close, ask(close.image)) for close in shown])
    assert score == pytest.approx(0.8)
    np.testing.assert_allclose(box, [98, 78, 142, 122], atol=0.6)


def test_what_no_close_up_shows_loses_half_of_its_score() -> None:
    first = [{"mug": answer(([10, 10, 50, 50], 0.6), ([90, 10, 130, 50], 0.9))}]
    (view,) = close_ups.views(first)
    image = np.zeros((100, 200, 3), np.uint8)
    shown = close_ups.close_ups(image, view, (0.5,))
    score, box = close_ups.look(view, [(close, answer()) for close in shown])
    assert score == 0
    (after,) = close_ups.taken_in(first, [(view, score, box)])
    np.testing.assert_allclose(after["mug"].scores, [0.3, 0.9])
    assert after["mug"].boxes.tolist() == first[0]["mug"].boxes.tolist()
    assert first[0]["mug"].scores[0] == np.float32(0.6), "what was said stays"


@pytest.mark.usefixtures("renderer")
def test_a_small_product_is_seen_better_close_up(mini: Path) -> None:
    """Renders with four products, of seeds that no training saw: the best boxes in doubt."""
    model, processor = load.load_detector("mini/grounding-dino")
    gains, sure = [], 0
    for seed in range(5):
        render = varied.render(2_700_000 + seed, 512, products=4)
        labels = tuple(sorted({p["label"] for p in render.meta["products"]}))
        shot = Shot(f"{seed}", FileInput("a.png", 0), labels, image=render.image)
        once = Detector(model, processor).sweep([shot])[0].detections
        twice = (
            Detector(model, processor, DetectOptions(second_look=(0.25, 0.6)))
            .sweep([shot])[0]
            .detections
        )
        for product in render.meta["products"]:
            before, after = (best(found, product) for found in (once, twice))
            sure += before > close_ups.IN_DOUBT[1]
            if before > close_ups.IN_DOUBT[1]:
                assert after == pytest.approx(before, abs=1e-4)
            else:
                gains.append(after - before)
    assert sure and gains and np.mean(gains) > 0


def best(found: tuple[object, ...], product: dict[str, object]) -> float:
    box = np.array(product["box_xyxy"], np.float32)
    mine = [d for d in found if d.label == product["label"]]  # type: ignore[attr-defined]
    boxes = np.array([d.box_xyxy for d in mine], np.float32).reshape(-1, 4)
    scores = np.array([d.score for d in mine], np.float32)
    return float(scores[iou(boxes, box[None])[:, 0] >= 0.5].max(initial=0))


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [0, 0, 300, 100], [299, 99, 300, 100]])
def test_boxes_at_the_edges_have_close_ups(box: list[float]) -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    view = close_ups.View(0, "mug", np.array(box, np.float32), np.array([0]))

    shown = close_ups.close_ups(image, view, (0.0, 0.25, 4.0))
    assert all(min(close.image.shape[:2]) >= 1 for close in shown)
    assert close_ups.look(view, [(close, answer()) for close in shown])[0] == 0


@pytest.mark.usefixtures("renderer")
def test_close_ups_that_go_together_are_seen_as_one_by_one() -> None:
    """Squares of several sizes in one batch, and one that the picture's edges made narrow."""
    model, processor = load.load_detector("mini/grounding-dino")
    render = varied.render(2_700_000, 512, products=4)
    labels = tuple(sorted({p["label"] for p in render.meta["products"]}))
    shot = Shot("a", FileInput("a.png", 0), labels, image=render.image)
    narrow = Shot("b", FileInput("b.png", 0), labels, image=render.image[:, 150:300].copy())
    for one in (shot, narrow):
        found = [
            Detector(
                model, processor, DetectOptions(second_look=(0.25, 4.0), batch_size=size)
            ).sweep([one])[0]
            for size in (1, 16)
        ]
        alone, together = ({d.box_xyxy: d for d in f.detections} for f in found)
        assert len(alone) == len(together) > 10
        boxes, others = (np.array(sorted(f)) for f in (alone, together))
        np.testing.assert_allclose(boxes, others, atol=0.05)
        scores = [sorted(d.score for d in f.values()) for f in (alone, together)]
        np.testing.assert_allclose(*scores, atol=1e-3)
