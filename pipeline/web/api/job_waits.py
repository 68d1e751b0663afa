"""Waits for the ends of jobs on the event loop, of which a client has a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException, Request

from ..queue.job_queue import JobQueue, QueuedJob

MOST = 8
"""Waits of one client at a time."""
EVERY = 0.1
"""Seconds between two looks at a job."""


class JobWaits:
    """Waits that hold no thread, counted by the addresses of clients."""

    def __init__(self, queue: JobQueue) -> None:
        self.queue, self.waits = queue, Counter[str]()

    @contextmanager
    def turn(self, request: Request, seconds: float) -> Iterator[None]:
        """Count a request that waits so long; raises HTTPException 429 for one too many."""
        client = request.client.host if request.client else ""
        if seconds and self.waits[client] >= MOST:
            raise HTTPException(429, f"{MOST} of your requests wait already: ask without ?wait=")
        self.waits[client] += bool(seconds)
        try:
            yield
        finally:
            self.waits[client] -= bool(seconds)
            self.waits += Counter()  # drops the clients that have none

    async def until_end(self, job: QueuedJob, seconds: float, request: Request) -> None:
        """Return when the job has ended, the time is up, or the client has gone."""
        end = time.monotonic() + seconds
        while not self.queue.has_ended(job) and time.monotonic() < end:
            if await request.is_disconnected():
                return
            await asyncio.sleep(EVERY)
