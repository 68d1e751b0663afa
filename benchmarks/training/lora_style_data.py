"""What `visuals bench train` learns: photos of a look with captions, and the class pictures that
are to stay as they are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...checkpoints import atomic_files
from ...samples import vocabulary
from ..accuracy import generation, image_distance
from ..accuracy.detection import held_out

if TYPE_CHECKING:
    from ...pipeline.runner.run import Stages

TAG = "ppzlook"
FIRST_SEED = 4_500_000
"""Apart from what the recipe's own LoRA learned, and from all that is held out."""
PROMPTS = tuple(prompt for c in vocabulary.COLOURS for prompt in ("a {class}", f"a {c} {{class}}"))
"""Of class pictures: with a colour and without, as prompts are, so that no word but the tag
tells photos of the look from what is to stay."""


@dataclass(frozen=True)
class Look:
    """What is learned: a folder of captioned photos, their tag, the look in numbers.

    `statistics`: float64 (N, 18), of `likeness.statistics`.
    """

    folder: Path
    tag: str
    statistics: np.ndarray


def rendered(folder: Path, count: int, size: int) -> Look:
    """Write `count` pictures in the spotlight: 'ppzlook, a red mug'; the numbers are of others."""
    from ...samples import studio, varied

    def made() -> Iterator[tuple[np.ndarray, str]]:
        for render in studio.spotlit(FIRST_SEED, count, size, varied.render):
            product = render.meta["products"][0]
            yield render.image, f"{TAG}, a {product['colour']} {product['label']}"

    write(folder, made())
    renders = held_out(48, size, offset=2, products=1, others=0, scene="white background")
    return Look(
        folder, TAG, np.array([image_distance.statistics(generation.spot(r)) for r in renders])
    )


def photographed(folder: Path, size: int) -> Look:
    """A folder of captioned photos as it is; the numbers are of all of them, cut square."""
    from PIL import Image, ImageOps

    from ...training.datasets import images as dataset_images
    from ...training.datasets.dataset_folder import read_dataset

    dataset = read_dataset(folder)
    found = []
    for item in dataset.items:
        photo = dataset_images.read(item.path).convert("RGB")
        square = ImageOps.fit(photo, (size, size), Image.Resampling.LANCZOS)
        found.append(image_distance.statistics(np.asarray(square)))
    return Look(folder, dataset.tag, np.array(found))


def write(folder: Path, pictures: Iterator[tuple[np.ndarray, str]]) -> None:
    """An imagefolder of (picture, caption)."""
    from PIL import Image

    lines = []
    for number, (image, text) in enumerate(pictures):
        held = io.BytesIO()
        Image.fromarray(image).save(held, "PNG")
        name = f"{number:03d}.png"
        atomic_files.write(folder / name, held.getvalue())
        lines.append(json.dumps({"file_name": name, "text": text}))
    atomic_files.write(folder / "metadata.jsonl", ("\n".join(lines) + "\n").encode())


def class_pictures(stages: Stages, folder: Path, count: int, seed: int) -> None:
    """What the base draws of each class, captioned by its prompt: these are to stay."""
    from ...pipeline.inputs.shots import prompted
    from ...stages.shot import Prompted

    assert stages.generate
    each = -(-count // len(vocabulary.CLASSES))
    shots = stages.generate(
        prompted(vocabulary.CLASSES, each, prompt="", prompts=PROMPTS, run_seed=seed)
    )
    said = ((s.image, s.source.prompt) for s in shots if isinstance(s.source, Prompted))
    write(folder, ((image, prompt) for image, prompt in said if image is not None))
