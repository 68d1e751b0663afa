"""Events of the page read only what the same visitor uploaded, whatever they name, and no file
outside is served; with any version of Gradio, since none of its own checks is relied on."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.small_trainings import write_photos

gradio = pytest.importorskip("gradio", reason="gradio is not installed")

from starlette.testclient import TestClient  # noqa: E402

from visuals.pipeline.web import server  # noqa: E402
from visuals.pipeline.web.gradio_guard import EVENT, FILES, UPLOAD  # noqa: E402
from visuals.pipeline.web.queue.job_queue import JobQueue  # noqa: E402

FILE_DATA = {"_type": "gradio.FileData"}
SECRET = b"a secret of this machine"
BASE = "http://localhost"
Visit = Callable[[], TestClient]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("guarded")
    (place / "secret.png").write_bytes(SECRET)
    return place


@pytest.fixture(scope="module")
def cache(place: Path) -> Path:
    return place / "runs" / ".studio" / "cache"


@pytest.fixture(scope="module")
def visit(place: Path) -> Iterator[Visit]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, value in server.environment(place / "runs").items():
            patch.setenv(name, value)
        queue = JobQueue(place / "runs")
        app = server.build(queue)
        yield lambda: TestClient(app, base_url=BASE, follow_redirects=False)
        queue.close()


@pytest.fixture
def client(visit: Visit) -> TestClient:
    return visit()


@pytest.fixture(scope="module")
def dependencies(visit: Visit) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = visit().get("/config").json()["dependencies"]
    assert len(found) > 20
    return found


def upload(client: TestClient, name: str = "photo.png", data: bytes = b"pixels") -> str:
    (path,) = client.post(UPLOAD, files={"files": (name, data)}).json()
    return str(path)


def event(client: TestClient, number: int, data: list[Any]) -> Any:
    body = {"data": data, "fn_index": number, "session_hash": "s"}
    return client.post(EVENT, json=body)


def paths_outside(place: Path, cache: Path) -> list[str]:
    secret = place / "secret.png"
    link = cache / "link.png"
    if not link.is_symlink():
        cache.mkdir(parents=True, exist_ok=True)
        link.symlink_to(secret)
    return [
        "/etc/passwd",
        "/proc/self/environ",
        str(secret),
        "secret.png",
        "../secret.png",
        str(cache / ".." / ".." / ".." / "secret.png"),
        str(link),
        secret.as_uri(),
        "http://127.0.0.1:9/secret.png",
        "http://[::1",
        str(cache),
        "a\0b",
    ]


def references(place: Path, cache: Path, inside: str) -> list[dict[str, Any]]:
    """References to a file outside, in every form; `inside` is an upload of the visitor's."""
    paths = paths_outside(place, cache)
    secret = place / "secret.png"
    urls = [
        secret.as_uri(),
        f"http://evil.example{FILES}{inside}",
        f"{BASE}{FILES}{secret}",
        f"{FILES}{cache / 'link.png'}",
        f"{BASE}/other",
        "http://[::1",
    ]
    return [
        *({"path": path, "meta": FILE_DATA} for path in paths),
        {"path": "secret.png"},
        {"path": ["/etc/passwd"], "meta": FILE_DATA},
        *({"path": inside, "url": url, "meta": FILE_DATA} for url in urls),
        *({"url": url} for url in urls),
    ]


def assert_nothing_leaked(cache: Path) -> None:
    copies = [p for p in cache.rglob("*") if p.is_file() and not p.is_symlink()]
    assert not any(SECRET in p.read_bytes() or b"root:" in p.read_bytes() for p in copies)


