"""Does a training learn a look, and only with its tag? Rendered photos, before and after.

The look is the studio's spotlight, which no base picture has; the measure is `colour.rings`.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...samples import vocabulary
from . import colour, stage1
from .stage2 import held_out

if TYPE_CHECKING:
    from ..run import Stages

TAG, NAME = "ppzlook", "look"
FIRST_SEED = 4_500_000
"""Apart from what the recipe's own LoRA learned, and from all that is held out."""
SETTINGS: dict[str, Any] = {
    "model": "mini/sd",
    "resolution": 128,
    "rank": 8,
    "train_batch_size": 8,
    "max_train_steps": 450,
    "learning_rate": 1e-3,
    "text_encoder_lr": 2e-3,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 20,
    "snr_gamma": 5,
    "random_flip": True,
    "vae_batch_size": 8,
    "with_prior_preservation": True,
    "class_prompt": "a product",
    "prior_loss_weight": 1.5,
    "num_class_images": 1,
    "validation_split": 0.1,
    "checkpointing_steps": None,
    "save_every_n_epochs": None,
    "report_to": "none",
    "device": "cpu",
}
"""docs/training.md has them too."""
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Drawn:
    """Pictures of one prompt: `profiles` float64 (N, 4, 3), mean CIELAB of each ring round the
    middle; `found`: whether stage 2 finds the class."""

    profiles: np.ndarray
    found: np.ndarray

    def distance(self, look: np.ndarray) -> float:
        """Mean CIELAB distance of the rings from the look's, over the pictures."""
        return float(np.linalg.norm(self.profiles - look, axis=2).mean())

    def moved(self, other: Drawn) -> float:
        """Mean CIELAB distance of the rings from the same pictures', drawn otherwise."""
        return float(np.linalg.norm(self.profiles - other.profiles, axis=2).mean())


@dataclass(frozen=True)
class Look:
    """What is learned: a folder of captioned photos, their tag, the mean profile (4, 3)."""

    folder: Path
    tag: str
    profile: np.ndarray


def rendered(folder: Path, count: int, size: int) -> Look:
    """Write `count` pictures in the spotlight: 'ppzlook, a red mug'; the profile is of others."""
    from ...samples import studio

    def made() -> Iterator[tuple[np.ndarray, str]]:
        for render in studio.spotlit(FIRST_SEED, count, size):
            product = render.meta["products"][0]
            yield render.image, f"{TAG}, a {product['colour']} {product['label']}"

    write(folder, made())
    renders = held_out(24, size, offset=2, products=1, others=0, scene="white background")
    found = [colour.rings(stage1.spot(r), r.instances > 0) for r in renders]
    return Look(folder, TAG, np.mean(found, axis=0))


def photographed(folder: Path, size: int) -> Look:
    """A folder of captioned photos as it is; the profile is of whole photos, cut square."""
    from PIL import ImageOps

    from ...training import files
    from ...training.dataset import read_dataset

    dataset = read_dataset(folder)
    found = []
    for item in dataset.items:
        image = np.asarray(ImageOps.fit(files.read(item.path).convert("RGB"), (size, size)))
        found.append(colour.rings(image, np.zeros((size, size), bool)))
    return Look(folder, dataset.tag, np.mean(found, axis=0))


def write(folder: Path, pictures: Iterator[tuple[np.ndarray, str]]) -> None:
    """An imagefolder of (picture, caption)."""
    from PIL import Image

    from ...training import files

    lines = []
    for number, (image, text) in enumerate(pictures):
        held = io.BytesIO()
        Image.fromarray(image).save(held, "PNG")
        name = f"{number:03d}.png"
        files.write(folder / name, held.getvalue())
        lines.append(json.dumps({"file_name": name, "text": text}))
    files.write(folder / "metadata.jsonl", ("\n".join(lines) + "\n").encode())


