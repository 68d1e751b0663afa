"""The limit of attempts to guess the studio's token."""

from __future__ import annotations

import time
from collections import deque

MOST = 10
"""Wrong tokens of a client in PERIOD; then none of it is looked at, right ones neither."""
PERIOD = 60.0
"""Seconds."""
CLIENTS = 10_000
"""Clients that are remembered, the latest."""


class TokenAttempts:
    """Counts wrong tokens by the addresses of clients."""

    def __init__(self) -> None:
        self._wrong: dict[str, deque[float]] = {}

    def add(self, client: str) -> None:
        """Count a wrong token."""
        times = self._wrong.pop(client, deque(maxlen=MOST))
        times.append(time.monotonic())
        self._wrong[client] = times
        if len(self._wrong) > CLIENTS:
            del self._wrong[next(iter(self._wrong))]

    def wait(self, client: str) -> int:
        """Return the seconds until a token of the client is looked at again, 0 for at once."""
        times = self._wrong.get(client, deque())
        left = times[0] + PERIOD - time.monotonic() if len(times) == MOST else 0
        return max(0, int(left + 1)) if left > 0 else 0
