"""DeepCache: what is left out of a drawing, and how little the picture changes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import asked, calls, cores

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions, HiresSettings
from visuals.configs.schema import load_settings
from visuals.pipeline.build import stages as build_stages_module
from visuals.stages.accel import cpu_parallel
from visuals.stages.accel.deep_cache import DeepCache
from visuals.stages.diffusion.passes import Passes
from visuals.stages.families.known import family_of
from visuals.stages.shot import Detection, FileInput, Shot


@pytest.fixture(scope="module")
def inpaint(mini: Path) -> Any:
    return load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"])


def drawn(pipe: Any, interval: int, **changes: Any) -> tuple[Any, dict[str, int]]:
    """Latents, and how often the UNet's ends, its middle and the ControlNet were called."""
    cache = DeepCache(interval)
    ends, middle, net = pipe.unet.conv_out, pipe.unet.mid_block, pipe.controlnet.conv_in
    with (
        torch.inference_mode(),
        cache.over(pipe),
        calls(ends) as outer,
        calls(middle.resnets[0]) as inner,
        calls(net) as led,
    ):
        latents = pipe(**asked(7, **changes)).images
    return latents, {"ends": len(outer), "middle": len(inner), "net": len(led)}


def test_inner_blocks_and_controlnet_work_in_every_second_step(inpaint: Any) -> None:
    whole, every = drawn(inpaint, 1)
    cached, second = drawn(inpaint, 2)
    assert every == {"ends": 4, "middle": 4, "net": 4}
    assert second == {"ends": 4, "middle": 2, "net": 2}
    assert not torch.equal(cached, whole)
    assert (cached - whole).pow(2).mean() < 0.05 * whole.pow(2).mean()
    again, _ = drawn(inpaint, 1)
    assert torch.equal(again, whole), "nothing of it is left behind"


def test_each_call_begins_anew(inpaint: Any) -> None:
    """An odd number of steps: the second call would else begin with a step that rests."""
    first, counted = drawn(inpaint, 2, num_inference_steps=4)
    assert counted == {"ends": 3, "middle": 2, "net": 2}
    cache = DeepCache(2)
    with torch.inference_mode(), cache.over(inpaint):
        for _ in range(2):
            cache.begin()
            latents = inpaint(**asked(7, num_inference_steps=4)).images
    assert torch.equal(latents, first)


def test_an_error_leaves_the_models_as_they_were(inpaint: Any) -> None:
    with pytest.raises(RuntimeError, match="stop"), DeepCache(3).over(inpaint):
        raise RuntimeError("stop")
    assert "forward" not in vars(inpaint.unet.mid_block)


def test_the_hires_pass_begins_anew(inpaint: Any) -> None:
    pipe = load.load_text_to_image("mini/sd")
    options = GenerateOptions(
        sampler="DPM++ 2M",
        steps=3,
        cfg_scale=2.0,
        width=64,
        height=64,
        hires=HiresSettings(strength=1.0, scale=1.125),
        cache_interval=2,
    )
    words = {"prompt": "a mug", "negative_prompt": ""}
    with torch.inference_mode(), calls(pipe.unet.mid_block.resnets[0]) as inner:
        Passes(family_of(pipe), pipe, options)(
            lambda *_, **passes: words, [torch.Generator().manual_seed(0)]
        )
    assert len(inner) == 4, "steps 0 and 2 of each pass"


def test_parts_side_by_side_have_caches_of_their_own(mini: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[20:60, 30:70] = True
    found = (Detection((30.0, 20.0, 70.0, 60.0), 0.9, "mug", mask),)
    shots = [
        Shot(
            id=str(k),
            source=FileInput(Path(f"{k}.png"), seed=k),
            classes=("mug",),
            image=image,
            detections=found,
        )
        for k in range(4)
    ]
    changes = {"cache_interval": 2, "steps": 7, "prompt": "a red mug"}
    overrides = {f"rerender.{name}": value for name, value in changes.items()}
    settings = load_settings("mini", overrides)
    stage = build_stages_module.build_stages(settings, ("rerender",)).rerender
    assert stage is not None
    with cores(1):
        alone = stage(shots)
    with cores(2):
        assert cpu_parallel.workers("cpu", 4) == 2
        together = stage(shots)
    for one, other in zip(alone, together, strict=True):
        assert one.result is not None and other.result is not None
        assert (one.result != image).any()
        assert np.abs(one.result.astype(int) - other.result.astype(int)).max() <= 2
