"""The studio's server: API and page in one app, behind the guards."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...configs.errors import UsageError
from .access import AccessGuard, is_loopback
from .files import disk_space, uploads
from .gradio_guard import GradioGuard
from .queue.job_queue import JobQueue


def check_address(host: str, port: int, token: str | None) -> None:
    """Raise UsageError for an address beyond this machine without a token, or one in use."""
    if not is_loopback(host) and not token:
        raise UsageError(
            f"--host {host} is open to other machines: expected a token that keeps strangers out; "
            "set --token (or VISUALS_TOKEN)"
        )
    if token is not None and len(token) < 8:
        raise UsageError(f"--token of {len(token)} characters: expected at least 8")
    if token is not None and (token != token.strip() or not token.isprintable()):
        raise UsageError("--token: expected printable characters, no blank at either end")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror}); set --port to another, 0 for any"
        ) from None


def build(
    queue: JobQueue, *, token: str | None = None, most_bytes: int = uploads.MOST_BYTES
) -> AccessGuard:
    """Return the ASGI app: the page at /, the API at /api, its description at /docs.

    `environment` should be set before Gradio is imported.
    """
    import gradio
    from gradio.utils import get_upload_folder

    from . import page
    from .api import routes
    from .files import lora_library

    app = routes.app_of(queue)
    folders = [queue.root.resolve(), lora_library.folder(queue.root).resolve()]
    gradio.mount_gradio_app(
        app,
        page.studio(queue),
        path="/",
        allowed_paths=[str(folder) for folder in folders],
        max_file_size=most_bytes,
        show_error=token is None,
        ssr_mode=False,
        footer_links=[],
        **page.look(),
    )
    guarded = GradioGuard(app, Path(get_upload_folder()), folders)
    return AccessGuard(guarded, token=token, most_bytes=most_bytes + (1 << 20))


def environment(root: Path) -> dict[str, str]:
    """Return the variables by which Gradio sends no telemetry and keeps files below the runs."""
    return {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str((root / ".studio" / "cache").resolve()),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def serve(
    root: Path,
    host: str,
    port: int,
    *,
    token: str | None = None,
    keep_days: float = disk_space.KEPT_DAYS,
    on_start: Callable[[str, int], None] = print,
) -> None:
    """Serve until stopped; `on_start` receives the address once the server listens.

    Uploads, searches and small pictures that were not used for `keep_days` are removed first.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_start(*self.servers[0].sockets[0].getsockname()[:2])

    check_address(host, port, token)
    disk_space.remove_unused(root, keep_days)
    queue = JobQueue(root)
    queue.worker.start()
    try:
        app = build(queue, token=token)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,  # an open page holds a connection for ever
        )
        Server(config).run()
    finally:
        queue.close()
