"""Classes: phrases, look-alikes, thresholds; the boxes are those that the model is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visuals.checkpoints import load
from visuals.configs.detect import DetectOptions
from visuals.stages.classes import ClassSpec, competitors
from visuals.stages.detect import Detector
from visuals.stages.shot import Detection, FileInput, Shot
from visuals.stages.verify import Verifier

Boxes = list[tuple[tuple[float, float, float, float], float]]


class Told:
    """In place of the processor and the network of transformers: gives each phrase its boxes,
    as fractions x0, y0, x1, y1 of the picture with a score, in the network's own output format."""

    device = torch.device("cpu")
    config = SimpleNamespace(model_type="grounding-dino", num_queries=4, num_feature_levels=1)

    def __init__(self, **answers: Boxes) -> None:
        self.model = SimpleNamespace(backbone=Backbone())
        self.answers = {k.replace("_", " "): v for k, v in answers.items()}
        self.asked: list[str] = []

    def __call__(self, **inputs: Any) -> Any:
        if "text" not in inputs:
            return type("Output", (), inputs)
        phrase = inputs["text"][0].rstrip(".")
        self.asked.append(phrase)
        boxes = self.answers.get(phrase, [])
        corners = torch.tensor([b for b, _ in boxes], dtype=torch.float32).reshape(-1, 4)
        middle, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        scores = torch.tensor([s for _, s in boxes], dtype=torch.float32).reshape(-1, 1)
        count = len(inputs["text"])
        return Inputs(
            pixel_values=torch.zeros(count, 3, 32, 64),
            logits=torch.logit(scores)[None].repeat(count, 1, 1),
            pred_boxes=torch.cat([middle, size], 1)[None].repeat(count, 1, 1),
        )


class Backbone:
    """The network's look at a picture, of which `Told` has no need."""

    def forward(self, pixel_values: Any, pixel_mask: Any) -> Any:
        raise AssertionError("not asked")


class Inputs(dict[str, Any]):
    def to(self, device: str) -> Inputs:
        return self


LEFT, NEAR_LEFT, RIGHT = (0.1, 0.1, 0.4, 0.9), (0.1, 0.1, 0.42, 0.9), (0.6, 0.1, 0.9, 0.9)


def shot(*names: str) -> Shot:
    image = np.zeros((100, 200, 3), np.uint8)
    return Shot("a", FileInput("a.png", 1), names, image=image)


def detect(told: Told, *names: str, specs: list[ClassSpec] | None = None, **options: Any) -> Shot:
    classes = {spec.name: spec for spec in specs or []}
    return Detector(told, told, DetectOptions(**options), classes=classes)([shot(*names)])[0]


def test_each_phrase_is_asked_alone_and_boxes_of_one_thing_count_once() -> None:
    told = Told(running_shoe=[(LEFT, 0.5)], trainers=[(NEAR_LEFT, 0.7), (RIGHT, 0.4)])
    spec = ClassSpec("sneaker", phrases=("running shoe", "trainers"))
    done = detect(told, "sneaker", specs=[spec])
    assert told.asked == ["running shoe", "trainers"]
    assert [(d.label, round(d.score, 2)) for d in done.detections] == [
        ("sneaker", 0.7),
        ("sneaker", 0.4),
    ]
    assert done.detections[1].box_xyxy == pytest.approx((120, 10, 180, 90), abs=1e-3)


def test_a_better_look_alike_drops_the_box_and_the_reason_names_it() -> None:
    told = Told(sneaker=[(LEFT, 0.5), (RIGHT, 0.6)], boot=[(NEAR_LEFT, 0.8), (RIGHT, 0.3)])
    spec = ClassSpec("sneaker", reject=("boot", "sandal"))
    done = detect(told, "sneaker", specs=[spec])
    assert [round(d.score, 2) for d in done.detections] == [0.6]
    told.answers["sneaker"] = [(LEFT, 0.5)]
    refused = detect(told, "sneaker", specs=[spec])
    assert refused.reason is not None and refused.reason.code == "rejected"
    assert refused.reason.message == "'boot' fits better than 'sneaker' (0.80 over 0.50)"
    apart = detect(told, "sneaker", specs=[spec], nms_iou=0.99)
    assert len(apart.detections) == 1


def test_a_class_s_own_threshold_goes_over_the_detector_s() -> None:
    told = Told(sneaker=[(LEFT, 0.3)], mug=[(RIGHT, 0.4)])
    specs = [ClassSpec("sneaker", threshold=0.28), ClassSpec("mug", threshold=0.5)]
    done = detect(told, "sneaker", "mug", specs=specs)
    assert [d.label for d in done.detections] == ["sneaker"]
    low = detect(Told(), "mug", box_threshold=0.1, text_threshold=0.25)
    assert low.reason is not None and low.reason.message == (
        "no 'mug' above 0.25; best 0.00; below 0.25 detect.text_threshold decides"
    )
    both = detect(Told(), "sneaker", "mug", specs=specs)
    assert both.reason is not None and both.reason.message == (
        "no 'sneaker' above 0.28 (best 0.00), no 'mug' above 0.5 (best 0.00)"
    )


