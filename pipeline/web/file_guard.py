"""ASGI middleware that refuses file references outside the upload cache. Knows ASGI only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .access import Receive, Scope, Send, answer

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
        if scope["type"] != "http" or path.startswith("/api/") or path == UPLOAD_ROUTE:
            await self.app(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._serve(path, scope, receive, send)
            return
        body = await _read(receive)
        host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")
        refusal = self._refusal(body, host)
        if refusal:
            await answer(send, *refusal)
            return
        waiting = True

        async def replay() -> Any:
            nonlocal waiting
            if waiting:
                waiting = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self.app(scope, replay, send)

    async def _serve(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        route = next((r for r in FILE_ROUTES if path.startswith(r)), None)
        if route and not _lies_in(path.removeprefix(route), self.served):
            await answer(send, 403, "file outside the studio's folders: expected one of a run")
            return
        await self.app(scope, receive, send)

    def _refusal(self, body: bytes, host: str) -> tuple[int, str] | None:
        try:
            data = json.loads(body) if body else None
        except (ValueError, RecursionError):
            return 400, "body cannot be read: expected JSON; upload files to /gradio_api/upload"
        for found in _objects(data):
            if not self._allows_path(found.get("path")) or not self._allows_url(
                found.get("url"), host
            ):
                return 403, "file outside the upload cache: expected a file uploaded on this page"
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


async def _read(receive: Receive) -> bytes:
    """The whole body; empty where the client has gone."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)
