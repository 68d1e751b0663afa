"""All stages on a device that refuses tensors of the CPU, in the precision of a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import card, tiny_xl
from helpers.small_trainings import small, write_photos

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions, HiresSettings
from visuals.configs.schema import load_settings
from visuals.pipeline.build.stages import build_stages
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.stages.diffusion.passes import Refiner
from visuals.stages.generate import Generator
from visuals.stages.shot import Prompted, Shot
from visuals.training.datasets.training_set import read_training_set
from visuals.training.loop import validation
from visuals.training.loop.batches import BatchLoader
from visuals.training.loop.trainer import Trainer
from visuals.training.models import load_models

HALF = {"run.dtype": "float16"}
QUICK = {
    "generate.steps": 2,
    "rerender.steps": 2,
    "detect.box_threshold": 0.0,
    "verify.threshold": 0.0,
    "detect.text_threshold": 0.0,
    "mask.mask_k": 1,
    "rerender.controls": ["canny", "depth"],
}


def prompted(text: str) -> list[Shot]:
    return [Shot(f"s{k}", Prompted(text, "(blurry:1.3)", k), ("mug",)) for k in (1, 2)]


def move(stages: Iterable[Any]) -> None:
    for stage in stages:
        for models in stage.modules().values() if stage else ():
            for model in models:
                model.to(card.DEVICE)


def every(stages: Stages) -> list[Any]:
    return [stages.generate, stages.detect, stages.verify, stages.segment, stages.rerender]


def caches(unet: Any) -> list[dict[int, Any]]:
    """What the first cross-attention keeps of the prompts that it saw."""
    layer = next(m for n, m in unet.named_modules() if n.endswith("attn2")).to_k
    cells = [cell.cell_contents for cell in layer.forward.__closure__]
    return [cell for cell in cells if isinstance(cell, dict)]


@pytest.fixture
def half_stages(mini: Path, clip: Path) -> Stages:
    verify = {"verify.model": str(clip), "verify.threshold": 0.0}
    settings = load_settings("mini", {**QUICK, **HALF, **verify})
    return build_stages(settings, ("generate", "detect", "segment", "rerender"))


def test_the_pretended_device_fills_what_it_makes() -> None:
    """Lists as indices, of which torch makes tensors itself; memory holds NaN before."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with card.plugged_in():
            x = torch.arange(6.0).reshape(2, 3).to(card.DEVICE)
            x[:, [0, 2]] = 9
            picked = [x[[1]], x[:, [1, 2]], x[[0, 1], [1, 1]]]
            values = [one.cpu().tolist() for one in picked]
    finally:
        torch.use_deterministic_algorithms(before)
    assert values == [[[9, 4, 9]], [[1, 9], [4, 9]], [1, 4]]


def test_a_run_keeps_to_one_device_and_to_its_precision(half_stages: Stages) -> None:
    shots = prompted("a (red:1.2) [mug|cup], <lora:ppzmini:0.5>")
    usual = list(run_shots(shots, half_stages))
    with card.plugged_in():
        move(every(half_stages))
        done = list(run_shots(shots, half_stages))
        inpainter = half_stages.rerender.default.drawer  # type: ignore[union-attr]
        kept = []
        with inpainter.ready():
            for seed in (1, 2):  # one call after the other, as parts of a large batch
                picture = np.full((64, 64, 3), 99, np.uint8)
                mask = picture[..., 0] > 9
                inpainter([picture], [mask], [("a mug", "")], seeds=[seed], strength=1)
                kept.append(sum(len(cache) for cache in caches(inpainter.pipe.unet)))
    for a, b in zip(usual, done, strict=True):
        assert b.status == a.status == "enhanced", (b.failure, b.reason)
        assert a.image is not None and b.image is not None
        assert np.abs(a.image.astype(int) - b.image).mean() < 1
    assert inpainter.pipe.unet.device == card.DEVICE
    assert kept == [1, 1], "the keys of one call stay on the device"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda pipe: pipe.vae.to("cpu"), "expected all tensors on"),
        (lambda pipe: pipe.unet.mid_block.float(), "dtype|same type|Half"),
    ],
)
def test_a_model_left_behind_fails(half_stages: Stages, change: Any, why: str) -> None:
    """The pretended device does refuse what a GPU refuses."""
    with card.plugged_in():
        move(every(half_stages))
        change(half_stages.generate.default.pipe)  # type: ignore[union-attr]
        (shot,) = half_stages.generate(prompted("a mug")[:1])  # type: ignore[misc]
    assert shot.failure is not None
    assert any(word in shot.failure.message for word in why.split("|")), shot.failure


def test_sdxl_with_hires_fix_and_refiner(tmp_path: Path) -> None:
    tiny_xl.write(tmp_path)
    pipe = load.load_text_to_image(tmp_path / "base", dtype=torch.float16)
    refiner = load.load_refiner(tmp_path / "refiner", pipe, dtype=torch.float16)
    options = GenerateOptions(
        steps=2, width=64, height=64, sampler="DPM++ 2M SDE Karras",
        hires=HiresSettings(scale=1.5, upscaler="lanczos"),
    )  # fmt: skip
    stage = Generator(pipe, options, refiner=Refiner(refiner))
    with card.plugged_in():
        move([stage])
        assert stage.passes.over is not None
        assert {stage.passes.over.unet.dtype, stage.passes.over.vae.dtype} == {torch.float16}
        (shot,) = stage(prompted("a red mug")[:1])
    assert shot.image is not None and shot.image.shape == (96, 96, 3), shot.failure


def trained(tmp_path: Path, **changes: Any) -> Any:
    """Settings, and a pipeline on the CPU."""
    photos = write_photos(tmp_path / "photos")
    return small(photos, tmp_path / "out", **changes), load.load_text_to_image("mini/sd")


def size(model: Any) -> int:
    return sum(weight.nbytes for weight in model.parameters())


def test_a_training_step_keeps_to_one_device(mini: Path, tmp_path: Path) -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    settings, base = trained(
        tmp_path, text_encoder_lr=1e-3, validation_prompts="a mug", validation_inference_steps=2
    )
    AcceleratorState._reset_state(reset_partial_state=True)  # the precision of an earlier training
    accelerator = Accelerator(cpu=True)
    with card.plugged_in():
        models = load_models.load(settings, card.DEVICE, base)
        data = read_training_set(settings)
        loader = BatchLoader(settings, models, data)
        loader.fill(lambda done, total: None)
        trainer = Trainer(settings, accelerator, models, data, loader)
        models.denoiser.to(card.DEVICE)  # accelerate has moved them to its own
        for encoder in models.text_encoders:
            encoder.to(card.DEVICE)
        batch = next(iter(data.batches(settings, trainer.size, 0)))
        trainer._loss(0, 0, batch, range(len(batch)), 1.0).backward()
        gradients = [p.grad for p in models.parameters().values()]
        validation.draw(settings, models, loader, accelerator, tmp_path, 1)
    assert all(g is not None and g.device == card.DEVICE for g in gradients)
    assert len(list(tmp_path.glob("look-*.png"))) == 3


def test_weights_are_halved_before_they_reach_the_device(mini: Path, tmp_path: Path) -> None:
    settings, base = trained(tmp_path, mixed_precision="bf16")
    with card.plugged_in() as arrived:
        models = load_models.load(settings, card.DEVICE, base)
        halved = size(models.denoiser) + size(models.text_encoders[0])
        assert models.denoiser.conv_in.weight.dtype == torch.bfloat16
    assert arrived[torch.float32] <= size(models.vae) + halved / 8  # and the LoRA
