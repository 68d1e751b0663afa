"""CPU data parallelism: parts of a batch run at the same time, each in a thread with one core.

Small operations do not fill several cores, and on a busy machine cores wait for each other after
each of them.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from ...configs.errors import VisualsError

_PART = threading.local()
T = TypeVar("T")
R = TypeVar("R")


class PartDroppedError(VisualsError):
    """Raised in a part whose result is no longer needed."""


def workers(device: Any, most: int) -> int:
    """How many parts may run at the same time: torch's threads on a CPU, elsewhere 1; also 1 where
    a batch may hold only one item (`most`), since then memory is short."""
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

    `work` enters torch.inference_mode itself: it holds for one thread only. Within a part there
    is one core, and parts of parts go one after the other.
    """
    if workers < 2 or len(parts) < 2 or getattr(_PART, "over", None) is not None:
        return [work(part) for part in parts]
    over = threading.Event()
    begun = [_pool(workers).submit(_one, work, part, over) for part in parts]
    try:
        ended, _ = wait(begun, return_when=FIRST_EXCEPTION)
        for done in ended:
            done.result()
        return [done.result() for done in begun]
    finally:
        _drop(begun, over)


def stream(work: Callable[[T], R], parts: Iterable[T], workers: int) -> Generator[R, None, None]:
    """`work` of each part, in order, as in `each`, but nobody waits for the last of some parts: the
    next are taken from `parts` as workers get free, one more than there are workers. Close it where
    it is left early."""
    if workers < 2:
        yield from map(work, parts)
        return
    over = threading.Event()
    begun: deque[Future[R]] = deque()
    try:
        for part in parts:
            begun.append(_pool(workers).submit(_one, work, part, over))
            if len(begun) > workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        _drop(begun, over)


def _one(work: Callable[[T], R], part: T, over: threading.Event) -> R:
    _PART.over = over
    try:
        return work(part)
    finally:
        _PART.over = None


def _drop(begun: Iterable[Future[Any]], over: threading.Event) -> None:
    """After an error or Ctrl-C: cancel what waits, and end running parts at their next `step`."""
    over.set()
    for waiting in begun:
        waiting.cancel()
    wait(begun)


def step() -> None:
    """To be called between the steps of long work.

    Raises:
        PartDroppedError: where another part has failed or the run was stopped.
    """
    over = getattr(_PART, "over", None)
    if over is not None and over.is_set():
        raise PartDroppedError("another part of the batch failed, or the run was stopped")


@functools.lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    """A pool that is kept: new threads for each batch took a tenth longer, since each begins with
    an empty malloc arena."""
    import torch

    cores, ready = torch.get_num_threads(), threading.Barrier(workers + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes the number when it first asks for it
        ready.wait()

    pool = ThreadPoolExecutor(workers, "visuals-part", begin)
    for _ in range(workers):
        pool.submit(int)
    ready.wait()
    torch.set_num_threads(cores)  # what a thread sets holds for all that are begun later
    return pool
