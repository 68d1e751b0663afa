"""What of the Dockerfile can be tried without Docker: its health check, and what it must not do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "hosting" / "Dockerfile").read_text()


def words(instruction: str) -> list[str]:
    """The JSON list of an instruction's exec form."""
    (found,) = re.findall(rf"^{instruction}.*?(\[.*\])$", TEXT, re.MULTILINE)
    listed: list[str] = json.loads(found)
    return listed


@pytest.fixture
def status() -> Iterator[list[int]]:
    """A server that answers with the status in the list; the health check is of its port."""
    answer = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer[0])
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    answer.append(server.server_address[1])
    yield answer
    server.shutdown()
    server.server_close()


def healthy(port: int) -> bool:
    python, *rest = words("HEALTHCHECK")
    assert python == "python" and f":{words('CMD')[4]}/" in rest[-1]
    code = rest[-1].replace(":7860/", f":{port}/")
    done = subprocess.run([sys.executable, *rest[:-1], code], capture_output=True)
    return done.returncode == 0


def test_the_health_check(status: list[int]) -> None:
    for said, well in ((200, True), (401, True), (500, False), (503, False)):
        status[0] = said
        assert healthy(status[1]) is well, said
    assert not healthy(1)


def test_it_runs_as_nobody_special_and_holds_no_token() -> None:
    assert re.findall(r"^USER (.*)$", TEXT, re.MULTILINE) == ["1000"]
    assert words("ENTRYPOINT") == ["visuals"] and words("CMD")[0] == "ui"
    assert "--token" not in words("CMD") and "VISUALS_TOKEN=" not in TEXT
