"""HTTP that is tried again: what was asked too fast, a server's own error, a dropped connection.

Each attempt comes later than the last, and as late as the server asks. Knows no API.
"""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...configs.errors import RunError, one_line

if TYPE_CHECKING:
    import requests

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
    """Requests of one account: `token` goes to addresses of `base_url` only, and no .netrc is
    asked. Threads may share it. `stop`, an Event, ends every pause at once: Stopped is raised."""

    def __init__(self, token: str, base_url: str) -> None:
        self.base_url, self._token = base_url.rstrip("/"), token
        self._own = threading.local()

    def tried(
        self, method: str, url: str, stop: threading.Event, **more: Any
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """(status, body, headers) of an answer that holds, after as many attempts as it takes;
        raises HostError after the last."""
        import requests

        for attempt in range(ATTEMPTS):
            pause = FIRST_PAUSE * 2**attempt * random.uniform(1, 1.25)
            if stop.is_set():
                raise StoppedError("stopped")
            try:
                status, data, headers = self.asked(method, url, **more)
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                why = _short(error)
            except requests.RequestException as error:
                raise HostError(f"{place(url)}: {_short(error)}") from None
            else:
                if status not in _PASSING:
                    return status, data, headers
                why = f"answered {status}"
                pause = _retry_after(headers, pause)
            if attempt + 1 < ATTEMPTS:
                rest(stop, min(pause, LONGEST_PAUSE))
        raise HostError(
            f"{place(url)}: {why}, {ATTEMPTS} times in a row; go on later: --retry-failed makes "
            "what failed again"
        )

    def asked(self, method: str, url: str, **more: Any) -> tuple[int, bytes, Mapping[str, str]]:
        """The same of one attempt; raises requests' errors."""
        session = self._session()
        auth = self._bearer if _origin(url) == _origin(self.base_url) else _nobody
        with session.request(
            method, url, auth=auth, timeout=TIMEOUTS, stream=True, **more
        ) as answer:
            data = bytearray()
            for part in answer.iter_content(1 << 16):
                data += part
                if len(data) > MOST_BYTES:
                    raise HostError(f"{place(url)}: an answer of over {MOST_BYTES >> 20} MiB")
            return answer.status_code, bytes(data), answer.headers

    def _session(self) -> requests.Session:
        import requests

        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = requests.Session()
        return session

    def _bearer(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _nobody(request: Any) -> Any:
    """The token stays with the API, and a .netrc is not asked."""
    return request


def rest(stop: threading.Event, seconds: float) -> None:
    """Wait; raises Stopped as soon as `stop` is set."""
    if stop.wait(seconds):
        raise StoppedError("stopped")


def _retry_after(headers: Mapping[str, str], usual: float) -> float:
    """Seconds that the answer asks to wait: a number or a date (RFC 9110, 10.2.3)."""
    said = headers.get("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return usual


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def place(url: str) -> str:
    """Which host an address names, for messages."""
    return urlsplit(url).netloc or "the host"


def _short(error: BaseException) -> str:
    """What went wrong, without the addresses of objects that requests puts in."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was dropped in mid-answer"
    if isinstance(error, requests.ConnectionError):
        return "the connection was refused or dropped"
    return one_line(error)[:200]
