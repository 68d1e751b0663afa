"""Sample photos of the tab, each named by the class that it shows."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from .....configs.errors import UsageError

FOLDER = Path(__file__).parent / "sample_photos"


def names() -> list[str]:
    """Return the classes that samples show."""
    return sorted(path.stem for path in FOLDER.glob("*.jpg"))


def path(name: str) -> Path:
    """Return the sample of a class; raises UsageError."""
    if name not in names():
        raise UsageError(f"no sample photo {name!r}: expected one of {', '.join(names())}")
    return FOLDER / f"{name}.jpg"


def photos() -> list[dict[str, Any]]:
    """Return the samples for a strip."""
    return [
        {"id": name, "alt": name, "src": f"data:image/jpeg;base64,{_base64(path(name))}"}
        for name in names()
    ]


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
