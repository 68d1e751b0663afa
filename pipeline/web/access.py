"""Access control of the studio: a token, allowed hosts, a limit of bytes, as ASGI middleware."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "visuals_token"


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
    or `?token=T` once, then a cookie. Requests from pages of other sites are refused.

    Args:
        app: the application behind the guard.
        token: what a visitor must know.
        most_bytes: limit of a request's body.
    """

    def __init__(self, app: Any, *, token: str | None = None, most_bytes: int = 100 << 20) -> None:
        self.app, self.token, self.most_bytes = app, token, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif response := self._response(Request(scope)):
            await response(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    def _response(self, request: Request) -> Response | None:
        """Return the guard's own answer: a refusal, or a cookie in exchange for `?token=`."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self.token is None and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return refusal(403, f"host {host!r}: expected localhost or 127.0.0.1")
        reads = request.method in ("GET", "HEAD")
        if origin and not reads and urlsplit(origin).netloc != host:
            return refusal(403, f"a page of {origin} may not send requests to this server")
        in_query = request.method == "GET" and self._is_token(request.query_params.get("token"))
        if self.token is not None and not in_query and not self._has_token(request):
            return refusal(
                401, "token missing or wrong: expected Authorization: Bearer TOKEN, or ?token="
            )
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.most_bytes:
            return self._too_large()
        if self.token is None or not in_query:
            return None
        path = "/" + request.url.path.lstrip("/")
        query = request.url.remove_query_params("token").query
        response = RedirectResponse(f"{path}?{query}" if query else path, 303)
        response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
        return response

    def _has_token(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        bearer = kind.lower() == "bearer" and self._is_token(given.strip())
        return bearer or self._is_token(request.cookies.get(COOKIE))

    def _is_token(self, given: str | None) -> bool:
        token = (self.token or "").encode()
        return given is not None and hmac.compare_digest(given.encode(), token)

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
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not started:
                await self._too_large()(scope, receive, send)


class _TooLarge(Exception):
    pass


def refusal(status: int, detail: str) -> Response:
    """Return a response with a sentence as JSON."""
    return JSONResponse({"detail": detail}, status)
