"""Training set: the pictures to learn, held-out pictures and class pictures, in buckets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import sampling
from .buckets import Buckets, steps_per_epoch
from .dataset_folder import Dataset, DatasetError, read_dataset
from .examples import Example, examples, split

if TYPE_CHECKING:
    from ...configs.train import TrainSettings


@dataclass
class TrainingSet:
    """Pictures of a training.

    Attributes:
        learned: Pictures to train on, class pictures included.
        held_out: Pictures of the validation split.
        tag: Activation tag, or "".
        problems: A sentence for each picture that was left out or is suspicious.
    """

    learned: list[Example]
    held_out: list[Example]
    tag: str
    problems: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        """What must be unchanged when a training is resumed, by picture."""
        return {e.name: e.identity for e in (*self.learned, *self.held_out)}

    def batches(self, settings: TrainSettings, size: int, epoch: int) -> list[sampling.Batch]:
        """Batches of `size` pictures of an epoch, counted from 0."""
        return sampling.batches(
            [e.fit.bucket_wh for e in self.learned],
            [e.repeats for e in self.learned],
            size=size,
            seed=settings.seed,
            epoch=epoch,
        )

    def steps_per_epoch(self, settings: TrainSettings, size: int) -> int:
        """Optimizer steps of an epoch at batches of `size` pictures."""
        counts: Counter[tuple[int, int]] = Counter()
        for e in self.learned:
            counts[e.fit.bucket_wh] += e.repeats
        return steps_per_epoch(counts.values(), size, settings.gradient_accumulation_steps)


def make_buckets(settings: TrainSettings) -> Buckets:
    """Buckets by kohya's options; unset limits are 320 and 1280 at resolution 768, in proportion
    (the limits of the method's published training)."""
    s = settings
    step, side = max(1, s.bucket_reso_steps), min(s.resolution)
    low = min(round(side * 320 / 768 / step), side // step) * step
    high = math.ceil(max(s.resolution) * 1280 / 768 / step) * step
    return Buckets(
        resolution_wh=s.resolution,
        enable_bucket=s.enable_bucket,
        min_bucket_reso=s.min_bucket_reso or max(low, step),
        max_bucket_reso=s.max_bucket_reso or high,
        bucket_reso_steps=s.bucket_reso_steps,
        bucket_no_upscale=s.bucket_no_upscale,
    )


def read_settings_dataset(settings: TrainSettings) -> Dataset:
    """Read `train_data_dir` as the settings say; raises DatasetError."""
    s = settings
    return read_dataset(
        s.train_data_dir,
        repeats=s.repeats,
        caption_column=s.caption_column,
        caption_extension=s.caption_extension,
        outputs=[s.output_dir],
        without=[folder for folder in (s.class_data_dir, s.cache_dir) if folder],
    )


def read_training_set(settings: TrainSettings) -> TrainingSet:
    """Read and check the data set; raises DatasetError or BucketError."""
    s = settings
    sizes = make_buckets(s)
    dataset = read_settings_dataset(s)
    if dataset.excess:
        raise DatasetError(dataset.excess)
    usable, problems = examples(
        dataset, sizes, instance_prompt=s.instance_prompt, masks=s.masked_loss
    )
    learned, held_out = split(usable, s.validation_split, s.seed)
    if s.with_prior_preservation:
        learned += _class_examples(s, sizes, learned, problems)
    return TrainingSet(learned, held_out, s.trigger_phrase or dataset.tag, problems)


def _class_examples(
    settings: TrainSettings, sizes: Buckets, learned: Sequence[Example], problems: list[str]
) -> list[Example]:
    """Class pictures, repeated until there are about as many as pictures to learn."""
    usable, found = examples(
        read_dataset(str(settings.class_data_dir), outputs=[settings.output_dir]),
        sizes,
        instance_prompt=settings.class_prompt,
        weight=settings.prior_loss_weight,
    )
    problems += found
    repeats = max(1, sum(e.repeats for e in learned) // len(usable))
    return [replace(e, name=f"class/{e.name}", repeats=repeats) for e in usable]
