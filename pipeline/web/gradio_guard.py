"""ASGI middleware between visitors and Gradio, whose own checks need not be trusted."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...configs.text_files import parse_json
from .access import Receive, Scope, Send, refusal
from .error_text import public_text
from .files.disk_space import DiskFullError, check_space
from .files.safe_response import picture_or_attachment
from .files.uploads import MOST_BYTES

FILES = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
EVENT = "/gradio_api/run/predict"
OURS = re.compile(r"/docs|/openapi\.json|/api/(run|filter|enhance|runs|jobs)(/.*)?")
PAGE = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)?|/(assets|static)/.+"
    r"|/gradio_api/(app_id|theme\.css|upload_progress|heartbeat/[\w-]+)"
)
"""Addresses that the page reads; all others of Gradio are closed."""

VISITOR = "visuals_visitor"
"""Cookie that tells who uploaded a file."""
MOST_EVENT = 8 << 20
"""Bytes of an event. Files come by uploads."""
MOST_UPLOADS = 100_000
"""Uploaded files that are remembered."""
_OF_BODY = (b"content-type", b"content-length", b"transfer-encoding")
_OURS_HIDDEN = {".studio", ".previews", ".thumbs"}
"""Hidden folders that hold what the page shows."""
OUTSIDE = "file outside the upload cache: expected a file uploaded on this page; upload it again"


class GradioGuard:
    """Lets through to Gradio what the page needs, and checks it, whatever Gradio checks itself.

    A JSON object with a `path` or `url` names a file, as Gradio's FileData does: one that the same
    visitor uploaded, in the upload cache, links followed. Files are served from here, of the cache
    and the given folders, links followed. An event that Gradio answers with 5xx, as it does for
    values that its page would not send, is answered with 422.

    Args:
        app: The application behind the guard.
        cache: Where Gradio keeps uploads and copies of what it shows.
        folders: More folders whose files may be served, but not named by an event.
    """

    def __init__(self, app: Any, cache: Path, folders: Sequence[Path] = ()) -> None:
        self.app, self.cache = app, cache.resolve()
        self.served = (self.cache, *(folder.resolve() for folder in folders))
        self.visitors: dict[str, set[str]] = {}
        """Who uploaded a file, by its path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or OURS.fullmatch(path):
            await self.app(scope, receive, send)
            return
        request, response = Request(scope, receive), None
        is_read = request.method in ("GET", "HEAD")
        if is_read and path.startswith(FILES):
            response = self._file(path.removeprefix(FILES))
        elif is_read and PAGE.fullmatch(path):
            await self._page(scope, receive, send)
        elif request.method == "POST" and path in (UPLOAD, EVENT):
            try:
                response = await (self._upload if path == UPLOAD else self._event)(request)
            except ClientDisconnect:
                return
        else:
            response = refusal(404, "nothing here: expected an address of the page, or of /docs")
        if response is not None:
            await response(scope, receive, send)

    def _file(self, path: str) -> Response:
        if _lies_in(path, self.served):
            return picture_or_attachment(Path(path))
        return refusal(403, "file outside the studio's folders: expected one of a run")

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go on, without parameters by which Gradio would load the state of others."""
        if not scope["path"].endswith("/upload_progress"):
            scope = {**scope, "query_string": b""}
        failed = False

        async def checked(message: MutableMapping[str, Any]) -> None:
            nonlocal failed
            if message["type"] == "http.response.start" and message["status"] >= 500:
                failed = True
                await refusal(404, "no such part of the page")(scope, receive, send)
            elif not failed:
                await send(message)

        try:
            await self.app(scope, receive, checked)
        except Exception:
            if not failed:
                raise
            logging.getLogger(__name__).exception("%s failed", scope["path"])

    async def _upload(self, request: Request) -> Response:
        """Go on where there is room, and remember whose the files are."""
        try:
            check_space(self.cache, int(request.headers.get("content-length") or MOST_BYTES))
        except DiskFullError as error:
            return refusal(507, str(error))
        visitor = request.cookies.get(VISITOR) or secrets.token_urlsafe(16)
        response = await self._answer(request.scope, request.receive)
        if response.status_code == 200:
            for path in json.loads(bytes(response.body)):
                self.visitors.setdefault(path, set()).add(visitor)
            while len(self.visitors) > MOST_UPLOADS:
                del self.visitors[next(iter(self.visitors))]
            response.set_cookie(VISITOR, visitor, httponly=True, samesite="strict")
        return response

    async def _event(self, request: Request) -> Response:
        """Go on with the JSON as it was read here, so that no one reads it differently."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_EVENT:
                return refusal(413, f"event too large: expected at most {MOST_EVENT >> 20} MB")
        try:
            data = parse_json(body, (), _refuse_constant)
        except ValueError as error:
            return refusal(400, f"body cannot be read ({error}): expected JSON")
        what = data.get("event_data") if isinstance(data, dict) else None
        if isinstance(what, dict) and not isinstance(what.get("value"), str):
            # a picture of a gallery, which handlers take by its index
            data = {**data, "event_data": {**what, "value": None}}
        host = request.headers.get("host", "")
        visitor = request.cookies.get(VISITOR, "")
        for found in _objects(data):
            path, url = found.get("path"), found.get("url")
            if not self._allows_path(path, visitor) or not self._allows_url(url, host, visitor):
                return refusal(403, OUTSIDE)
        body = json.dumps(data).encode()
        of_body = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
        headers = [(k, v) for k, v in request.scope["headers"] if k not in _OF_BODY]
        scope = {**request.scope, "headers": [*headers, *of_body.items()]}
        return await self._answer(scope, _replay(body, request.receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        """Return the application's whole response, not compressed; 422 in place of 5xx."""
        response, body = Response(status_code=500), b""
        headers = [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]

        async def collect(message: MutableMapping[str, Any]) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                response.status_code = message["status"]
                response.raw_headers = list(message["headers"])
            else:
                body += message.get("body", b"")

        try:
            await self.app({**scope, "headers": headers}, receive, collect)
        except ClientDisconnect:
            raise
        except Exception:
            logging.getLogger(__name__).exception("%s failed", scope["path"])
        response.body = body
        return response if response.status_code < 500 else _unprocessable(body)

    def _allows_path(self, path: Any, visitor: str) -> bool:
        """Whether it is empty, or a file in the cache, links followed, that the visitor sent."""
        if path in (None, ""):
            return True
        known = isinstance(path, str) and visitor in self.visitors.get(path, ())
        return known and _lies_in(path, (self.cache,))

    def _allows_url(self, url: Any, host: str, visitor: str) -> bool:
        """Whether it is None, data, or this server's address of a file of the visitor's."""
        if url in (None, ""):
            return True
        if not isinstance(url, str):
            return False
        if url.startswith("data:"):
            return True
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.scheme not in ("", "http", "https") or parts.netloc not in ("", host):
            return False
        if not parts.path.startswith(FILES) or parts.query or parts.fragment:
            return False
        file = unquote(parts.path.removeprefix(FILES))
        return bool(file) and self._allows_path(file, visitor)


def _unprocessable(body: bytes) -> Response:
    """Return the response in place of an event's 5xx, with the message for the page if any."""
    try:
        message = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError):
        message = None
    text = public_text(message or "values that the page does not send: reload the page")
    return Response(json.dumps({"error": text, "detail": text}), 422, media_type="application/json")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _lies_in(path: str, folders: Sequence[Path]) -> bool:
    """Whether an absolute path is a file in one of the folders, links followed, and not hidden."""
    try:
        real = Path(path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return False
    below = next((real.relative_to(one) for one in folders if real.is_relative_to(one)), None)
    if below is None or not Path(path).is_absolute() or not real.is_file():
        return False
    return real.name[0] != "." and all(
        part[0] != "." or part in _OURS_HIDDEN for part in below.parts
    )


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object, at any depth."""
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            yield value
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body, which was read already, once more."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return messages.pop() if messages else await receive()

    return replay