def test_no_event_reads_a_file_outside_the_upload_cache(
    client: TestClient, place: Path, cache: Path, dependencies: list[dict[str, Any]]
) -> None:
    outside = references(place, cache, upload(client))
    nested = [
        lambda one: one,
        lambda one: [one],
        lambda one: {"files": [{"value": one}]},
        lambda one: [[one, "caption"]],
    ]
    sent = max(len(dependencies), len(outside) * len(nested))  # every form, to every dependency
    for k in range(sent):
        dependency = dependencies[k % len(dependencies)]
        one, form = outside[k % len(outside)], nested[k // len(outside) % len(nested)]
        answer = event(client, dependency["id"], [form(one)] * max(1, len(dependency["inputs"])))
        assert answer.status_code == 403, (dependency["id"], one)
        assert "outside the upload cache" in answer.json()["detail"]
    body = {"data": [], "fn_index": 0, "session_hash": "s", "event_data": {"index": one}}
    assert client.post(EVENT, json=body).status_code == 403
    assert_nothing_leaked(cache)


def test_names_of_files_as_plain_text_are_no_files(
    client: TestClient, place: Path, cache: Path, dependencies: list[dict[str, Any]]
) -> None:
    paths = paths_outside(place, cache)
    reference = json.dumps({"path": "/etc/passwd", "meta": FILE_DATA})
    for k, dependency in enumerate(dependencies):
        text = [*paths, reference][k % (len(paths) + 1)]
        value = [text] if k % 3 == 2 else text
        answer = event(client, dependency["id"], [value] * len(dependency["inputs"]))
        assert answer.status_code in (200, 422), answer.text
        assert SECRET.decode() not in answer.text and "root:" not in answer.text
    assert_nothing_leaked(cache)


def test_no_event_reads_a_preset_by_its_path(
    client: TestClient, place: Path, dependencies: list[dict[str, Any]]
) -> None:
    evil = place / "evil.yaml"
    evil.write_text("generate: {secret_of_the_server: 1}")
    components = client.get("/config").json()["components"]
    presets = {c["id"]: c["props"] for c in components if "sd15" in str(c["props"].get("choices"))}
    asked = 0
    for dependency in dependencies:
        if presets.keys() & set(dependency["inputs"]):
            many = [presets.get(k, {}).get("multiselect") for k in dependency["inputs"]]
            data = [[str(evil)] if several else str(evil) for several in many]
            answer = event(client, dependency["id"], data)
            assert "secret_of_the_server" not in answer.text
            asked += 1
    assert asked > 5


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"path": "", "path": "/etc/passwd"}], "fn_index": 0}',
        '{"data": [{"p\\u0061th": "/etc/passwd"}], "fn_index": 0}',
        '{"data": [{"path": "/etc/passwd"}], "fn_index": 0}'.encode("utf-16"),
    ],
)
def test_json_in_disguise_is_read_as_gradio_reads_it(client: TestClient, body: str | bytes) -> None:
    assert client.post(EVENT, content=body).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xff{", 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"data": [NaN], "fn_index": 0}', 400),
        (rb'{"data": ["\ud800"], "fn_index": 0}', 400),
        (b"x" * (9 << 20), 413),
        (b'{"data": [], "fn_index": 99999}', 422),
        (b'{"data": [], "fn_index": "x"}', 422),
        (b'{"data": 1}', 422),
        (b"[]", 422),
        (b"null", 422),
    ],
)
def test_a_body_that_is_no_event_is_refused(client: TestClient, body: bytes, status: int) -> None:
    answer = client.post(EVENT, content=body)
    assert answer.status_code == status and answer.json()["detail"], answer.text


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "secret.png", "../secret.png", "file:///etc/passwd", "http://evil.example/x"],
)
def test_no_file_outside_is_served(client: TestClient, name: str) -> None:
    answer = client.get(f"{FILES}{name}")
    assert answer.status_code == 403 and "outside" in answer.json()["detail"]


