"""Parts of a batch at the same time on a CPU: a thread and a core each, in place of all cores for
each operation of one part after the other.

Small operations do not fill several cores, and on a busy machine cores wait for each other after
each of them. Knows torch's thread count; no shots, no models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def workers(device: Any, most: int) -> int:
    """How many parts may go at once: torch's cores on a CPU, elsewhere 1; 1 where a batch may hold
    one thing only (`most`), since then there is no memory for more."""
    import torch

    return torch.get_num_threads() if torch.device(device).type == "cpu" and most > 1 else 1


def cut(things: Sequence[T], most: int, workers: int) -> list[list[T]]:
    """`things` in parts of at most `most`, in order, evenly over the workers.

    >>> cut([1, 2, 3, 4, 5, 6], 8, 2)
    [[1, 2, 3], [4, 5, 6]]
    """
    rounds = -(-len(things) // (most * workers)) or 1
    size = max(1, min(most, -(-len(things) // (rounds * workers))))
    return [list(things[k : k + size]) for k in range(0, len(things), size)]


def each(work: Callable[[T], R], parts: Sequence[T], workers: int) -> list[R]:
    """`work` of each part, in order, `workers` of them at a time; the first error is raised.

    `work` enters torch.inference_mode itself: it holds for one thread only.
    """
    if workers < 2 or len(parts) < 2:
        return [work(part) for part in parts]
    import torch

    cores = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            min(workers, len(parts)), "visuals-part", torch.set_num_threads, (1,)
        ) as pool:
            return list(pool.map(work, parts))
    finally:
        torch.set_num_threads(cores)  # what a thread sets holds for all that are begun later
