"""The user's configuration and cache folders."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """Return the configuration folder: $XDG_CONFIG_HOME/visuals, else ~/.config/visuals; on Windows
    %APPDATA%\\visuals."""
    base = os.environ.get("XDG_CONFIG_HOME") or (
        os.environ.get("APPDATA") if os.name == "nt" else ""
    )
    return (Path(base) if base else Path.home() / ".config") / "visuals"


def cache_folder() -> Path:
    """Return the cache folder: $XDG_CACHE_HOME/visuals, else ~/.cache/visuals."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "visuals"
