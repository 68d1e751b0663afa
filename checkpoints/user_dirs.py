"""The user's folders: of settings, of what can be made again. Knows nothing of what lies there."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """The user's folder for this program's settings ($XDG_CONFIG_HOME/visuals, ~/.config/visuals;
    on Windows %APPDATA%\\visuals)."""
    base = os.environ.get("XDG_CONFIG_HOME") or (
        os.environ.get("APPDATA") if os.name == "nt" else ""
    )
    return (Path(base) if base else Path.home() / ".config") / "visuals"


def cache_folder() -> Path:
    """The user's folder for what this program can make again ($XDG_CACHE_HOME/visuals,
    ~/.cache/visuals)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "visuals"
