"""What tests of a family of models ask of it: pictures of stages 1 and 3, a run of all stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from helpers.command_line import refused
from helpers.inpaint_calls import noise
from visuals.configs.generate import GenerateOptions
from visuals.configs.rerender import RerenderOptions
from visuals.configs.schema import load_settings
from visuals.pipeline.build import family_options
from visuals.pipeline.build.stages import build_stages, check_words
from visuals.pipeline.runner.run import run_shots
from visuals.stages.diffusion.decode import Decoded
from visuals.stages.diffusion.inpaint import Controlled, Inpainter
from visuals.stages.diffusion.lora_adapters import no_loras
from visuals.stages.families.known import family_of
from visuals.stages.generate import Generator
from visuals.stages.shot import Prompted, Shot

SMALL: dict[str, Any] = {"steps": 3, "width": 80, "height": 64, "sampler": "Euler"}
IMAGES = [noise(k, 80)[:64] for k in range(2)]
"""Pictures to draw over, uint8 (64, 80, 3)."""
MASKS = [np.tri(64, 80, 8 * k) > 0 for k in range(2)]
ALL = [np.ones((64, 80), bool)] * 2


def call(pipe: Any, **arguments: Any) -> np.ndarray:
    """The picture, 0..255, of a call of a pipeline of diffusers."""
    defaults = {"width": 80, "height": 64, "output_type": "np", "guidance_scale": 0.0}
    with torch.inference_mode():
        (picture,) = pipe(**{**defaults, **arguments}).images
    return picture * 255  # type: ignore[no-any-return]


def seeded(seed: int) -> Any:
    return torch.Generator().manual_seed(seed)


def drawn(pipe: Any, *texts: str, negative: str = "", **options: Any) -> list[np.ndarray]:
    """What stage 1 draws from prompts, in one batch; seeds are 0, 1 …"""
    init, find = options.pop("init_image", None), options.pop("find_lora", no_loras)
    drawing = GenerateOptions(**{**SMALL, "batch_size": 4, **options})
    stage = Generator(pipe, drawing, init_image=init, find_lora=find)
    shots = [Shot(str(k), Prompted(t, negative, k), ("mug",)) for k, t in enumerate(texts)]
    out = []
    for shot in stage(shots):
        assert shot.image is not None, shot.failure
        out.append(shot.image)
    return out


def redrawn(
    pipe: Any,
    controls: Sequence[Controlled],
    *prompts: str,
    masks: Sequence[np.ndarray] = MASKS,
    strength: float = 0.7,
    **options: Any,
) -> list[Decoded]:
    """What stage 3 draws over `IMAGES`, in one call; seeds are 5, 6."""
    drawing = RerenderOptions(**{**SMALL, "steps": 4, "strength": strength, **options})
    inpainter = Inpainter(family_of(pipe), pipe, controls, drawing)
    count = len(prompts)
    with inpainter.ready():
        pictures, _ = inpainter(
            IMAGES[:count],
            list(masks[:count]),
            [(text, "grey") for text in prompts],
            seeds=list(range(5, 5 + count)),
            strength=strength,
        )
    return pictures


def as_image(pixels: np.ndarray) -> Image.Image:
    """A picture, a mask (bool) or a map (float, 0..1) as diffusers takes it."""
    scale = 1 if pixels.dtype == np.uint8 else 255
    return Image.fromarray(np.rint(pixels * float(scale)).astype(np.uint8))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Decibels between pictures, 0..255."""
    error = np.mean((a.astype(float) - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def all_stages(preset: str, base: Path, controlnet: Path, **changes: Any) -> tuple[Shot, list[str]]:
    """A shot through all stages of a preset with small models, and what was reported."""
    mini = load_settings("mini")
    settings = load_settings(
        preset,
        {
            "generate.model": str(base), "generate.steps": 2, "generate.width": 128,
            "generate.height": 128, "generate.prompt": "a (red:1.2) {class}",
            "generate.lora_dirs": [], "generate.clip_skip": 1,
            "rerender.steps": 3, "rerender.width": 128, "rerender.height": 128,
            "rerender.prompt": "a blue {class}", "rerender.controls": ["canny"],
            "rerender.padding": 8, "rerender.aspect_buckets": False,
            "controls.canny.model": str(controlnet),
            "detect.model": mini.detect.model, "segment.model": mini.segment.model,
            "detect.box_threshold": 0.0, "detect.text_threshold": 0.0,
            "run.dtype": "float32", "run.device": "cpu",
            **changes,
        },
    )  # fmt: skip
    check_words(settings)
    lines = list(family_options.unused(settings))
    needs = ("generate", "detect", "segment", "rerender")
    stages = build_stages(settings, needs, report=lines.append)
    (done,) = run_shots([Shot("s", Prompted("a red mug", "", 1), ("mug",))], stages)
    assert done.status == "enhanced", (done.failure, done.reason)
    assert done.image is not None and done.result is not None and done.blend is not None
    outside = done.blend == 0
    assert outside.any() and (done.result[outside] == done.image[outside]).all()
    assert (done.result != done.image).any()
    return done, lines


def refused_settings(folder: Path, changes: Mapping[str, str], *options: object) -> str:
    """The sentence that refuses a run with settings; models are names below a folder."""
    models = {key: folder / name for key, name in changes.items() if key.endswith(".model")}
    given = {**changes, **models, "rerender.sampler": "Euler", "generate.sampler": "Euler"}
    words = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    return refused("run", "--class", "mug", "--count", "1", *words, *options)
