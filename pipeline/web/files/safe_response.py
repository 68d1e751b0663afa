"""Responses of files that no browser takes for a page with scripts of this server."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse

POLICY = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; "
    "img-src data: 'self'; style-src 'unsafe-inline'",
}
"""Headers of every file: its type is as said, and it runs no script and fetches nothing."""

RASTER = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""Types of raster pictures, which hold no script, by the endings of their names."""


def picture_or_attachment(path: Path) -> FileResponse:
    """Return a raster picture to be shown, or any other file to be saved."""
    media_type = RASTER.get(path.suffix.lower())
    return FileResponse(
        path,
        headers=POLICY,
        media_type=media_type or "application/octet-stream",
        filename=path.name,
        content_disposition_type="inline" if media_type else "attachment",
    )
