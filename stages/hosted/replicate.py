"""A client of Replicate's HTTP API (replicate.com/docs/reference/http)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from ...configs.errors import UsageError, one_line
from ...configs.text_files import parse_json
from .http import HostError, Http, place, rest

FIRST_LOOK, LONGEST_LOOK = 0.5, 3.0
"""Seconds between two looks at a running prediction."""
_ENDED = ("succeeded", "failed", "canceled", "aborted")


class RefusedError(HostError, UsageError):
    """A request that is wrong however often it is made: token, model, inputs, money."""


@dataclass(frozen=True)
class Prediction:
    """`status`: starting, processing, succeeded, failed, canceled or aborted; `output`: addresses
    of what it made; `error`: the model's own words, "" where there are none."""

    id: str
    version: str
    status: str
    output: tuple[str, ...]
    error: str

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


class ReplicateClient:
    """One account at Replicate. `base_url`: of the API; `timeout`: seconds a prediction may take.

    Threads may share it. `stop`, an Event, ends every wait at once: Stopped is raised.
    """

    def __init__(
        self, token: str, *, base_url: str = "https://api.replicate.com", timeout: float = 600
    ) -> None:
        self._http, self.timeout = Http(token, base_url), timeout

    def account(self, stop: threading.Event | None = None) -> str:
        """The account's name; raises Refused for a token that does not count."""
        return str(self._record("GET", "/v1/account", stop or threading.Event()).get("username"))

    def create(self, version: str, inputs: Mapping[str, Any], stop: threading.Event) -> Prediction:
        """Begin a prediction of `owner/name:version`, a bare version, or an official `owner/name`.

        Replicate itself ends it after `timeout`, should nobody be left to cancel it.
        """
        body: dict[str, Any] = {"input": dict(inputs)}
        if "/" in version and ":" not in version:
            path = f"/v1/models/{version}/predictions"
        else:
            path, body["version"] = "/v1/predictions", version.rpartition(":")[2]
        ends = {"Cancel-After": f"{max(5, round(self.timeout))}s"}
        return _prediction(self._record("POST", path, stop, json=body, headers=ends))

    def wait(self, prediction: Prediction, stop: threading.Event) -> Prediction:
        """The prediction when it has ended. One that takes too long, and one that is stopped, is
        canceled; HostError and Stopped say so."""
        last, pause = time.monotonic() + self.timeout, FIRST_LOOK
        try:
            while not prediction.ended:
                if time.monotonic() > last:
                    raise HostError(
                        f"prediction {prediction.id} was {prediction.status} after "
                        f"{self.timeout:g} seconds: canceled; set generate.replicate.timeout"
                    )
                rest(stop, pause)
                pause = min(pause * 1.5, LONGEST_LOOK)
                answer = self._record("GET", f"/v1/predictions/{prediction.id}", stop)
                prediction = _prediction(answer)
        except HostError:
            self.cancel(prediction)
            raise
        return prediction

    def cancel(self, prediction: Prediction) -> None:
        """Cancel it, tried once: what is not heard ends by itself (see `create`)."""
        import requests

        path = f"/v1/predictions/{prediction.id}/cancel"
        with contextlib.suppress(requests.RequestException, HostError):
            self._http.once("POST", self._http.base_url + path)

    def download(self, url: str, stop: threading.Event) -> bytes:
        """The bytes of an output, at most MOST_BYTES."""
        if url.startswith("data:"):
            return _inline(url)
        status, data = self._http.request("GET", url, stop)
        if status != 200:
            raise HostError(f"{place(url)} answered {status} for an output; run it again")
        return data

    def _record(self, method: str, path: str, stop: threading.Event, **more: Any) -> dict[str, Any]:
        status, data = self._http.request(method, self._http.base_url + path, stop, **more)
        record = None
        with contextlib.suppress(ValueError):
            record = parse_json(data)
        if status >= 400:
            raise RefusedError(_refusal(status, record, path))
        if not isinstance(record, dict):
            raise HostError(
                f"{self._http.base_url}{path} answered with no JSON object: expected Replicate's "
                "API there; set REPLICATE_API_BASE_URL"
            )
        return record


def _prediction(record: Mapping[str, Any]) -> Prediction:
    id_, status = str(record.get("id")), str(record.get("status"))
    if not re.fullmatch(r"[\w-]+", id_):
        raise HostError(f"the host answered with no prediction: id {id_[:40]!r}")
    output = record.get("output")
    outputs = output if isinstance(output, list) else [output]
    return Prediction(
        id_,
        str(record.get("version") or ""),
        status,
        tuple(found for found in outputs if isinstance(found, str)),
        one_line(record.get("error") or ""),
    )


def _refusal(status: int, record: Any, path: str) -> str:
    message = record.get("detail") or record.get("title") if isinstance(record, dict) else ""
    detail = one_line(message or "").rstrip(".") or f"HTTP {status}"
    if status == 401:
        return (
            f"Replicate does not know the token ({detail}): set REPLICATE_API_TOKEN to one of "
            "replicate.com/account/api-tokens"
        )
    if status == 402:
        return f"Replicate wants to be paid first ({detail}): see replicate.com/account/billing"
    if status == 404:
        return f"Replicate has no {path.removeprefix('/v1/')} ({detail}): check generate.version"
    if status == 422:
        return (
            f"Replicate refuses version or inputs ({detail}): check generate.version, and set "
            "generate.replicate.input_names to what the model calls them"
        )
    return f"Replicate answered {status} ({detail})"


def _inline(url: str) -> bytes:
    head, _, data = url.partition(",")
    try:
        raw = unquote_to_bytes(data)
        return base64.b64decode(raw, validate=True) if head.endswith(";base64") else raw
    except (binascii.Error, ValueError):
        raise HostError("an output that is no base64; run it again") from None
