"""Names for new files and folders that are not taken."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count
from pathlib import Path


def free_path(path: Path, is_taken: Callable[[Path], bool] = Path.exists) -> Path:
    """Return the path, or the first of NAME-2, NAME-3 … that is not taken.

    >>> free_path(Path("mug.png"), lambda path: path.name in ("mug.png", "mug-2.png"))
    PosixPath('mug-3.png')
    """
    numbered = (path.with_name(f"{path.stem}-{k}{path.suffix}") for k in count(2))
    return next(p for p in chain([path], numbered) if not is_taken(p))
