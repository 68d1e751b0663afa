"""What a training has learned so far: loss on held-out pictures, pictures of prompts, their grid.

Everything random here is fixed, so that two moments of a training can be compared.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import images as dataset_images
from ..lora import network as lora_network
from .loss import each

if TYPE_CHECKING:
    from ...configs.train_file import TrainSettings
    from ..datasets.examples import Example
    from ..lora.models import TrainingModels
    from .batches import Loader

TIMES = (0.125, 0.375, 0.625, 0.875)
"""Where in the noise schedule each held-out picture is measured, as shares."""


def held_out_loss(
    models: TrainingModels, loader: Loader, held_out: Sequence[Example], accelerator: Any
) -> float:
    """Mean squared error over the pictures at fixed times with fixed noise; no weights."""
    import torch

    count, total = len(TIMES), 0.0
    steps = models.noise_scheduler.config.num_train_timesteps
    times = torch.tensor([int(share * steps) for share in TIMES])
    with _still(models, loader), torch.no_grad(), accelerator.autocast():
        for number, example in enumerate(held_out):
            draws = [torch.Generator().manual_seed(number * count + k) for k in range(count)]
            moments = loader.latents.moments([(example, False)]).repeat(count, 1, 1, 1)
            got = loader.tensors(
                [example] * count, [False] * count, [example.text] * count, draws, moments, times
            )
            said = models.unet(**models.inputs(got))[0]
            total += float(each(said, got["wanted"], got["mask"]).mean())
    return total / len(held_out)


def draw(
    settings: TrainSettings,
    models: TrainingModels,
    loader: Loader,
    accelerator: Any,
    folder: Path,
    epoch: int,
) -> list[Path]:
    """A picture a prompt and weight, from the same noise at every epoch."""
    import torch

    from ...stages.diffusion.samplers import scheduler

    s, pipe = settings, models.pipe
    own = pipe.scheduler
    pipe.scheduler = scheduler("DPM++ 2M", own.config)
    written = []
    try:
        with _still(models, loader), torch.no_grad(), accelerator.autocast():
            for weight in s.validation_weights:
                lora_network.set_scale(models.learning.values(), weight)
                noise = [
                    torch.Generator().manual_seed(s.seed + k)
                    for k in range(len(s.validation_prompts))
                ]
                images = pipe(
                    **_said(s.validation_prompts, models, loader),
                    num_inference_steps=s.validation_inference_steps,
                    guidance_scale=s.validation_cfg_scale,
                    width=s.resolution[0],
                    height=s.resolution[1],
                    generator=noise,
                ).images
                for number, image in enumerate(images):
                    path = folder / name(s.name, epoch, number, weight)
                    held = io.BytesIO()
                    image.save(held, "PNG")
                    dataset_images.write(path, held.getvalue())
                    written.append(path)
    finally:
        lora_network.set_scale(models.learning.values(), 1.0)
        pipe.scheduler = own
    return written


@contextlib.contextmanager
def _still(models: TrainingModels, loader: Loader) -> Iterator[None]:
    """Within, nothing learns, and the text encoders are bare of their wrappers: one process looks,
    and a wrapper would wait for the others."""
    models.train(False)
    wrapped, loader.words.encoders = loader.words.encoders, list(models.text_encoders)
    try:
        yield
    finally:
        loader.words.encoders = wrapped


def _said(prompts: Sequence[str], models: TrainingModels, loader: Loader) -> dict[str, Any]:
    """The prompts as the pipeline takes them, read as captions are: clip skip, chunks."""
    if models.is_xl:
        return {"prompt": list(prompts)}
    hidden = loader.words([*prompts, ""])["hidden"]
    count = len(prompts)
    return {
        "prompt_embeds": hidden[:count],
        "negative_prompt_embeds": hidden[count:].repeat(count, 1, 1),
    }


def name(output_name: str, epoch: int, prompt: int, weight: float) -> str:
    return f"{output_name}-{epoch:06d}-{prompt:02d}-{weight:g}.png"


def grid(settings: TrainSettings, folder: Path, epochs: int) -> Path | None:
    """All pictures in one: a row an epoch, a column a prompt and weight; None where none is."""
    from PIL import Image, ImageDraw

    s = settings
    columns = [(p, w) for p in range(len(s.validation_prompts)) for w in s.validation_weights]
    rows = [
        epoch
        for epoch in range(1, epochs + 1)
        if any((folder / name(s.name, epoch, p, w)).is_file() for p, w in columns)
    ]
    if not rows or not columns:
        return None
    width, height = s.resolution
    left, top = 60, 20
    sheet = Image.new("RGB", (left + width * len(columns), top + height * len(rows)), "white")
    pen = ImageDraw.Draw(sheet)
    for x, (prompt, weight) in enumerate(columns):
        pen.text((left + x * width + 4, 4), f"prompt {prompt + 1}, weight {weight:g}", fill="black")
    for y, epoch in enumerate(rows):
        pen.text((4, top + y * height + height // 2), f"epoch {epoch}", fill="black")
        for x, (prompt, weight) in enumerate(columns):
            path = folder / name(s.name, epoch, prompt, weight)
            if path.is_file():
                with Image.open(path) as image:
                    sheet.paste(image.convert("RGB"), (left + x * width, top + y * height))
    held = io.BytesIO()
    sheet.save(held, "PNG")
    path = folder / "grid.png"
    dataset_images.write(path, held.getvalue())
    return path
