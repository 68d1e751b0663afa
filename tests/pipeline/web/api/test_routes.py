"""The JSON API behind its guard: token, host, size, and errors that are said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
from starlette.testclient import TestClient

from visuals.pipeline.web.access import AccessGuard
from visuals.pipeline.web.api import routes
from visuals.pipeline.web.queue.job_queue import JobQueue

TOKEN = {"Authorization": "Bearer a-long-secret"}


@pytest.fixture
def desk(mini: Path, own_home: Path) -> Iterator[JobQueue]:
    desk = JobQueue("runs")
    yield desk
    desk.close()


def test_a_token_is_asked_for_and_limits_hold(desk: JobQueue) -> None:
    app = AccessGuard(routes.app_of(desk), token="a-long-secret", most_bytes=2000)
    client = TestClient(app, base_url="http://studio.example")
    assert client.get("/docs").status_code == 401
    assert client.get("/openapi.json", headers=TOKEN).status_code == 200
    assert client.get("/docs", headers=TOKEN).status_code == 200
    assert client.post("/api/run", content=b"x" * 3000, headers=TOKEN).status_code == 413
    said = client.post("/api/run", json={"classes": ["mug"], "preset": "zz"}, headers=TOKEN)
    assert said.status_code == 422 and "unknown preset 'zz'" in said.text
    photos = {"photos": ("../../x.png", b"no picture")}
    said = client.post("/api/filter", files=photos, data={"classes": "mug"}, headers=TOKEN)
    assert said.status_code == 422 and "not a picture" in said.text
    assert client.get("/api/runs/nothing", headers=TOKEN).status_code == 404


def test_without_a_token_only_this_machine_is_answered(desk: JobQueue) -> None:
    app = AccessGuard(routes.app_of(desk))
    assert TestClient(app, base_url="http://evil.example").get("/api/runs").status_code == 403
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/api/runs").json() == {"runs": [], "jobs": []}
    other = client.post("/api/runs/x/cancel", headers={"Origin": "http://evil.example"})
    assert other.status_code == 403
