"""Which pictures a step learns from, in which order, and the chance that goes with each.

All of it follows from (seed, epoch, place in the epoch): nothing is kept between steps, so a
resumed training goes on with what would have come, on any number of processes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

Batch = list[int]


def batches(
    buckets: Sequence[Hashable], repeats: Sequence[int], *, size: int, seed: int, epoch: int
) -> list[Batch]:
    """Numbers of pictures, `size` a batch, each batch from one bucket, all in random order.

    `buckets`, `repeats`: of each picture.
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
    """The random numbers of one picture in one batch."""
    return np.random.default_rng([seed, epoch, batch, place])


def spoken(
    text: str,
    rng: np.random.Generator,
    *,
    shuffle_caption: bool = False,
    keep_tokens: int = 0,
    caption_dropout_rate: float = 0.0,
) -> str:
    """The caption as it is learned this time: dropped, or its tags after the kept ones mixed."""
    if caption_dropout_rate and rng.random() < caption_dropout_rate:
        return ""
    if not shuffle_caption:
        return text
    tags = [part.strip() for part in text.split(",") if part.strip()]
    rest = tags[keep_tokens:]
    return ", ".join([*tags[:keep_tokens], *(rest[k] for k in rng.permutation(len(rest)))])
