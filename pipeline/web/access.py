"""Who may ask and how much: a token, the right host, a limit of bytes. Knows ASGI only."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "visuals_token"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own.

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
    """ASGI middleware. Without a token only names of this machine are answered to, so that no
    web page can reach in by a name of its own; a request from another site's page is refused.
    With one it is asked for: `Authorization: Bearer T`, or `?token=T` once, then a cookie.
    """

    def __init__(self, app: Any, *, token: str | None = None, most_bytes: int = 100 << 20) -> None:
        self.app, self.token, self.most_bytes = app, token, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal:
            await answer(send, *refusal)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if self.token and scope["method"] == "GET" and self._is(query.get("token")):
            del query["token"]
            where = quote(scope["path"]) + ("?" + urlencode(query) if query else "")
            cookie = f"{COOKIE}={quote(self.token)}; Path=/; HttpOnly; SameSite=Strict"
            await answer(send, 303, "", {"location": where, "set-cookie": cookie})
            return
        await self._limited(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self.token is None and not is_loopback(name):
            return 403, f"host {host!r}: expected localhost or 127.0.0.1"
        origin = headers.get("origin")
        if origin and scope["method"] not in ("GET", "HEAD") and urlsplit(origin).netloc != host:
            return 403, f"a page of {origin} may not ask this server"
        if self.token is not None and not self._has_token(scope, headers):
            return 401, "token missing or wrong: expected Authorization: Bearer TOKEN, or ?token="
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.most_bytes:
            return 413, _too_large(self.most_bytes)
        return None

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is(given.strip()):
            return True
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if scope["method"] == "GET" and self._is(query.get("token")):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except Exception:  # a cookie of another program that cannot be read
            cookie = None
        return cookie is not None and (self._is(cookie.value) or self._is(_unquoted(cookie.value)))

    def _is(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(
            given.encode(), (self.token or "").encode()
        )

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on, with the body's bytes counted: a request need not say its length."""
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
                await answer(send, 413, _too_large(self.most_bytes))


class _TooLarge(Exception):
    pass


def _too_large(most: int) -> str:
    return f"request too large: expected at most {most >> 20} MB"


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


async def answer(
    send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    """Answer with a sentence as JSON."""
    body = json.dumps({"detail": detail}).encode()
    all_headers = {"content-type": "application/json", **(headers or {})}
    raw = [(k.encode(), v.encode("latin-1")) for k, v in all_headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
