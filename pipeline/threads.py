"""Work beside the model: what comes is prepared ahead, what is done is written behind.

Both keep the order and hold a bounded number of things: who is faster waits for who is slower.
Knows no shots, no files, no models.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    items: Iterable[T], work: Callable[[T], R], *, depth: int = 8, threads: int = 2
) -> Generator[R, None, None]:
    """`work` of each item, in order; at most `depth` are worked on before they are asked for.

    >>> list(ahead([1, 2, 3], lambda x: x * x, depth=2))
    [1, 4, 9]
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="visuals-ahead")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Behind(Generic[T, R]):
    """`prepare` of each thing that is `put`, in threads, then `finish` of each, in order, in one.

    At most `depth` wait: `put` blocks while it is full. The first error is raised by the next
    `put` or at the end of the `with`; nothing is finished after it.
    """

    def __init__(
        self,
        prepare: Callable[[T], R],
        finish: Callable[[R], Any],
        *,
        depth: int = 8,
        threads: int = 2,
    ) -> None:
        self._prepare, self._finish = prepare, finish
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="visuals-behind")
        self._line: queue.Queue[Future[R] | None] = queue.Queue()
        self._room = threading.Semaphore(depth)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._drain, name="visuals-finish", daemon=True)
        self._thread.start()

    def put(self, thing: T) -> None:
        """Hand `thing` over; waits while `depth` things wait."""
        self._room.acquire()
        if self._error is not None:
            self._room.release()
            raise self._error
        self._line.put(self._pool.submit(self._prepare, thing))

    def _drain(self) -> None:
        while True:
            future = self._line.get()
            if future is None:
                return
            try:
                if self._error is None and not self._dropped:
                    self._finish(future.result())
            except BaseException as error:
                self._error = error
            finally:
                self._room.release()

    def __enter__(self) -> Behind[T, R]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits until all is finished; what is in hand is dropped where it ends by Ctrl-C."""
        self._dropped = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._line.put(None)
        self._thread.join()
        self._pool.shutdown(wait=not self._dropped, cancel_futures=self._dropped)
        if self._error is not None and error is None:
            raise self._error
