"""The studio's server: API and pages in one app, behind the guard, on one address."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError
from .access import AccessGuard, is_loopback
from .file_guard import FileGuard
from .files import uploads
from .queue.job_queue import JobQueue

TOKEN_FROM = "VISUALS_TOKEN"


class BindError(UsageError):
    """An address that cannot be served; the message says got, expected, remedy."""


def check_address(host: str, port: int, token: str | None) -> None:
    """Raises BindError for an address beyond this machine without a token, or one in use."""
    if not is_loopback(host) and not token:
        raise BindError(
            f"--host {host} is open to other machines: expected a token that keeps strangers out; "
            f"set --token (or {TOKEN_FROM})"
        )
    if token is not None and len(token) < 8:
        raise BindError(f"--token of {len(token)} characters: expected at least 8")
    try:
        with socket.create_server((host, port), family=_family(host)):
            pass
    except OSError as error:
        raise BindError(
            f"cannot listen on {host}:{port} ({error.strerror}); set --port to another, 0 for any"
        ) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def build(desk: JobQueue, *, token: str | None = None, most_bytes: int = uploads.MOST_BYTES) -> Any:
    """The ASGI app: the pages at /, the API at /api, its description at /docs."""
    quiet(desk.root)
    import gradio

    from . import page
    from .api import routes
    from .files import lora_library

    app = routes.app_of(desk)
    folders = [desk.root.resolve(), lora_library.folder(desk.root).resolve()]
    blocks = page.studio(desk)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        allowed_paths=[str(folder) for folder in folders],
        max_file_size=most_bytes,
        show_error=True,
        ssr_mode=False,
        footer_links=[],
        **page.look(),
    )
    guarded = FileGuard(app, _cache(desk.root), folders)
    return AccessGuard(guarded, token=token, most_bytes=most_bytes + (1 << 20))


def _cache(root: Path) -> Path:
    """Where Gradio keeps uploads and copies of what it shows."""
    return (root / ".studio" / "cache").resolve()


def quiet(root: Path) -> None:
    """Gradio asks nobody elsewhere for anything, and keeps its files below the runs."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(_cache(root))
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def serve(root: Path, host: str, port: int, *, token: str | None = None, tell: Any = print) -> None:
    """Serve until stopped; `tell` hears the address once it answers."""
    import uvicorn

    check_address(host, port, token)
    desk = JobQueue(root)
    desk.worker.start()
    try:
        config = uvicorn.Config(
            build(desk, token=token), host=host, port=port, log_level="warning", access_log=False
        )
        server = _Server(config, tell)
        server.run()
    finally:
        desk.close()


class _Server:
    """uvicorn's, that tells its address when it listens."""

    def __init__(self, config: Any, tell: Any) -> None:
        import uvicorn

        class Telling(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                if self.started:
                    name = self.servers[0].sockets[0].getsockname()
                    tell(name[0], name[1])

        self._server = Telling(config)

    def run(self) -> None:
        self._server.run()