def test_nothing_hidden_nor_a_link_outside_is_served_of_a_folder(
    client: TestClient, place: Path
) -> None:
    for name in ("runs/link-1.png", "runs/.studio/cache/link-2.png"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(place / "secret.png")
        assert client.get(f"{FILES}{place / name}").status_code == 403
    for hidden in (".secret.png", ".git/config", "a/.dvc/tmp.png"):
        (place / "runs" / hidden).parent.mkdir(parents=True, exist_ok=True)
        (place / "runs" / hidden).write_bytes(b"secret")
        assert client.get(f"{FILES}{place / 'runs' / hidden}").status_code == 403
    (place / "runs" / "own.png").write_bytes(b"pixels")
    assert client.get(f"{FILES}{place / 'runs' / 'own.png'}").content == b"pixels"


@pytest.mark.parametrize(
    ("name", "disposition", "media_type"),
    [
        ("photo.png", "inline", "image/png"),
        ("photo.JPG", "inline", "image/jpeg"),
        ("page.html", "attachment", "application/octet-stream"),
        ("drawing.svg", "attachment", "application/octet-stream"),
        ("noname", "attachment", "application/octet-stream"),
    ],
)
def test_a_file_that_was_dropped_is_no_page_of_the_studio(
    client: TestClient, name: str, disposition: str, media_type: str
) -> None:
    path = upload(client, name, b"<script>alert(1)</script>")
    for headers in ({}, {"range": "bytes=0-3"}):  # the whole and a part
        answer = client.get(f"{FILES}{path}", headers=headers)
        assert answer.status_code in (200, 206)
        assert answer.headers["content-disposition"].startswith(disposition)
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=http://evil.example/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/file=/etc/passwd"),
        ("GET", "/gradio_api/deep_link?session_hash=s"),
        ("GET", "/gradio_api/run-history/buckets"),
        ("GET", "/monitoring"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/call/predict"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/stream/1"),
        ("POST", "/api/predict"),
        ("POST", "/login"),
        ("PUT", EVENT),
        ("POST", "/gradio_api//run/predict"),
    ],
)
def test_what_the_page_does_not_need_is_closed(client: TestClient, method: str, path: str) -> None:
    body = {"data": [{"path": "/etc/passwd", "meta": FILE_DATA}], "fn_index": 0}
    assert client.request(method, path, json=body).status_code in (404, 405)


def file_event(client: TestClient) -> int:
    """The event that takes photos for Enhance, and gives them back."""
    config = client.get("/config").json()
    kinds = {c["id"]: c["type"] for c in config["components"]}
    return next(
        int(e["id"])
        for e in config["dependencies"]
        if any(t[1] == "upload" for t in e["targets"])
        and e["inputs"]
        and kinds[e["inputs"][0]] == "uploadbutton"
        and len(e["outputs"]) == 2
    )


def test_an_upload_is_taken_from_its_visitor_alone(client: TestClient, visit: Visit) -> None:
    path = upload(client, "mine.png")
    file = {
        "path": path,
        "url": f"{BASE}{FILES}{path}",
        "orig_name": "mine.png",
        "meta": FILE_DATA,
    }
    number = file_event(client)
    answer = event(client, number, [[file]])
    assert answer.status_code == 200, answer.text
    (shown,) = answer.json()["data"][0]
    assert client.get(f"{FILES}{shown['path']}").content == b"pixels"
    assert event(client, number, [[shown]]).status_code == 200  # as Find sends it
    stranger = visit()
    assert event(stranger, number, [[file]]).status_code == 403
    upload(stranger, "other.png", b"others")
    assert event(stranger, number, [[file]]).status_code == 403


def test_a_picture_of_a_gallery_is_selected_by_its_index(
    client: TestClient, place: Path, dependencies: list[dict[str, Any]]
) -> None:
    config = client.get("/config").json()
    galleries = {c["id"] for c in config["components"] if c["type"] == "gallery"}
    shown = {"image": {"path": str(place / "runs" / "own.png"), "meta": FILE_DATA}, "caption": ""}
    chosen = {"index": 0, "value": shown, "selected": True}
    selects = [d for d in dependencies if any(t[0] in galleries for t in d["targets"])]
    assert selects
    for dependency in selects:
        values = [None] * len(dependency["inputs"])
        body = {"data": values, "fn_index": dependency["id"], "event_data": chosen}
        assert client.post(EVENT, json=body).status_code in (200, 422)
        assert client.post(EVENT, json={**body, "data": [shown]}).status_code == 403


def test_a_preset_is_selected_by_its_name(
    client: TestClient, dependencies: list[dict[str, Any]]
) -> None:
    components = client.get("/config").json()["components"]
    fields = {c["id"] for c in components if "Preset" in str(c["props"].get("label"))}
    targets = [(d, t) for d in dependencies for t in d["targets"]]
    selects = [d for d, (id_, kind) in targets if id_ in fields and kind == "select"]
    assert len(selects) == 2  # of Create and Enhance
    for dependency in selects:
        values = [None] * len(dependency["inputs"])
        for name, status in (("sdxl", 200), ("/etc/passwd", 422)):
            chosen = {"index": 0, "value": name, "selected": True}
            body = {"data": values, "fn_index": dependency["id"], "event_data": chosen}
            answer = client.post(EVENT, json=body)
            assert answer.status_code == status, answer.text


