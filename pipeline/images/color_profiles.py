"""Color profiles: converts CMYK, grey, palette and Lab images to RGB. RGB keeps its profile."""

from __future__ import annotations

import io
from typing import Any


def to_rgb(image: Any, notes: list[str]) -> tuple[Any, bytes | None]:
    """Return a Pillow image as RGB, and the ICC profile that now applies to it.

    RGB is never converted. CMYK, grey and Lab become sRGB through their profile, with the relative
    colorimetric intent; CMYK without a profile is converted by arithmetic. Conversions are added
    to `notes`.
    """
    icc: bytes | None = image.info.get("icc_profile")
    if image.mode == "LAB":
        return to_srgb(image, None, notes), None
    if image.mode == "CMYK":
        converted = to_srgb(image, icc, notes) if icc else None
        if converted is None:
            notes.append("CMYK without a readable profile: converted to RGB by arithmetic")
        return converted or image.convert("RGB"), None
    if icc and space(icc) == "GRAY":
        return to_srgb(image.convert("L"), icc, notes) or image.convert("RGB"), None
    return image.convert("RGB"), for_rgb(icc, notes)


def for_rgb(icc: bytes | None, notes: list[str]) -> bytes | None:
    """Return the profile if it describes RGB or is broken; others are dropped. Both are noted."""
    kind = space(icc) if icc else "RGB"
    if kind not in ("RGB", ""):
        notes.append(f"an ICC profile of {kind} beside RGB samples: left out")
        return None
    if not kind:
        notes.append("an ICC profile that cannot be read: kept, but not applied")
    return icc


def space(icc: bytes) -> str:
    """Return the color space of a profile ("RGB", "GRAY", "CMYK"), or "" if it is broken."""
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        return ""


def to_srgb(image: Any, icc: bytes | None, notes: list[str]) -> Any:
    """Convert an image to sRGB; None if its profile does not fit. `icc`: None for Lab."""
    from PIL import ImageCms

    try:
        source: Any = ImageCms.createProfile("LAB")
        if icc:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        out = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    notes.append(f"{image.mode} converted to sRGB by its profile")
    return out
