"""A small server on loopback that speaks the part of Replicate's HTTP API that predictions need,
with the faults of networks and hosts on demand. Outputs come from a second address, as they do
there, which must never see the token."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TOKEN = "r8_accepted"
VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
MODEL = f"stability-ai/sdxl:{VERSION}"
OFFICIAL = "black-forest-labs/flux-schnell"
INPUTS = {
    "prompt", "negative_prompt", "width", "height", "num_outputs", "scheduler",
    "num_inference_steps", "guidance_scale", "seed", "refine", "high_noise_frac", "lora_scale",
    "replicate_weights", "apply_watermark",
}  # fmt: skip
DROP, CUT = "drop", "cut"
"""Faults: no answer at all; half an answer."""
Plan = Callable[[dict[str, Any]], "Ending"]


@dataclass
class Ending:
    """How a prediction ends. `status` "": never; `data`: the bytes of its pictures."""

    status: str = "succeeded"
    data: list[bytes] = field(default_factory=list)
    error: str | None = None
    output: Any = None
    """In place of the addresses of `data`."""


class Replicate:
    """`with Replicate(plan) as host:` answers at `host.url`; `plan` says how the prediction of
    some inputs ends."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.looks = plan, 1
        """How often a prediction is seen running before it has ended."""
        self.predictions: dict[str, dict[str, Any]] = {}
        self.canceled: list[str] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """(method, path, headers) of each request."""
        self.faults: list[tuple[str, str, Any, dict[str, str]]] = []
        """(method, beginning of the path, status or fault, headers): each is met once."""
        self.running = self.most_running = 0
        self._endings: dict[str, Ending] = {}
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()
        host = self

        class Handler(_Handler):
            of = host

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self.url, self.delivery = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )

    def sent(self) -> list[dict[str, Any]]:
        """The inputs of each prediction, in the order in which they were begun."""
        return [record["input"] for record in self.predictions.values()]

    def times(self, method: str, path: str) -> int:
        return sum(m == method and p.startswith(path) for m, p, _ in self.requests)

    def begin(self, inputs: dict[str, Any], version: str) -> dict[str, Any]:
        with self._lock:
            id_ = f"p{len(self.predictions) + 1:08d}"
            ending = self._endings[id_] = self.plan(inputs)
            if ending.output is None and ending.data:
                names = [f"/{id_}/out-{k}.png" for k in range(len(ending.data))]
                self._files.update(zip(names, ending.data, strict=True))
                ending.output = [self.delivery + name for name in names]
            self.predictions[id_] = {
                "id": id_,
                "version": version,
                "input": inputs,
                "status": "starting",
                "output": None,
                "error": None,
                "looks": 0,
                "urls": {"get": f"{self.url}/v1/predictions/{id_}"},
            }
            self.running += 1
            self.most_running = max(self.running, self.most_running)
            return self.predictions[id_]

    def look(self, id_: str) -> dict[str, Any]:
        with self._lock:
            record, ending = self.predictions[id_], self._endings[id_]
            record["looks"] += 1
            if record["status"] in ("starting", "processing"):
                record["status"] = "processing"
                if ending.status and record["looks"] > self.looks:
                    record |= {"status": ending.status, "error": ending.error}
                    record["output"] = ending.output if ending.status == "succeeded" else None
                    self.running -= 1
            return record

    def cancel(self, id_: str) -> dict[str, Any]:
        with self._lock:
            self.canceled.append(id_)
            self.predictions[id_]["status"] = "canceled"
            self.running -= 1
            return self.predictions[id_]

    def fault(self, method: str, path: str) -> tuple[Any, dict[str, str]]:
        with self._lock:
            for k, (m, begins, what, headers) in enumerate(self.faults):
                if m == method and path.startswith(begins):
                    del self.faults[k]
                    return what, headers
        return None, {}

    def wait_for(self, enough: Callable[[], bool], seconds: float = 120) -> None:
        last = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < last, self.requests[-5:]
            time.sleep(0.05)

    def __enter__(self) -> Replicate:
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: Replicate

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(json.loads(raw) if raw else {})

    def _answer(self, body: dict[str, Any]) -> None:
        host, path = self.of, self.path
        host.requests.append((self.command, path, dict(self.headers)))
        what, headers = host.fault(self.command, path)
        if what == DROP:
            self.close_connection = True
            return None
        if isinstance(what, int):
            return self._say(what, {"detail": "a fault"}, headers)
        if not path.startswith("/v1/"):
            data = host._files.get(path)
            return self._send(200 if data else 404, data or b"", {}, cut=what == CUT)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(401, {"title": "Unauthenticated", "detail": "Invalid token."})
        if path == "/v1/account":
            return self._say(200, {"type": "user", "username": "tester"})
        if self.command == "POST" and path in (
            "/v1/predictions",
            f"/v1/models/{OFFICIAL}/predictions",
        ):
            version = VERSION if path.startswith("/v1/models") else body.get("version")
            if version != VERSION:
                return self._say(422, {"title": "Invalid version", "detail": "Invalid version."})
            strange = sorted(set(body["input"]) - INPUTS)
            if strange:
                said = f"- input: Additional property {strange[0]} is not allowed"
                return self._say(422, {"title": "Input validation failed", "detail": said})
            return self._say(201, host.begin(body["input"], version))
        id_, _, rest = path.removeprefix("/v1/predictions/").partition("/")
        if id_ not in host.predictions:
            return self._say(404, {"detail": "The requested resource could not be found."})
        if rest == "cancel":
            return self._say(200, host.cancel(id_))
        return self._say(200, host.look(id_))

    def _say(self, status: int, record: dict[str, Any], headers: Any = None) -> None:
        self._send(status, json.dumps(record).encode(), headers or {})

    def _send(self, status: int, data: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = cut or self.close_connection