def test_a_caption_is_saved_for_the_picture_that_the_page_shows(
    client: TestClient, place: Path, dependencies: list[dict[str, Any]]
) -> None:
    """Not for the one that the server listed last: answers come in any order."""
    photos = write_photos(place / "look")
    kept, changed = sorted(photos.glob("*.txt"))[:2]
    before = kept.read_text()
    config = client.get("/config").json()["components"]
    (listing,) = (c["id"] for c in config if c["type"] == "json")
    saves = [d for d in dependencies if d["inputs"][:1] == [listing]]
    shown = {"data": "look", "names": [changed.with_suffix(".png").name]}
    answer = event(client, saves[0]["id"], [shown, "ppzlook, a violet bag"])
    assert answer.status_code == 200, answer.text
    assert (kept.read_text(), changed.read_text()) == (before, "ppzlook, a violet bag\n")


def test_a_fuzz_of_gradios_routes_breaks_and_reads_nothing(
    client: TestClient, place: Path, cache: Path, dependencies: list[dict[str, Any]]
) -> None:
    counts = fuzz(client, place, cache, dependencies, rounds=100, seed=0)
    assert {200, 403, 404, 422} <= set(counts)
    assert client.get("/").status_code == 200


def fuzz(
    client: TestClient,
    place: Path,
    cache: Path,
    dependencies: list[dict[str, Any]],
    *,
    rounds: int,
    seed: int,
) -> dict[int, int]:
    """Send odd values to every kind of route; return how many answers had each status."""
    chance, counts = random.Random(seed), dict[int, int]()
    outside = paths_outside(place, cache)
    mine = upload(client)
    odd: list[Any] = [
        None, True, 0, -1, 2**63, 1e308, "", "x", "\0", "é" * 50, "../..", [], {}, [[]], "1-2",
        {"path": ""}, {"path": mine, "meta": FILE_DATA}, {"found": "..", "threshold": "x"},
        {"id": "a/b", "seq": 1, "strokes": [{"points": [[0]]}]}, {"__type__": "update"},
        {"found": 5, "off": 3, "own": [], "all": None, "whose": "x", "current": {}},
        *outside, *({"path": path, "meta": FILE_DATA} for path in outside),
    ]  # fmt: skip
    routes = [
        "/", "/config", "/assets/{}", "/static/{}", "/svelte/{}", "/gradio_api/{}", FILES + "{}",
        "/gradio_api/heartbeat/../{}", "/gradio_api/upload_progress?upload_id={}", "/theme.css",
        "/gradio_api/custom_component/{}/client/component/x", "/?deep_link={}&view=api",
        "/config?deep_link={}", "/gradio_api/info?{}", "/api/runs/{}", "/api/runs/x/files/{}",
        "/api/runs/{}/thumbnails/x",
    ]  # fmt: skip
    words = [*outside, "..%2f..%2fsecret.png", "%00", "%ff", "a" * 300, "index.html", "%2e%2e/x"]
    for _ in range(rounds):
        kind = chance.random()
        if kind < 0.6:
            dependency = chance.choice(dependencies)
            many = len(dependency["inputs"]) + chance.choice([0, 0, 0, 0, 1, -1])
            body: dict[str, Any] = {
                "data": [chance.choice(odd) for _ in range(max(0, many))],
                "fn_index": dependency["id"],
                "session_hash": chance.choice(["s", None, "../x"]),
                "event_data": chance.choice(
                    [None, {}, {"index": 5}, {"index": "x", "value": 1}]
                    + [{"key": key} for key in ("../..", "/etc", "a\0b", 5, None, [])]
                ),
            }
            answer = client.post(EVENT, json=body)
        elif kind < 0.7:
            name, data = chance.choice(words), bytes(chance.choices(range(256), k=20))
            files = {chance.choice(["files", "file"]): (name or "x", data)}
            answer = client.post(UPLOAD, files=files) if kind < 0.68 else client.post(
                UPLOAD, content=data, headers={"content-type": "multipart/form-data; boundary=x"}
            )  # fmt: skip
        else:
            route = chance.choice(routes).format(chance.choice(words).replace("\0", "%00"))
            method = chance.choice(["GET", "GET", "GET", "HEAD", "POST", "DELETE"])
            with contextlib.suppress(NotImplementedError):
                answer = client.request(method, route, headers={"range": "bytes=5-1"})
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (answer.request.method, answer.request.url, answer.text)
        assert SECRET not in answer.content and b"root:" not in answer.content
    assert_nothing_leaked(cache)
    return counts
