"""Each family of detectors and segmenters, by the name in its config.json, on random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import family_models

from visuals.checkpoints import load
from visuals.checkpoints.identify import model_classes
from visuals.configs.detect import DetectOptions
from visuals.stages.detect import Detector
from visuals.stages.detection import backends
from visuals.stages.segment import Segmenter
from visuals.stages.shot import Detection, FileInput, Shot

HEIGHT, WIDTH = 60, 100


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """name → folder of a small model, written once."""
    written: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in written:
            written[name] = family_models.write(name, tmp_path_factory.mktemp(name) / "model")
        return written[name]

    return folder


def shot(seed: int = 0, *names: str) -> Shot:
    image = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return Shot(str(seed), FileInput("a.png", 1), names or ("mug",), image=image)


def boxes(found: Shot) -> np.ndarray:
    return np.array([(*d.box_xyxy, d.score) for d in found.detections])


@pytest.mark.parametrize("name", family_models.DETECTORS)
def test_boxes_lie_in_the_picture_and_do_not_depend_on_the_batch(folders: Any, name: str) -> None:
    model, processor = load.load_detector(folders(name))
    detect = Detector(model, processor, DetectOptions(box_threshold=0.0, text_threshold=0.0))
    both = detect([shot(0), shot(1)])
    for k, found in enumerate(both):
        assert found.status != "failed", found.failure
        assert found.detections and {d.label for d in found.detections} == {"mug"}
        inside = boxes(found)
        assert (inside[:, :2] >= 0).all() and (inside[:, 2:4] <= (WIDTH, HEIGHT)).all()
        assert ((inside[:, 4] > 0) & (inside[:, 4] <= 1)).all()
        assert np.allclose(boxes(detect([shot(k)])[0]), inside, atol=1e-2)


@pytest.mark.parametrize("name", family_models.DETECTORS)
def test_a_threshold_above_the_best_score_skips_with_that_score(folders: Any, name: str) -> None:
    model, processor = load.load_detector(folders(name))
    answer = backends.ask(model, processor, [shot().image], "mug")[0]  # type: ignore[list-item]
    best = float(answer.scores.max())
    skipped = Detector(model, processor, DetectOptions(box_threshold=1.0))([shot()])[0]
    assert skipped.reason is not None and skipped.reason.code == "no_detection"
    assert skipped.reason.message == f"no 'mug' above 1; best {best:.2f}"


def test_a_text_threshold_counts_only_where_words_are_scored(folders: Any) -> None:
    for name, floor in (("mm-grounding-dino", 0.9), ("owlv2", 0.1), ("sam3", 0.1)):
        model, processor = load.load_detector(folders(name))
        detect = Detector(model, processor, DetectOptions(box_threshold=0.1, text_threshold=0.9))
        assert detect.threshold("mug") == floor


@torch.inference_mode()
def test_owlv2_s_boxes_relate_to_the_picture_padded_to_a_square(folders: Any) -> None:
    model, processor = load.load_detector(folders("owlv2"))
    model.box_bias = torch.zeros_like(model.box_bias)
    model.box_head.dense2.weight.zero_()
    model.box_head.dense2.bias.copy_(torch.logit(torch.tensor([0.5, 0.3, 0.2, 0.4])))
    found = Detector(model, processor, DetectOptions(box_threshold=0.0))([shot()])[0]
    assert [d.box_xyxy for d in found.detections] == [pytest.approx((40, 10, 60, 50), abs=0.01)]


def test_sam_3_masks_what_it_finds_and_the_segmenter_hands_its_masks_on(folders: Any) -> None:
    model, processor = load.load_detector(folders("sam3"))
    found = Detector(model, processor, DetectOptions(box_threshold=0.0))([shot(0), shot(1)])
    for k, each in enumerate(found):
        inputs = processor(images=[shot(k).image], text=["mug"], return_tensors="pt")
        with torch.inference_mode():
            out = model(**{n: inputs[n] for n in ("pixel_values", "input_ids", "attention_mask")})
        own = processor.post_process_instance_segmentation(
            out, threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
        )[0]
        for d in each.detections:
            query = int((own["scores"] - d.score).abs().argmin())
            assert d.mask is not None and d.mask.shape == (HEIGHT, WIDTH) and d.mask.dtype == bool
            assert (d.mask == own["masks"][query].bool().numpy()).mean() > 0.999
    done = Segmenter(None, None, min_ratio=0.0)(found)
    for before, after in zip(found, done, strict=True):
        assert after.status == before.status and after.detections == before.detections
    boxed = replace(shot(), detections=(Detection((5.0, 5.0, 50.0, 50.0), 0.9, "mug"),))
    failed = Segmenter(None, None)([boxed])[0]
    assert failed.failure is not None and "segment.model" in failed.failure.message


@pytest.mark.parametrize("name", family_models.SEGMENTERS)
@pytest.mark.parametrize("crop_padding", [None, 0.2])
def test_masks_have_the_picture_s_size_and_lie_at_their_boxes(
    folders: Any, name: str, crop_padding: float | None
) -> None:
    model, processor = load.load_segmenter(folders(name))
    segment = Segmenter(model, processor, min_ratio=0.0, crop_padding=crop_padding)
    left = Detection((4.0, 6.0, 40.0, 50.0), 0.9, "mug")
    right = Detection((60.0, 10.0, 96.0, 58.0), 0.8, "mug")
    two, one = replace(shot(0), detections=(left, right)), replace(shot(1), detections=(right,))
    both = segment([two, one])
    assert [len(s.detections) for s in both] == [2, 1], both
    for d in (*both[0].detections, *both[1].detections):
        assert d.mask is not None and d.mask.shape == (HEIGHT, WIDTH) and d.mask.dtype == bool
        assert d.mask_score is not None
        rows, columns = np.nonzero(d.mask)
        x0, y0, x1, y1 = d.box_xyxy
        assert not len(rows) or (rows.min() >= y0 - 3 and rows.max() <= y1 + 3)
        assert not len(columns) or (columns.min() >= x0 - 3 and columns.max() <= x1 + 3)
    alone = segment([one])[0].detections[0]
    again = both[1].detections[0]
    assert alone.mask is not None and again.mask is not None
    assert (alone.mask == again.mask).mean() > 0.999


@torch.inference_mode()
@pytest.mark.parametrize("name", family_models.SEGMENTERS)
def test_a_decoder_that_says_yes_everywhere_fills_the_box(folders: Any, name: str) -> None:
    model, processor = load.load_segmenter(folders(name))
    decoder = model.mask_decoder
    decoder.upscale_conv2.weight.zero_()
    decoder.upscale_conv2.bias.fill_(1.0)
    for parameter in decoder.named_parameters():
        if "hf_" in parameter[0] or "conv_s0" in parameter[0] or "mask_feature" in parameter[0]:
            parameter[1].zero_()
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.proj_out.weight.zero_()
        mlp.proj_out.bias.fill_(1.0)
    box = replace(shot(), detections=(Detection((20.0, 10.0, 80.0, 50.0), 0.9, "mug"),))
    mask = Segmenter(model, processor, box_margin=0.0)([box])[0].detections[0].mask
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[10:50, 20:80] = True
    assert mask is not None and (mask == expected).all()


def test_another_kind_of_model_is_refused_with_the_kinds_that_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "yolos"}))
    with pytest.raises(
        model_classes.UnsupportedModelError, match="'yolos'; expected one of grounding-dino"
    ):
        load.load_detector(tmp_path)
    with pytest.raises(model_classes.UnsupportedModelError, match=r"no segmenter.*sam2"):
        load.load_segmenter(tmp_path)
    with pytest.raises(backends.UnknownDetectorError, match="is no known detector"):
        Detector(object(), object())


def test_a_run_with_sam_3_loads_no_segmenter(folders: Any) -> None:
    from visuals.configs.schema import load_settings
    from visuals.pipeline.build.stages import build_stages

    settings = load_settings(
        "mini", {"detect.model": str(folders("sam3")), "segment.model": "not-there"}
    )
    segment: Any = build_stages(settings, ("detect", "segment")).segment
    assert isinstance(segment, Segmenter) and segment.model is None
