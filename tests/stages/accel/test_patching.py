"""Patches go in and out, and never onto a method that they were not written for."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import asked, calls, noise

from visuals.checkpoints import load
from visuals.configs.schema import load_settings
from visuals.pipeline.build.stages import build_stages
from visuals.stages.accel import controlnet_reuse, grounding_dino, patching
from visuals.stages.accel.deep_cache import DeepCache
from visuals.stages.detect import Detector
from visuals.stages.shot import FileInput, Shot


def patched(model: Any) -> int:
    return sum("forward" in vars(module) for module in model.modules())


def doubled(module: Any) -> patching.Forward:
    original = module.forward
    return lambda x: 2 * original(x)


PATCH = patching.Patch(("Half",), "x", doubled)


class Half(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def renamed_half() -> torch.nn.Module:
    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            return x * scale / 2

    return Half()


def test_a_patch_goes_in_once_and_out() -> None:
    model = torch.nn.Sequential(Half(), Half())
    one = torch.ones(1)
    for _ in range(2):
        patching.install(model, [PATCH])
        assert model(one) == 1
    kept = model[1].forward = lambda x: x  # someone else's
    patching.remove(model)
    assert model(one) == 0.5 and model[1].forward is kept


def test_another_signature_is_left_alone_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    patching._warn.cache_clear()
    model = torch.nn.Sequential(renamed_half(), renamed_half())
    with caplog.at_level(logging.WARNING):
        patching.install(model, [PATCH])
        patching.install(model, [PATCH])
    assert patched(model) == 0 and model(torch.ones(1)) == 0.25
    (record,) = caplog.records
    assert "takes (x, scale), expected (x)" in record.getMessage()


def test_a_detector_of_another_version_runs_the_librarys_code(
    mini: Path, caplog: pytest.LogCaptureFixture
) -> None:
    patching._warn.cache_clear()
    model, _ = load.load_detector("mini/grounding-dino")
    grounding_dino.apply(model)
    whole = patched(model)
    grounding_dino.remove(model)
    assert whole > 4 and patched(model) == 0
    backbone = model.model.backbone
    original = type(backbone)

    class GroundingDinoConvModel(original):  # type: ignore[misc, valid-type]
        def forward(self, pixel_values: Any, pixel_mask: Any, size: Any = None) -> Any:
            return original.forward(self, pixel_values, pixel_mask)

    backbone.__class__ = GroundingDinoConvModel
    with caplog.at_level(logging.WARNING):
        grounding_dino.apply(model)
        grounding_dino.apply(model)
    assert patched(model) == whole - 1 and len(caplog.records) == 1


def test_a_unet_of_another_version_runs_the_librarys_code(
    mini: Path, caplog: pytest.LogCaptureFixture
) -> None:
    patching._warn.cache_clear()
    pipe = load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"])
    original = type(pipe.unet)

    class UNet(original):  # type: ignore[misc, valid-type]
        def forward(self, sample: Any, *args: Any, **options: Any) -> Any:
            return original.forward(self, sample, *args, **options)

    pipe.unet.__class__ = UNet
    with (
        caplog.at_level(logging.WARNING),
        torch.inference_mode(),
        DeepCache(2).over(pipe),
        controlnet_reuse.reuse(pipe),
        calls(pipe.controlnet.conv_in) as steps,
    ):
        assert patched(pipe.unet) == patched(pipe.controlnet) == 0
        pipe(**asked(1))
    assert len(steps) == 4 and len(caplog.records) == 1


def test_a_pipeline_of_another_version_prepares_its_latents_itself(mini: Path) -> None:
    pipe = copy.copy(load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"]))
    prepare = pipe.prepare_mask_latents
    pipe.prepare_mask_latents = lambda mask, image, *rest: prepare(mask, image, *rest)
    own = pipe.prepare_mask_latents
    controlnet_reuse.skip_masked_latents(pipe)
    assert pipe.prepare_mask_latents is own


def test_the_switch_turns_every_patch_off_and_gives_the_same_masks_and_pictures(
    mini: Path,
) -> None:
    changes = {
        "rerender.cache_interval": 1,
        "rerender.steps": 4,
        "rerender.prompt": "a red mug",
        "detect.box_threshold": 0.0,
        "verify.threshold": 0.0,
        "detect.text_threshold": 0.0,
        "segment.crop_padding": None,
    }
    photos = [
        Shot(id=str(k), source=FileInput(f"{k}.png", k), classes=("mug", "car"), image=noise(k, 96))
        for k in range(2)
    ]
    done = []
    for accelerate in (True, False):
        settings = load_settings("mini", {**changes, "run.accelerate": accelerate})
        stages = build_stages(settings, ("detect", "segment", "rerender"))
        assert isinstance(stages.detect, Detector)
        assert (patched(stages.detect.model) > 0) is accelerate
        assert stages.segment and stages.rerender
        found = [
            replace(s, detections=s.detections[:2]) for s in stages.segment(stages.detect(photos))
        ]
        done.append(stages.rerender(found))
    for fast, plain in zip(*done, strict=True):
        assert fast.status == plain.status == "enhanced", (fast.reason, plain.failure)
        for one, other in zip(fast.detections, plain.detections, strict=True):
            np.testing.assert_allclose(one.box_xyxy, other.box_xyxy, atol=0.02)
            assert one.mask is not None and other.mask is not None
            assert (one.mask != other.mask).mean() < 1e-3
        assert fast.result is not None and plain.result is not None
        assert np.abs(fast.result.astype(int) - plain.result).max() <= 2


def test_a_cache_that_is_switched_off_is_named(mini: Path) -> None:
    messages: list[str] = []
    settings = load_settings("mini", {"run.accelerate": False})
    stages = build_stages(settings, ("rerender",), report=messages.append)
    assert "rerender.cache_interval 2 is not used: run.accelerate is off" in messages
    assert stages.rerender is not None
