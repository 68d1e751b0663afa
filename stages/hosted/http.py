"""HTTP requests that are repeated after rate limits, server errors and dropped connections."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ...configs.errors import RunError, one_line

ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between attempts: the first, doubled each time, and the most, also of Retry-After."""
TIMEOUTS = (10, 60)
"""Seconds for a connection, and for the next bytes of an answer."""
MOST_BYTES = 256 << 20
_PASSING = (408, 429, 500, 502, 503, 504)


class HostError(RunError):
    """What the host refused, or that it cannot be reached; the message says what to do."""


class StoppedError(HostError):
    """Given up because the user asked for it."""


class Http:
    """Requests of one account. `token` goes to addresses below `base_url` only.

    urllib3's Retry would neither fetch a body again that was cut off, nor let Ctrl-C end a pause.
    """

    def __init__(self, token: str, base_url: str) -> None:
        self.base_url, self._token = base_url.rstrip("/"), token

    def request(
        self, method: str, url: str, stop: threading.Event, **more: Any
    ) -> tuple[int, bytes]:
        """Return status and body, after as many attempts as it takes.

        Raises:
            HostError: after the last attempt.
            StoppedError: as soon as `stop` is set, also in a pause.
        """
        import requests

        dropped = (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        )
        why, pause = "", 0.0
        for attempt in range(ATTEMPTS):
            rest(stop, min(pause, LONGEST_PAUSE))
            pause = FIRST_PAUSE * 2**attempt * random.uniform(1, 1.25)
            try:
                status, data, headers = self.once(method, url, **more)
            except dropped as error:
                why = _describe(error)
            except requests.RequestException as error:
                raise HostError(f"{place(url)}: {_describe(error)}") from None
            else:
                if status not in _PASSING:
                    return status, data
                why = f"answered {status}"
                pause = _retry_after(headers.get("Retry-After", ""), pause)
        raise HostError(
            f"{place(url)}: {why}, {ATTEMPTS} times in a row; go on later: --retry-failed makes "
            "what failed again"
        )

    def once(self, method: str, url: str, **more: Any) -> tuple[int, bytes, Mapping[str, str]]:
        """Return status, body and headers of one attempt; raises requests' errors."""
        import requests

        def authorize(request: Any) -> Any:  # given for every address, so that no .netrc is read
            if url.startswith(f"{self.base_url}/"):
                request.headers["Authorization"] = f"Bearer {self._token}"
            return request

        with requests.request(
            method, url, auth=authorize, timeout=TIMEOUTS, stream=True, **more
        ) as answer:
            data = bytearray()
            for part in answer.iter_content(1 << 16):
                data += part
                if len(data) > MOST_BYTES:
                    raise HostError(f"{place(url)}: an answer of over {MOST_BYTES >> 20} MiB")
            return answer.status_code, bytes(data), answer.headers


def rest(stop: threading.Event, seconds: float) -> None:
    """Wait; raises StoppedError as soon as `stop` is set."""
    if stop.wait(seconds):
        raise StoppedError("stopped")


def _retry_after(value: str, default: float) -> float:
    """Seconds that the answer asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return default
    return max(0.0, seconds)


def place(url: str) -> str:
    """The host of an address, for messages."""
    return urlsplit(url).netloc or "the host"


def _describe(error: BaseException) -> str:
    """What went wrong, without the addresses of objects that requests puts in."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was dropped in mid-answer"
    if isinstance(error, requests.ConnectionError):
        return "the connection was refused or dropped"
    return one_line(error)[:200]
