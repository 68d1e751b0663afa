"""Background I/O: prefetch inputs and write outputs, in order and within bounds.

Both hold a bounded number of items, of bounded total weight where a weight is given; the faster
side waits for the slower one.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    depth: int = 8,
    threads: int = 2,
    weigh: Callable[[R], int] = lambda done: 0,
    most: int = 0,
) -> Generator[R, None, None]:
    """Yield `work` of each item, in order, computed ahead in threads.

    Args:
        items: taken one by one, as there is room.
        work: runs in a thread; its errors are raised by the item's turn.
        depth: items in work or waiting to be consumed, at most.
        threads: how many work at the same time.
        weigh: the weight of a result, such as its pixels.
        most: no new work starts while finished results weigh more than this.

    >>> list(prefetch([1, 2, 3], lambda x: x * x, depth=2))
    [1, 4, 9]
    """
    waiting: deque[Future[R]] = deque()
    gate = _Gate(most)

    def gated(number: int, item: T) -> R:
        gate.wait(number)
        done = work(item)
        gate.add(weigh(done))
        return done

    def first() -> R:
        done = waiting.popleft().result()
        gate.next(weigh(done))
        return done

    pool = ThreadPoolExecutor(threads, thread_name_prefix="visuals-ahead")
    try:
        for number, item in enumerate(items):
            waiting.append(pool.submit(gated, number, item))
            if len(waiting) > depth:
                yield first()
        while waiting:
            yield first()
    finally:
        gate.open()
        pool.shutdown(wait=False, cancel_futures=True)


class _Gate:
    """Blocks new work while finished, unconsumed results weigh more than `most`; the next result
    in order is exempt."""

    def __init__(self, most: int) -> None:
        self._most, self._weight, self._turn, self._opened = most, 0, 0, False
        self._changed = threading.Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._opened or self._weight <= self._most or number == self._turn
            )

    def add(self, weight: int) -> None:
        with self._changed:
            self._weight += weight

    def next(self, weight: int) -> None:
        with self._changed:
            self._weight, self._turn = self._weight - weight, self._turn + 1
            self._changed.notify_all()

    def open(self) -> None:
        with self._changed:
            self._opened = True
            self._changed.notify_all()


class _Room:
    """A limit on the number of items and on their total weight; a single item always fits."""

    def __init__(self, things: int, weight: int) -> None:
        self._most = things, weight
        self._count = self._weight = 0
        self._changed = threading.Condition()

    def take(self, weight: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._fits(weight))
            self._count, self._weight = self._count + 1, self._weight + weight

    def give(self, weight: int) -> None:
        with self._changed:
            self._count, self._weight = self._count - 1, self._weight - weight
            self._changed.notify()

    def _fits(self, weight: int) -> bool:
        things, most = self._most
        return not self._count or (self._count < things and self._weight + weight <= most)


class BackgroundWriter(Generic[T, R]):
    """Runs `prepare` on each item that is `put`, in threads, then `finish` on each, in order, in
    one thread.

    The first error is raised by the next `put` or at the end of the `with`; nothing is finished
    after it.

    Args:
        prepare: such as encoding a picture.
        finish: such as appending the manifest's line.
        depth: items that wait, at most; `put` blocks while it is full.
        threads: that run `prepare`.
        weigh: the weight of an item, such as its pixels.
        most: the total weight of the items that wait, at most.
    """

    def __init__(
        self,
        prepare: Callable[[T], R],
        finish: Callable[[R], Any],
        *,
        depth: int = 8,
        threads: int = 2,
        weigh: Callable[[T], int] = lambda thing: 0,
        most: int = 0,
    ) -> None:
        self._weigh = weigh
        self._prepare, self._finish = prepare, finish
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="visuals-behind")
        self._line: queue.Queue[tuple[Future[R], int] | None] = queue.Queue()
        self._room = _Room(depth, most)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._drain, name="visuals-finish", daemon=True)
        self._thread.start()

    def put(self, thing: T) -> None:
        """Queue an item; blocks while there is no room."""
        weight = self._weigh(thing)
        self._room.take(weight)
        if self._error is not None:
            self._room.give(weight)
            raise self._error
        self._line.put((self._pool.submit(self._prepare, thing), weight))

    def _drain(self) -> None:
        while True:
            waiting = self._line.get()
            if waiting is None:
                return
            future, weight = waiting
            try:
                if self._error is None and not self._dropped:
                    self._finish(future.result())
            except BaseException as error:
                self._error = error
            finally:
                self._room.give(weight)

    def __enter__(self) -> BackgroundWriter[T, R]:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait until all is finished; on Ctrl-C what waits is dropped."""
        self._dropped = isinstance(error, KeyboardInterrupt)
        self._line.put(None)
        self._thread.join()
        self._pool.shutdown(wait=not self._dropped, cancel_futures=self._dropped)
        if self._error is not None and error is None:
            raise self._error
