"""ASGI middleware that refuses references to files outside the upload cache."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...configs.text_files import parse_json
from .access import Receive, Scope, Send, refusal

FILE_ROUTE = "/gradio_api/file="
FILE_ROUTES = (FILE_ROUTE, "/gradio_api/file/")
UPLOAD_ROUTE = "/gradio_api/upload"


class FileGuard:
    """Checks every request to Gradio, for every event, whatever Gradio itself checks.

    A JSON object with a `path` or `url` names a file, as Gradio's FileData does. Its file must lie
    in the upload cache, links followed; any other body than JSON is for the upload route only.
    A file that is served must lie in the cache or in one of the folders, links followed.

    Args:
        app: The application behind the guard.
        cache: Where Gradio keeps uploads and copies of what it shows.
        folders: More folders whose files may be served, but not named by an event.
    """

    def __init__(self, app: Any, cache: Path, folders: Sequence[Path] = ()) -> None:
        self.app, self.cache = app, cache.resolve()
        self.served = (self.cache, *(folder.resolve() for folder in folders))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        response = None
        if scope["type"] != "http" or path.startswith("/api/") or path == UPLOAD_ROUTE:
            pass
        elif scope["method"] in ("GET", "HEAD"):
            route = next((r for r in FILE_ROUTES if path.startswith(r)), None)
            if route and not _lies_in(path.removeprefix(route), self.served):
                response = refusal(403, "file outside the studio's folders: expected one of a run")
        else:
            request = Request(scope, receive)
            try:
                body = await request.body()
            except ClientDisconnect:
                return
            response = self._check_body(body, request.headers.get("host", ""))
            receive = _replay(body, receive)
        await (response or self.app)(scope, receive, send)

    def _check_body(self, body: bytes, host: str) -> Response | None:
        try:
            data = parse_json(body) if body else None
        except ValueError:
            return refusal(
                400, "body cannot be read: expected JSON; upload files to /gradio_api/upload"
            )
        for found in _objects(data):
            path, url = found.get("path"), found.get("url")
            if not self._allows_path(path) or not self._allows_url(url, host):
                return refusal(
                    403, "file outside the upload cache: expected a file uploaded on this page"
                )
        return None

    def _allows_path(self, path: Any) -> bool:
        """Whether it is empty or an absolute path of a file in the cache, links followed."""
        return path in (None, "") or (isinstance(path, str) and _lies_in(path, (self.cache,)))

    def _allows_url(self, url: Any, host: str) -> bool:
        """Whether it is None, data, or this server's address of a file in the cache."""
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
        if not parts.path.startswith(FILE_ROUTE) or parts.query or parts.fragment:
            return False
        file = unquote(parts.path.removeprefix(FILE_ROUTE))
        return bool(file) and self._allows_path(file)


def _lies_in(path: str, folders: Sequence[Path]) -> bool:
    """Whether an absolute path is a file in one of the folders, links followed."""
    try:
        real = Path(path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return False
    inside = any(real.is_relative_to(folder) for folder in folders)
    return Path(path).is_absolute() and real.is_file() and inside


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
