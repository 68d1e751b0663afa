"""The guard before the whole studio: hosts, tokens, the login form, sizes; never a 5xx."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="gradio is not installed")

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from visuals.configs.errors import UsageError
from visuals.pipeline.web import server
from visuals.pipeline.web.access import AccessGuard
from visuals.pipeline.web.error_text import public_text
from visuals.pipeline.web.token_attempts import MOST

TOKEN = "gehëim-日本 token&#+%"
HTML = {"accept": "text/html,*/*"}


async def echo(request: Request) -> Response:
    """Read the body as FastAPI does, which takes an error while reading for a broken body."""
    try:
        body = await request.body()
    except Exception as error:
        raise HTTPException(400, "There was an error parsing the body") from error
    return PlainTextResponse(public_text(f"{len(body)} bytes; no file '/home/ann/mug.png'"))


async def socket(websocket: Any) -> None:
    await websocket.accept()


def client(token: str | None = None, most_bytes: int = 100) -> TestClient:
    routes = [
        Route("/{path:path}", echo, methods=["GET", "POST"]),
        WebSocketRoute("/{path:path}", socket),
    ]
    guard = AccessGuard(Starlette(routes=routes), token=token, most_bytes=most_bytes)
    return TestClient(guard, base_url="http://localhost", follow_redirects=False)


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ({"host": "[::1"}, 400, "expected a name or an address"),
        ({"host": "a b"}, 400, "expected a name or an address"),
        ({"host": "localhost:x"}, 400, "expected a name or an address"),
        ({"host": "user@localhost"}, 400, "expected a name or an address"),
        ({"host": ""}, 400, "expected a name or an address"),
        ({"origin": "http://[::1"}, 403, "may not send requests"),
        ({"origin": "null"}, 403, "may not send requests"),
        ({"origin": "http://evil.example"}, 403, "may not send requests"),
        ({"origin": "http://localhost:3000"}, 403, "may not send requests"),
        ({"content-length": "-1"}, 400, "expected a number of bytes"),
        ({"content-length": "9" * 30}, 400, "expected a number of bytes"),
        ({"content-length": "101"}, 413, "expected at most"),
    ],
)
def test_requests_that_are_refused(
    token: str | None, headers: dict[str, str], status: int, text: str
) -> None:
    answer = client(token).post("/api/run", headers=headers)
    assert answer.status_code == status and text in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST"])
def test_this_machine_is_answered(host: str) -> None:
    answer = client().get("/", headers={"host": host})
    assert answer.status_code == 200 and answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert client().get("/", headers={"host": f"{host}.evil.example"}).status_code in (400, 403)


def test_a_body_of_unknown_length_is_cut_off() -> None:
    def chunks(number: int) -> Iterator[bytes]:
        yield from [b"x" * 10] * number

    assert client().post("/", content=chunks(10)).status_code == 200
    answer = client().post("/", content=chunks(11))
    assert answer.status_code == 413 and "expected at most" in answer.json()["detail"]


def test_no_websocket_goes_past_the_guard() -> None:
    for token in (None, TOKEN):
        with (
            pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
            client(token).websocket_connect("/gradio_api/ws"),
        ):
            pass


def test_a_program_bears_the_token_in_any_script() -> None:
    for given, status in ((TOKEN, 200), (TOKEN[:-1], 401), ("\udcff", 401), ("", 401)):
        header = b"Bearer " + given.encode(errors="surrogateescape")
        answer = client(TOKEN).get("/", headers={b"authorization": header})
        assert answer.status_code == status
    assert "token missing or wrong" in answer.json()["detail"]
    for cookie in (TOKEN.encode(), b"visuals_token=\xff"):  # the token itself is no pass
        headers = {b"cookie": b"visuals_token=" + cookie}
        assert client(TOKEN).get("/", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "/"),
        ("//evil.example", "/evil.example"),
        ("///evil.example/x", "/evil.example/x"),
        ("/%5Cevil.example", "/evil.example"),
        ("/%2F%5C/evil.example", "/evil.example"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("/%0d%0aset-cookie:a=b", "/%0D%0Aset-cookie%3Aa%3Db"),
        ("/docs?a=1", "/docs?a=1"),
    ],
)
def test_the_token_in_an_address_becomes_a_cookie_on_this_host(path: str, location: str) -> None:
    visitor = client(TOKEN)
    mark = "&" if "?" in path else "?"
    answer = visitor.get(f"http://localhost{path}{mark}token={quote(TOKEN, safe='')}")
    assert answer.status_code == 303 and answer.headers["location"] == location
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert visitor.get("/").status_code == 200  # by the cookie


def test_a_browser_is_asked_for_the_token() -> None:
    visitor = client(TOKEN, most_bytes=10_000)
    asked = visitor.get("/", headers=HTML)
    assert asked.status_code == 401 and 'action="/login"' in asked.text
    assert "Wrong token" not in asked.text
    for data in ({"token": "wrong"}, {}, {"token": "\udcff".encode(errors="surrogateescape")}):
        wrong = visitor.post("/login", data=data)
        assert wrong.status_code == 401 and "Wrong token" in wrong.text
    assert "Wrong token" in visitor.get("/?token=wrong", headers=HTML).text
    assert visitor.post("/login", content=b"x" * 5000).status_code == 413
    other = {"origin": "http://evil.example"}
    assert visitor.post("/login", data={"token": TOKEN}, headers=other).status_code == 403
    answer = visitor.post("/login", data={"token": TOKEN}, headers={"origin": "http://localhost"})
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    assert visitor.get("/", headers=HTML).status_code == 200


def test_a_token_cannot_be_guessed_by_many_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client(TOKEN)
    assert visitor.get(f"/?token={quote(TOKEN, safe='')}").status_code == 303
    cookie = dict(visitor.cookies)
    stranger = TestClient(visitor.app, base_url="http://localhost", follow_redirects=False)
    bearer = {b"authorization": b"Bearer wrong"}
    tries = [
        lambda: stranger.post("/login", data={"token": "wrong"}),
        lambda: stranger.get("/?token=wrong"),
        lambda: stranger.get("/", headers=bearer),
    ]
    for number in range(MOST):
        assert tries[number % 3]().status_code == 401
    assert stranger.get("/").status_code == 401  # without a token it is no attempt
    for right in (
        stranger.post("/login", data={"token": TOKEN}),
        stranger.get("/", params={"token": TOKEN}),
        stranger.get("/", headers={b"authorization": b"Bearer " + TOKEN.encode()}),
    ):
        assert right.status_code == 429 and "Too many wrong tokens" in right.text
        assert 0 < int(right.headers["retry-after"]) <= 60
    assert 'action="/login"' in stranger.post("/login", data={"token": TOKEN}).text
    assert stranger.get("/", cookies=cookie).status_code == 200  # who is in stays in
    other = TestClient(visitor.app, base_url="http://localhost", client=("10.0.0.2", 1))
    assert other.get("/?token=wrong").status_code == 401
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert stranger.post("/login", data={"token": TOKEN}).status_code == 303


def test_paths_of_the_server_are_for_this_machine_alone() -> None:
    assert "/home/ann/mug.png" in client().get("/").text
    bearer = {b"authorization": b"Bearer " + TOKEN.encode()}
    text = client(TOKEN).get("/", headers=bearer).text
    assert "'…/mug.png'" in text and "ann" not in text


@pytest.mark.parametrize("token", ["\udcffabcdefgh", "a-long-secret ", "a-long\nsecret", "short"])
def test_tokens_that_cannot_be_given_are_refused(token: str) -> None:
    with pytest.raises(UsageError, match="--token"):
        server.check_address("127.0.0.1", 0, token)