def test_across_classes_the_better_one_has_the_place() -> None:
    told = Told(mug=[(LEFT, 0.6), (RIGHT, 0.5)], bottle=[(NEAR_LEFT, 0.7)])
    done = detect(told, "mug", "bottle")
    assert [(d.label, round(d.score, 2)) for d in done.detections] == [
        ("bottle", 0.7),
        ("mug", 0.5),
    ]
    assert len(detect(told, "mug", "bottle", cross_class_iou=None).detections) == 3
    assert len(detect(told, "mug", "bottle", cross_class_iou=0.99).detections) == 3


def test_a_phrase_of_two_classes_is_asked_once() -> None:
    told = Told(boot=[(LEFT, 0.9)], sneaker=[(LEFT, 0.6)])
    done = detect(told, "sneaker", "boot", specs=[ClassSpec("sneaker", reject=("boot",))])
    assert sorted(told.asked) == ["boot", "sneaker"]
    assert [d.label for d in done.detections] == ["boot"]


@pytest.mark.parametrize("threshold", [0.3, 0.45, 0.65, 0.75])
def test_a_sweep_says_what_a_run_at_that_threshold_does(threshold: float) -> None:
    told = Told(
        sneaker=[(LEFT, 0.6), (NEAR_LEFT, 0.5), (RIGHT, 0.4)],
        boot=[(RIGHT, 0.45)],
        mug=[(NEAR_LEFT, 0.7)],
    )
    specs = {"sneaker": ClassSpec("sneaker", reject=("boot",))}
    detector = Detector(told, told, DetectOptions(box_threshold=threshold), classes=specs)
    (run,) = detector([shot("sneaker", "mug")])
    (swept,) = detector.sweep([shot("sneaker", "mug")])
    asked = {"sneaker": threshold, "mug": threshold}
    assert detector.passing(swept.detections, asked) == {d.label for d in run.detections}


def test_competitors_are_the_look_alikes_and_the_other_classes() -> None:
    sneaker = ClassSpec("sneaker", phrases=("running shoe",), reject=("boot", "mug"))
    asked = [sneaker, ClassSpec("mug"), ClassSpec("car", phrases=("automobile", "van"))]
    assert competitors(sneaker, asked) == ("boot", "mug", "automobile", "van")
    assert competitors(ClassSpec("car"), []) == ()


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"name": " "}, "empty phrase"),
        ({"name": "a", "reject": ("",)}, "empty phrase"),
        ({"name": "a", "threshold": 2}, "0 to 1"),
    ],
)
def test_specs_are_checked(values: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        ClassSpec(**values)


def seen(*labels: str) -> Shot:
    image = np.random.default_rng(2).integers(0, 256, (60, 90, 3), np.uint8)
    boxes = [(5.0, 5.0, 35.0, 55.0), (50.0, 10.0, 85.0, 50.0), (0.0, 0.0, 90.0, 2.0)]
    return Shot(
        "a",
        FileInput("a.png", 1),
        ("mug", "car"),
        image=image,
        detections=tuple(Detection(b, 0.9, n) for b, n in zip(boxes, labels, strict=False)),
    )


def test_the_second_look_is_recorded_and_drops_what_it_doubts(clip: Path) -> None:
    model, processor = load.load_verifier(clip)
    specs = {"mug": ClassSpec("mug", reject=("boot",))}
    (kept,) = Verifier(model, processor, classes=specs, threshold=0)([seen("mug", "car", "car")])
    scores = [d.verify_score for d in kept.detections]
    assert len(scores) == 3 and all(s is not None and 0 < s < 1 for s in scores)
    assert len(set(scores)) == 3
    (none,) = Verifier(model, processor, classes=specs, threshold=1)([seen("mug", "car")])
    assert none.reason is not None and none.reason.code == "not_verified"
    best = max(s for s in scores[:2] if s is not None)
    assert f"{best:.2f}" in none.reason.message
    assert none.detections[0].verify_score is not None
    middle = sorted(s for s in scores if s is not None)[1]
    (some,) = Verifier(model, processor, classes=specs, threshold=middle)(
        [seen("mug", "car", "car")]
    )
    assert len(some.detections) == 2 and some.metrics == {"dropped_not_verified": 1}


def test_scores_are_clip_s_own_zero_shot_probabilities(clip: Path) -> None:
    from PIL import Image
    from transformers import pipeline

    one = seen("mug")
    assert one.image is not None
    model, processor = load.load_verifier(clip)
    specs = {"mug": ClassSpec("mug", phrases=("mug", "cup"), reject=("boot",))}
    (done,) = Verifier(model, processor, classes=specs, threshold=0, padding=0)([one])
    reference = pipeline(
        "zero-shot-image-classification",
        model=model,
        tokenizer=processor.tokenizer,
        image_processor=processor.image_processor,
    )
    answers = reference(
        Image.fromarray(one.image[5:55, 0:50]),
        candidate_labels=["mug", "cup", "boot", "car"],
        hypothesis_template="a photo of a {}",
    )
    expected = sum(a["score"] for a in answers if a["label"] in ("mug", "cup"))
    assert done.detections[0].verify_score == pytest.approx(expected, abs=1e-5)


def test_a_class_alone_is_still_held_against_something(clip: Path) -> None:
    from dataclasses import replace

    model, processor = load.load_verifier(clip)
    alone = replace(seen("mug"), classes=("mug",))
    (done,) = Verifier(model, processor, threshold=0)([alone])
    score = done.detections[0].verify_score
    assert score is not None and 0 < score < 1
