"""Sampling: batches of an epoch in random order, random numbers a picture, caption shuffling.

Everything follows from (seed, epoch, place in the epoch) and no state is kept between steps, so a
resumed training continues exactly, on any number of processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

Batch = list[int]


def batches(
    buckets: Sequence[Hashable], repeats: Sequence[int], *, size: int, seed: int, epoch: int
) -> list[Batch]:
    """Return batches of picture indices in random order, each batch from one bucket.

    `buckets`, `repeats`: of each picture; `size`: pictures a batch, of which the last batch of a
    bucket may have fewer; `epoch`: counted from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    members: dict[Hashable, Batch] = defaultdict(list)
    for number, (bucket, times) in enumerate(zip(buckets, repeats, strict=True)):
        members[bucket] += [number] * times
    out: list[Batch] = []
    for numbers in members.values():
        mixed = [numbers[k] for k in rng.permutation(len(numbers))]
        out += [mixed[k : k + size] for k in range(0, len(mixed), size)]
    return [out[k] for k in rng.permutation(len(out))]


def chance(seed: int, epoch: int, batch: int, place: int) -> np.random.Generator:
    """Random numbers of one picture of one batch."""
    return np.random.default_rng([seed, epoch, batch, place])


def training_caption(
    text: str,
    rng: np.random.Generator,
    *,
    shuffle_caption: bool = False,
    keep_tokens: int = 0,
    caption_dropout_rate: float = 0.0,
) -> str:
    """Return a caption for one step: empty in a share `caption_dropout_rate` of them, or with the
    tags after the first `keep_tokens` shuffled. Empty tags count, as in kohya's scripts. `rng`: of
    this picture and step."""
    if caption_dropout_rate and rng.random() < caption_dropout_rate:
        return ""
    if not shuffle_caption:
        return text
    tags = [tag.strip() for tag in text.strip().split(",")]
    rest = tags[keep_tokens:]
    return ", ".join([*tags[:keep_tokens], *(rest[k] for k in rng.permutation(len(rest)))])