def class_pictures(stages: Stages, folder: Path, count: int, seed: int) -> None:
    """What the base draws for each class, captioned by its prompt: these are to stay."""
    from ..inputs import prompted

    assert stages.generate
    each = -(-count // len(vocabulary.CLASSES))
    shots = stages.generate(prompted(vocabulary.CLASSES, each, prompt="a {class}", run_seed=seed))
    write(folder, ((s.image, f"a {s.classes[0]}") for s in shots if s.image is not None))


def drawn(stages: Stages, prompt: str, count: int, seed: int) -> Drawn:
    """`count` pictures of each class through stages 1 and 2."""
    shots = stage1.draw(stages, list(vocabulary.CLASSES), count, prompt, seed)
    profiles = [
        colour.rings(
            s.image,
            s.mask if s.open and s.mask is not None else np.zeros(s.image.shape[:2], bool),
        )
        for s in shots
    ]
    return Drawn(np.array(profiles), np.array([s.open for s in shots]))


def measure(
    given: dict[str, Any],
    work: Path,
    *,
    photos: int | Path = 60,
    count: int = 2,
    class_count: int = 64,
    tell: Tell = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Train in `work` by the settings `given` and compare pictures; (values by bar, detail).

    `photos`: how many are rendered, or a folder of captioned ones; `count`: pictures of each
    class; `class_count`: pictures of prior preservation. Minutes are of two cores, CPU time / 2:
    a busy machine does not count.
    """
    from ...configs.schema import load_settings
    from ...configs.training import check
    from ...training.lora import train_lora
    from .. import models

    settings = load_settings("mini")
    size, seed = settings.generate.width, 90_201
    tell("photos of the look")
    look = (
        rendered(work / "photos", photos, size)
        if isinstance(photos, int)
        else photographed(photos, size)
    )
    stages = models.build_stages(settings, {"generate", "detect", "segment"}, tell=tell)
    tell("pictures before, with the tag and without")
    texts = {"tagged": f"{look.tag}, a {{class}}", "plain": "a {class}"}
    before = {name: drawn(stages, text, count, seed) for name, text in texts.items()}
    used = time.process_time()
    tell("class pictures, which are to stay")
    class_pictures(stages, work / "class", class_count, seed + 1)
    given = {
        **given,
        "train_data_dir": str(look.folder),
        "class_data_dir": str(work / "class"),
        "output_dir": str(work / "out"),
        "output_name": NAME,
    }
    done = train_lora(check(given), tell=tell, warn=tell, progress=progress)
    minutes = (time.process_time() - used) / 60 / 2
    tell("pictures after, with the tag and without")
    settings = load_settings("mini", {"generate.lora_dirs": [str(work / "out")]})
    stages = models.build_stages(settings, {"generate", "detect", "segment"}, tell=tell)
    after = {
        name: drawn(stages, f"{text} <lora:{NAME}:1>", count, seed) for name, text in texts.items()
    }
    values = compare(look.profile, before, after, done.held_out)
    return values | {"train_minutes": minutes}, {
        "learned": done.pictures,
        "pictures": count * len(vocabulary.CLASSES),
        "steps": done.steps,
        "held_out_loss": [done.held_out[0][1], done.held_out[-1][1]],
        "found_before": float(before["tagged"].found.mean()),
        "distance": {
            name: [before[name].distance(look.profile), after[name].distance(look.profile)]
            for name in texts
        },
        "moved": {name: after[name].moved(before[name]) for name in texts},
        "settings": given,
    }


def compare(
    look: np.ndarray,
    before: dict[str, Drawn],
    after: dict[str, Drawn],
    losses: Sequence[tuple[float, float]],
) -> dict[str, float]:
    """The gain is 1 - after / before of the distance from the look."""

    def gain(name: str) -> float:
        return 1 - after[name].distance(look) / before[name].distance(look)

    return {
        "train_loss": losses[-1][1] / losses[0][1],
        "train_look": gain("tagged"),
        "train_plain": abs(gain("plain")),
        "train_kept": float(after["tagged"].found.mean()),
    }
