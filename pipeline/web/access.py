"""Access control of the studio: a token, allowed hosts, a limit of bytes, as ASGI middleware."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from .error_text import hides_paths
from .token_attempts import MOST, TokenAttempts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "visuals_token"
LOGIN = "/login"
FORM = Path(__file__).parent / "login_form.html"
MISSING = "token missing or wrong: expected Authorization: Bearer TOKEN, or ?token="
WRONG = "Wrong token: expected the one that the server was started with"
HEADERS = (
    (b"x-frame-options", b"SAMEORIGIN"),  # no page of another site lures clicks to this one
    (b"referrer-policy", b"same-origin"),
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)
_MOST_LOGIN = 4096


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host.strip("[]").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class AccessGuard:
    """Refuses requests from strangers.

    Without a token only requests to names of this machine are answered, so that no web page can
    reach in by a name of its own. With a token, a request must bear it: `Authorization: Bearer T`,
    or `?token=T` once or the form that browsers are shown, then a cookie. Requests from pages of
    other sites are refused.

    Args:
        app: the application behind the guard.
        token: what a visitor must know.
        most_bytes: limit of a request's body.
    """

    def __init__(self, app: Any, *, token: str | None = None, most_bytes: int = 100 << 20) -> None:
        self.app, self.token, self.most_bytes = app, token, most_bytes
        self._attempts = TokenAttempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif response := await self._response(Request(scope, receive)):
            await response(scope, receive, send)
        else:
            hides_paths.set(self.token is not None)
            await self._limited(scope, receive, send)

    async def _response(self, request: Request) -> Response | None:
        """Return the guard's own answer: a refusal, or a cookie in exchange for the token."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not _HOST.fullmatch(host):
            return refusal(400, f"host {host!r}: expected a name or an address, as in localhost")
        if self.token is None and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return refusal(403, f"host {host!r}: expected localhost or 127.0.0.1")
        reads = request.method in ("GET", "HEAD")
        if origin and not reads and origin not in (f"http://{host}", f"https://{host}"):
            return refusal(403, f"a page of {origin} may not send requests to this server")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18:
            return refusal(400, f"content-length {length!r}: expected a number of bytes")
        if int(length) > self.most_bytes:
            return self._too_large()
        if self.token is None:
            return None
        is_login = request.method == "POST" and request.scope["path"] == LOGIN
        if not (is_login or "token" in request.query_params or "authorization" in request.headers):
            return None if self._has_token(request) else _unauthorized(request)
        client = request.client.host if request.client else ""
        if seconds := self._attempts.wait(client):
            return _too_many(request, seconds)
        response = await self._try_token(request)
        if response is not None and response.status_code == 401:
            self._attempts.add(client)
        return response

    async def _try_token(self, request: Request) -> Response | None:
        """Return the answer to a request that bears a token, right or wrong."""
        if request.method == "POST" and request.scope["path"] == LOGIN:
            return await self._login(request)
        if request.method == "GET" and self._is_token(request.query_params.get("token")):
            query = request.url.remove_query_params("token").query
            path = "/" + quote(request.scope["path"].lstrip("/\\"))
            return self._signed_in(request, f"{path}?{query}" if query else path)
        return None if self._has_token(request) else _unauthorized(request)

    async def _login(self, request: Request) -> Response:
        """Take the token of the form."""
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MOST_LOGIN:
                    return refusal(413, f"form too large: expected at most {_MOST_LOGIN} bytes")
        except ClientDisconnect:
            return refusal(400, "form ended early: send it again")
        given = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        if self._is_token(given):
            return self._signed_in(request, "/")
        return _form(WRONG)

    def _signed_in(self, request: Request, path: str) -> Response:
        response = RedirectResponse(path, 303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, self._pass, httponly=True, samesite="strict", secure=secure)
        return response

    @property
    def _pass(self) -> str:
        """The cookie's value: shows that the token was given, and is not the token."""
        return hmac.digest((self.token or "").encode(), b"visuals studio", "sha256").hex()

    def _has_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip().encode("latin-1").decode(errors="replace")  # headers are bytes
        bearer = kind.lower() == "bearer" and self._is_token(given)
        return bearer or _same(request.cookies.get(COOKIE, ""), self._pass)

    def _is_token(self, given: str | None) -> bool:
        return given is not None and _same(given, self.token or "")

    def _too_large(self) -> Response:
        return refusal(413, f"request too large: expected at most {self.most_bytes >> 20} MB")

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on, and count the body's bytes: a request need not say its length."""
        seen, started = 0, False

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most_bytes:
                raise _TooLarge
            return message

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if seen <= self.most_bytes or started:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], *HEADERS]
                    started = True
                await send(message)  # else the application's own word for a body that ended early

        try:
            await self.app(scope, counted, noted)
        except Exception:
            if seen <= self.most_bytes:
                raise
        if seen > self.most_bytes and not started:
            await self._too_large()(scope, receive, send)


def _same(given: str, expected: str) -> bool:
    """Whether two texts are the same, found in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _form(message: str = "", status: int = 401) -> Response:
    """Return the page that asks for the token."""
    page = FORM.read_text(encoding="utf-8").replace("<!-- message -->", escape(message))
    return HTMLResponse(page, status)


def _unauthorized(request: Request) -> Response:
    """Return the form for a browser, else a sentence."""
    if _is_browser(request):
        return _form(WRONG if "token" in request.query_params else "")
    return refusal(401, MISSING)


def _too_many(request: Request, seconds: int) -> Response:
    """Return the answer to a token that is not looked at."""
    text = f"Too many wrong tokens: expected at most {MOST} a minute; try again in {seconds} s"
    form = _is_browser(request) or request.scope["path"] == LOGIN
    response = _form(text, 429) if form else refusal(429, text)
    response.headers["retry-after"] = str(seconds)
    return response


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


class _TooLarge(Exception):
    pass


def refusal(status: int, detail: str) -> Response:
    """Return a response with a sentence as JSON; the page looks for it in `error`."""
    return JSONResponse({"detail": detail, "error": detail}, status)
