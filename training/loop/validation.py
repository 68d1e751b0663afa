"""Validation: loss on held-out pictures, sample pictures of prompts, and a grid of them.

All random numbers are fixed, so that epochs can be compared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checkpoints import atomic_files
from ...pipeline.images.contact_sheet import sheet
from ...pipeline.images.write import encode_png
from ..datasets import images as dataset_images
from ..lora import network as lora_network
from ..models.loss import squared_errors

if TYPE_CHECKING:
    from ...configs.train import TrainSettings
    from ..datasets.examples import Example
    from ..models.training_models import TrainingModels
    from .batches import BatchLoader

TIMES = (0.125, 0.375, 0.625, 0.875)
"""Places in the noise schedule, as shares, at which each held-out picture is measured: the middles
of four equal parts."""


def held_out_loss(
    models: TrainingModels, loader: BatchLoader, held_out: Sequence[Example], accelerator: Any
) -> float:
    """Unweighted mean squared error over the pictures at fixed times with fixed noise."""
    import torch

    count, total = len(TIMES), 0.0
    times = models.times_at(TIMES)
    with _evaluating(models, loader), torch.no_grad(), accelerator.autocast():
        for number, example in enumerate(held_out):
            draws = [torch.Generator().manual_seed(number * count + k) for k in range(count)]
            moments = loader.latents.moments([(example, False)]).repeat(count, 1, 1, 1)
            inputs = loader.tensors(
                [example] * count, [False] * count, [example.text] * count, draws, moments, times
            )
            prediction = models.prediction(models.denoiser, inputs)
            total += float(squared_errors(prediction, inputs["target"], inputs["mask"]).mean())
    return total / len(held_out)


def draw(
    settings: TrainSettings,
    models: TrainingModels,
    loader: BatchLoader,
    accelerator: Any,
    folder: Path,
    epoch: int,
) -> None:
    """Generate and write a picture for each validation prompt and LoRA weight.

    Prompts are encoded as captions are, and the noise is the same at every epoch. The VAE decodes
    in its own float32: SDXL's overflows in float16. One picture at a time, since the training
    leaves little memory. A picture that is not a number or is flagged is left out.
    """
    import torch
    from PIL import Image

    from ...stages.families.known import family_of

    s, pipe = settings, models.pipe
    family, original = family_of(pipe), pipe.scheduler
    pipe.scheduler = family.scheduler(models.sampler, original.config)
    try:
        with _evaluating(models, loader), torch.no_grad():
            for weight in s.validation_weights:
                lora_network.set_scale(models.learning.values(), weight)
                for number, prompt in enumerate(s.validation_prompts):
                    with accelerator.autocast():
                        latents = family.draw(
                            pipe,
                            s.resolution,
                            **models.drawing(loader.prompts, prompt, s.validation_cfg_scale),
                            num_inference_steps=s.validation_inference_steps,
                            generator=[torch.Generator().manual_seed(s.seed + number)],
                        )
                    (drawn,) = family.decode(pipe, latents)
                    if not drawn.error and not drawn.flagged:
                        path = folder / name(s.name, epoch, number, weight)
                        dataset_images.write_png(path, Image.fromarray(drawn.pixels))
    finally:
        lora_network.set_scale(models.learning.values(), 1.0)
        pipe.scheduler = original


@contextlib.contextmanager
def _evaluating(models: TrainingModels, loader: BatchLoader) -> Iterator[None]:
    """Set models to evaluation mode, and use the text encoders without their data-parallel
    wrappers: a single process validates, and a wrapper would wait for the others."""
    models.train(False)
    wrapped, loader.prompts.encoders = loader.prompts.encoders, list(models.text_encoders)
    try:
        yield
    finally:
        loader.prompts.encoders = wrapped


def name(output_name: str, epoch: int, prompt: int, weight: float) -> str:
    """File name of a sample picture."""
    return f"{output_name}-{epoch:06d}-{prompt:02d}-{weight:g}.png"


def grid(settings: TrainSettings, folder: Path, epochs: int) -> Path | None:
    """Write `grid.png`: a row an epoch, a column a prompt and weight; None without samples."""
    s = settings
    columns = [(p, w) for p in range(len(s.validation_prompts)) for w in s.validation_weights]
    rows = [
        [folder / name(s.name, epoch, prompt, weight) for prompt, weight in columns]
        for epoch in range(1, epochs + 1)
    ]
    drawn = {k: row for k, row in enumerate(rows, 1) if any(path.is_file() for path in row)}
    if not drawn:
        return None
    pictures = [
        np.asarray(dataset_images.read(path)) if path.is_file() else "not drawn"
        for row in drawn.values()
        for path in row
    ]
    titles = [f"prompt {prompt + 1}, weight {weight:g}" for prompt, weight in columns]
    path = folder / "grid.png"
    atomic_files.write(path, encode_png(sheet(pictures, titles, [f"epoch {k}" for k in drawn])))
    return path
