"""Small pictures of runs: JPEGs below `.studio`, made when they are first asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ....checkpoints import atomic_files
from ...images.read import read_image

LONGEST = 256
"""Pixels of the longer side."""


def folder(root: Path, id_: str) -> Path:
    """Return where the small pictures of a run are kept."""
    return root / ".studio" / "thumbnails" / id_


def thumbnail(picture: Path, kept: Path) -> Path:
    """Return a small copy of a picture, in the folder `kept`; raises PictureError, OSError."""
    mark = f"{picture.resolve()} {picture.stat().st_mtime_ns}"
    path = kept / f"{hashlib.sha256(mark.encode(errors='replace')).hexdigest()[:32]}.jpg"
    if not path.is_file():
        from PIL import Image

        image = Image.fromarray(read_image(picture).srgb_on_white)
        image.thumbnail((LONGEST, LONGEST))
        with atomic_files.beside(path) as name:
            image.save(name, "JPEG", quality=85)
    return path
