"""Modes and ICC profiles to RGB: inks, greys, palettes and Lab as a screen shows them.

Knows Pillow's images, no files. A profile that describes RGB stays as it is.
"""

from __future__ import annotations

import io
from typing import Any


def to_rgb(image: Any, notes: list[str]) -> tuple[Any, bytes | None]:
    """A Pillow image as RGB, and the ICC profile that belongs to it now.

    RGB is never converted. CMYK, grey and Lab become sRGB through their profile, by the relative
    colorimetric intent; without one CMYK is turned by arithmetic. What was done goes to `notes`.
    """
    icc: bytes | None = image.info.get("icc_profile")
    if image.mode == "LAB":
        return to_srgb(image, None, notes), None
    if image.mode == "CMYK":
        turned = to_srgb(image, icc, notes) if icc else None
        if turned is None:
            notes.append("CMYK without a profile that can be read: turned to RGB by arithmetic")
        return turned or image.convert("RGB"), None
    if icc and space(icc) == "GRAY":
        turned = to_srgb(image.convert("L"), icc, notes)
        return turned or image.convert("RGB"), None
    return image.convert("RGB"), for_rgb(icc, notes)


def for_rgb(icc: bytes | None, notes: list[str]) -> bytes | None:
    """The profile if it may stand beside RGB samples; one of greys or inks may not."""
    if icc and space(icc) not in ("RGB", ""):
        notes.append(f"an ICC profile of {space(icc)} beside RGB samples: left out")
        return None
    return icc


def space(icc: bytes) -> str:
    """The colour space that a profile describes ("RGB", "GRAY", "CMYK"), "" if it is broken."""
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (OSError, ValueError, ImageCms.PyCMSError):
        return ""


def to_srgb(image: Any, icc: bytes | None, notes: list[str]) -> Any:
    """The image in sRGB; None if its profile (None: Lab) does not fit. Notes what was done."""
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
    notes.append(f"{image.mode} turned to sRGB by its profile")
    return out
