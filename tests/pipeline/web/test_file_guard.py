"""Events of the page never read a file outside the upload cache, whatever they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

gradio = pytest.importorskip("gradio", reason="gradio is not installed")

from starlette.testclient import TestClient  # noqa: E402

from visuals.pipeline.web import server  # noqa: E402
from visuals.pipeline.web.queue.job_queue import JobQueue  # noqa: E402

FILE_DATA = {"_type": "gradio.FileData"}
SECRET = b"a secret of this machine"
BASE = "http://localhost"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, value in server.environment(place / "runs").items():
            patch.setenv(name, value)
        queue = JobQueue(place / "runs")
        try:
            yield TestClient(server.build(queue), base_url=BASE, follow_redirects=False)
        finally:
            queue.close()


def payloads(place: Path, cache: Path) -> list[dict[str, Any]]:
    """References to a file outside, in every form."""
    secret = place / "secret.png"
    secret.write_bytes(SECRET)
    cache.mkdir(parents=True, exist_ok=True)
    link = cache / "link.png"
    if not link.is_symlink():
        link.symlink_to(secret)
    paths = [
        "/etc/passwd",
        "/proc/self/environ",
        str(secret),
        "secret.png",
        "../secret.png",
        str(cache / ".." / ".." / ".." / "secret.png"),
        str(link),
        secret.as_uri(),
        "http://127.0.0.1:9/secret.png",
        str(cache),
        "a\0b",
    ]
    inside = cache / "inside.png"
    inside.write_bytes(b"uploaded")
    urls = [
        secret.as_uri(),
        "http://evil.example/gradio_api/file=" + str(inside),
        f"{BASE}/gradio_api/file={secret}",
        f"/gradio_api/file={link}",
        f"{BASE}/other",
    ]
    return [
        *({"path": path, "meta": FILE_DATA} for path in paths),
        *({"path": path} for path in paths[:4]),
        *({"path": str(inside), "url": url, "meta": FILE_DATA} for url in urls),
        *({"url": url} for url in urls),
    ]


def test_no_event_reads_a_file_outside_the_upload_cache(client: TestClient, place: Path) -> None:
    cache = place / "runs" / ".studio" / "cache"
    dependencies = client.get("/config").json()["dependencies"]
    assert len(dependencies) > 20
    references = payloads(place, cache)

    def refuse(route: str, body: dict[str, Any]) -> None:
        answer = client.post(f"/gradio_api/{route}", json=body)
        assert answer.status_code == 403, (route, body)
        assert "outside the upload cache" in answer.json()["detail"]

    for event in dependencies:
        for reference in references:
            values = [[reference]] + [reference] * max(0, len(event["inputs"]) - 1)
            body = {"data": values, "fn_index": event["id"], "session_hash": "s"}
            refuse("run/predict", body)
        refuse("queue/join", body)
        refuse(f"call/{event['api_name'] or 'predict'}", body)
    for route in ("queue/join", "component_server", "api/predict", "call/v2/x", "stream/1", "x"):
        for reference in references:
            refuse(route, {"data": {"a": [reference]}})
    copies = [p for p in cache.rglob("*") if p.is_file() and not p.is_symlink()]
    assert not any(SECRET in p.read_bytes() or b"root:" in p.read_bytes() for p in copies)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "secret.png", "file:///etc/passwd", "http://evil.example/x"]
)
def test_no_file_outside_is_served(client: TestClient, place: Path, name: str) -> None:
    (place / "secret.png").write_bytes(SECRET)
    for route in ("file=", "file/"):
        answer = client.get(f"/gradio_api/{route}{name}")
        assert answer.status_code == 403 and "outside" in answer.json()["detail"]


def test_no_link_in_a_served_folder_leads_outside(client: TestClient, place: Path) -> None:
    (place / "secret.png").write_bytes(SECRET)
    for name in ("runs/link-1.png", "runs/.studio/cache/link-2.png"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(place / "secret.png")
        assert client.get(f"/gradio_api/file={place / name}").status_code == 403
    (place / "runs" / "own.png").write_bytes(b"pixels")
    assert client.get(f"/gradio_api/file={place / 'runs' / 'own.png'}").content == b"pixels"


def test_a_body_that_is_no_json_is_refused(client: TestClient) -> None:
    answer = client.post("/gradio_api/run/predict", content=b"\xff{")
    assert answer.status_code == 400 and "expected JSON" in answer.json()["detail"]
    nested = "[" * 100_000 + "]" * 100_000
    assert client.post("/gradio_api/run/predict", content=nested).status_code == 400


def test_a_genuine_upload_works(client: TestClient) -> None:
    photo = ("photo.png", b"pixels", "image/png")
    (path,) = client.post("/gradio_api/upload", files={"files": photo}).json()
    config = client.get("/config").json()
    kinds = {c["id"]: c["type"] for c in config["components"]}
    event = next(
        e
        for e in config["dependencies"]
        if e["targets"]
        and any(t[1] == "upload" for t in e["targets"])
        and e["inputs"]
        and kinds[e["inputs"][0]] in ("uploadbutton", "file")
    )
    file = {
        "path": path,
        "url": f"{BASE}/gradio_api/file={path}",
        "orig_name": "photo.png",
        "meta": FILE_DATA,
    }
    body = {"data": [[file]], "fn_index": event["id"], "session_hash": "s"}
    answer = client.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()["data"][0][0]["path"]
    assert client.get(f"/gradio_api/file={shown}").content == b"pixels"
