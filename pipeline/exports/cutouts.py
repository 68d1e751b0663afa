"""Products cut out of their pictures: alone on transparency, or on a background of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...checkpoints import atomic_files
from ...configs.errors import UsageError
from ..images.masks import read_mask
from ..images.read import PictureError, read_image
from ..images.write import encode_png
from ..runs.inside_path import inside
from ..runs.manifest import ManifestRecord

FOLDER = "cutouts"
"""The folder of a run that holds them, a PNG a shot."""


def file_of(id_: str) -> str:
    """Return the file of a shot's cut-out in its run folder."""
    return f"{FOLDER}/{id_}.png"


def is_color(text: str) -> bool:
    """Return whether a text is a colour, by name or as #rrggbb, rather than a file.

    >>> is_color("white"), is_color("#f0f0f0"), is_color("studio.jpg")
    (True, True, False)
    """
    from PIL import ImageColor

    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True


def read_background(text: str) -> np.ndarray:
    """Return a colour, uint8 (1, 1, 3), or a picture in sRGB, uint8 (H, W, 3).

    Raises UsageError.
    """
    from PIL import ImageColor

    if is_color(text):
        return np.array(ImageColor.getrgb(text)[:3], np.uint8).reshape(1, 1, 3)
    try:
        return read_image(text).srgb_on_white
    except PictureError as error:
        raise UsageError(
            f"--background: expected a colour, as in white or #f0f0f0, or a picture ({error})"
        ) from None


def cut_out(
    picture: np.ndarray, mask: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Return the masked part of a picture.

    The edge is soft on the inner side, so that nothing of the old background shines through.

    Args:
        picture: uint8 (H, W, 3).
        mask: bool (H, W).
        background: see `read_background`; its middle is scaled to the picture's size. None:
            transparency.

    Returns:
        uint8 (H, W, 4) with transparency, else (H, W, 3).
    """
    import cv2

    from ...stages.diffusion.passes import fit

    sigma = max(0.7, max(mask.shape) / 1500)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
    alpha = np.rint(255 * np.clip(2 * soft - 1, 0, 1)).astype(np.uint8)
    if background is None:
        return np.dstack([picture, alpha])
    share = alpha[..., None].astype(np.float32) / 255
    behind = np.asarray(fit(background, mask.shape[::-1]))
    mixed = picture * share + behind * (1 - share)
    return np.asarray(np.rint(mixed).astype(np.uint8))


def write_cutout(
    folder: Path, record: ManifestRecord, background: np.ndarray | None = None
) -> Path | None:
    """Write the product of a kept shot to `cutouts/ID.png`, unless it is there; None for no mask.

    Raises PictureError, OSError.
    """
    files = record.files
    if not record.kept or not files.mask or not files.picture:
        return None
    out = inside(folder, file_of(record.id))
    if not out.exists():
        picture = read_image(inside(folder, files.picture)).srgb_on_white
        mask = read_mask(inside(folder, files.mask)) > 127
        cut = cut_out(picture, mask, background)
        alpha = cut[..., 3] if background is None else None
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write(out, encode_png(cut[..., :3], alpha=alpha))
    return out
