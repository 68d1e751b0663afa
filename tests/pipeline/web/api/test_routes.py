"""The JSON API behind its guard: token, host, size, and errors that are said."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
from helpers.scripted_worker import END, EndingWorker, ScriptedWorker
from PIL import Image
from starlette.testclient import TestClient

from visuals.pipeline.jobs.draw_grid import GridRequest
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.web.access import AccessGuard
from visuals.pipeline.web.api import routes
from visuals.pipeline.web.queue.job_queue import JobQueue
from visuals.pipeline.web.queue.requests import ResumeRequest

TOKEN = {"Authorization": "Bearer a-long-secret"}


@pytest.fixture
def queue(mini: Path, own_home: Path) -> Iterator[JobQueue]:
    queue = JobQueue("runs")
    yield queue
    queue.close()


def test_a_token_is_asked_for_and_limits_hold(queue: JobQueue) -> None:
    app = AccessGuard(routes.app_of(queue), token="a-long-secret", most_bytes=2000)
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


def test_jobs_are_listed_in_a_line_each(tmp_path: Path) -> None:
    worker = ScriptedWorker()
    queue = JobQueue(tmp_path / "runs", worker=lambda: worker)
    client = TestClient(routes.app_of(queue))
    ended, current, waiting = (
        queue.submit(request)
        for request in (
            RunRequest(command="filter", inputs=["x"], classes=["mug"]),
            RunRequest(classes=["mug", "lamp"], count=2),
            GridRequest(prompts=("a {class}",), classes=("mug",)),
        )
    )
    worker.events.put(END)
    queue.wait(ended, 30)
    for stage, done in (("generate", 4), ("rerender", 1)):
        worker.events.put({"event": "stage", "stage": stage, "done": done, "total": 4})
    while "rerender" not in current.stages:
        time.sleep(0.01)
    running, queued, done = client.get("/api/jobs").json()
    assert running["title"] == "mug, lamp: 4 pictures" and running["status"] == "running"
    assert (running["done"], running["total"]) == (5, 8)
    assert (queued["title"], queued["status"]) == ("Compare mug", "queued")
    assert (done["title"], done["status"]) == ("Find mug", "done")
    client.post(f"/api/runs/{waiting.id}/cancel")
    assert [job["status"] for job in client.get("/api/jobs").json()] == [
        "running", "stopped", "done",
    ]  # fmt: skip
    queue.close()


def test_without_a_token_only_this_machine_is_answered(queue: JobQueue) -> None:
    app = AccessGuard(routes.app_of(queue))
    assert TestClient(app, base_url="http://evil.example").get("/api/runs").status_code == 403
    client = TestClient(app, base_url="http://127.0.0.1")
    assert client.get("/api/runs").json() == {"runs": [], "jobs": []}
    other = client.post("/api/runs/x/cancel", headers={"Origin": "http://evil.example"})
    assert other.status_code == 403


def test_beyond_this_machine_no_error_names_a_path_of_the_server(queue: JobQueue) -> None:
    run = queue.root / "a-run"
    run.mkdir()
    (run / "run.yaml").write_text("{}")
    failed = (
        '"status": "failed", "error": {"kind": "E", "where": "x", "message": "at /srv/x/a.png"}'
    )
    (run / "manifest.jsonl").write_text(f'{{"id": "a", "seed": 1, {failed}}}\n')
    for token, text in (
        (None, "at /srv/x/a.png"),
        ("a-long-secret", "at …/a.png"),
    ):
        app = AccessGuard(routes.app_of(queue), token=token)
        client = TestClient(app, base_url="http://localhost")
        (shot,) = client.get("/api/runs/a-run", headers=TOKEN).json()["shots"]
        assert shot["error"]["message"] == text


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def client(mini: Path, own_home: Path) -> Iterator[TestClient]:
    queue = JobQueue("runs", worker=EndingWorker)
    yield TestClient(routes.app_of(queue), base_url="http://127.0.0.1")
    queue.close()


def test_the_body_is_a_run_request(client: TestClient) -> None:
    body = {"classes": ["mug"], "steps": 3, "edit": "red"}
    answer = client.post("/api/run", json=body, params={"wait": 30})
    assert answer.status_code == 200
    command = answer.json()["command"]
    assert command.startswith("visuals run --class mug --count 4 --edit red --out runs/")
    assert command.endswith("--steps 3")


@pytest.mark.usefixtures("random_seeds")
def test_a_random_seed_is_drawn_and_answered(client: TestClient) -> None:
    body = {"classes": ["mug"], "seed": -1}
    seeds = [client.post("/api/run", json=body).json()["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1] and min(seeds) >= 0
    photos = {"photos": ("a.png", png())}
    answer = client.post("/api/enhance", files=photos, data={"classes": "mug", "seed": "-1"}).json()
    assert f"--seed {answer['seed']}" in answer["command"]
    assert client.post("/api/run", json={"classes": ["mug"], "seed": -2}).status_code == 422


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "classes is missing"),
        ({"classes": []}, "at least 1 item"),
        ({"classes": ["mug"], "count": 1001}, "less than or equal to 1000"),
        ({"classes": ["mug"], "prompt": "x" * 2001}, "at most 2000 characters"),
        ({"classes": ["mug"], "inputs": ["/etc/passwd"]}, "unknown field 'inputs'"),
        ({"classes": ["mug"], "out": "/tmp/x"}, "unknown field 'out'"),
        (
            {"classes": ["mug"], "overrides": {"run.allow_pickle": True}},
            "unknown field 'overrides'",
        ),
        ({"classes": ["mug"], "command": "generate"}, "unknown field 'command'"),
        ({"classes": ["mug"], "strength": 2}, "strength 2"),
        ([], "body"),
    ],
)
def test_bodies_that_are_refused(client: TestClient, body: Any, message: str) -> None:
    answer = client.post("/api/run", json=body)
    assert answer.status_code == 422 and message in answer.text, answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (r'{"classes": ["mug"], "prompt": "\ud800"}', 422),
        (r'{"classes": ["\ud800"]}', 422),
        (r'{"classes": ["mug"], "\ud800": 1}', 422),
        ('{"classes": ["mug"], "strength": NaN}', 422),
        ('{"classes": ["mug"], "strength": 1e999}', 422),
        ("[" * 500 + "]" * 500, 422),
        ('{"edit": ' + "[" * 500 + "]" * 500 + "}", 422),
        ("[" * 100_000, 400),
        ('{"count": ' + "9" * 5000 + "}", 400),
    ],
)
def test_bodies_that_no_json_can_answer_with_are_refused(
    client: TestClient, body: str, status: int
) -> None:
    answer = client.post("/api/run", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status and answer.json()["detail"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"out": "/tmp/x"}, "Extra inputs are not permitted"),
        ({"edit": "<lora:nope:1> red"}, "no LoRA 'nope'"),
        ({"edit": "__../../etc/passwd__"}, "no wildcard '../../etc/passwd'"),
        ({"edit": "(" * 1500}, "more than 100 '(' within each other"),
        ({"prompt": "(a:9999999)"}, "'a' weighs 1e+07"),
        ({"negative_prompt": "{0::a|0::b}"}, "every weight is 0"),
    ],
)
def test_forms_that_are_refused(client: TestClient, data: dict[str, str], message: str) -> None:
    photos = {"photos": ("a.png", png())}
    answer = client.post("/api/enhance", files=photos, data={"classes": "mug", **data})
    assert answer.status_code == 422 and message in answer.text, answer.text


def test_photos_become_the_inputs_of_a_request(client: TestClient) -> None:
    photos = {"photos": ("mug.png", png(), "image/png")}
    answer = client.post(
        "/api/enhance?wait=30",
        files=photos,
        data={"classes": ["mug"], "edit": "red", "steps": "2", "background": "white"},
    )
    assert answer.status_code == 200, answer.text
    command = answer.json()["command"]
    assert command.startswith("visuals enhance runs/.studio/uploads/") and "--edit red" in command
    assert "--steps 2" in command and "--background white" in command
    several = {"classes": "mug", "edits": ["red", "blue"], "cutout": "true"}
    answer = client.post("/api/enhance", files={"photos": ("mug.png", png())}, data=several)
    assert "--edit red --edit blue" in answer.json()["command"]
    assert "--cutout" in answer.json()["command"]
    stranger = {"classes": "mug", "background": "/etc/passwd"}
    refused = client.post("/api/filter", files={"photos": ("mug.png", png())}, data=stranger)
    assert refused.status_code == 422 and "expected a colour" in refused.text
    assert client.post("/api/filter", files=photos, data={"classes": ""}).status_code == 422


def test_a_run_is_deleted_unless_a_job_uses_it(mini: Path, own_home: Path) -> None:
    worker = ScriptedWorker()
    queue = JobQueue("runs", worker=lambda: worker)
    client = TestClient(routes.app_of(queue), base_url="http://127.0.0.1")
    for name in ("a", "b"):
        (queue.root / name).mkdir()
        (queue.root / name / "run.yaml").write_text("request: {}\nsettings: {}")
    (queue.root.parent / "secret").mkdir()
    (queue.root.parent / "secret" / "run.yaml").write_text("request: {}\nsettings: {}")
    try:
        writes = queue.submit(ResumeRequest("runs/a"), out=queue.root / "a")
        reads = queue.submit(RunRequest(command="filter", inputs=["runs/b"], classes=["mug"]))
        for name in ("a", "b", reads.id):  # the last has no record yet
            refused = client.delete(f"/api/runs/{name}")
            assert refused.status_code == 409 and "in use" in refused.json()["detail"]
        worker.events.put(END)
        worker.events.put(END)
        queue.wait(writes, 30)
        queue.wait(reads, 30)
        assert client.delete("/api/runs/a").json() == {"deleted": "a"}
        assert client.get("/api/runs/a").status_code == 404  # its job is forgotten
        for path in ("a", "..", "%2e%2e", "..%2fsecret", "%2fetc", "b%2f..%2fb", "%00", ".studio"):
            assert client.delete(f"/api/runs/{path}").status_code in (404, 405), path
        assert client.get("/api/runs").json()["runs"] == ["b"]
        assert (queue.root.parent / "secret" / "run.yaml").is_file()
    finally:
        queue.close()


def test_a_small_picture_is_a_jpeg(client: TestClient) -> None:
    run = Path("runs/a")
    (run / "images").mkdir(parents=True)
    (run / "images" / "x.png").write_bytes(png())
    (run / "run.yaml").write_text("request: {}\nsettings: {}")
    shot = '{"id": "x", "seed": 1, "status": "kept", "files": {"source": "images/x.png"}}'
    (run / "manifest.jsonl").write_text(shot + "\n")
    answer = client.get("/api/runs/a/thumbnails/x")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    for path in ("y", "..%2f..%2fsecret.png", "images/x.png", "%00"):
        assert client.get(f"/api/runs/a/thumbnails/{path}").status_code == 404
