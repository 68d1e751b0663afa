"""The key by which browsers keep the page's state, the same after a restart of the server."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

NAME = ".secret"


def browser_secret(root: Path) -> str:
    """Return the key of the studio's folder, made at the first call, for its owner to read."""
    path = root / ".studio" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text()
