"""Pictures in and out: files to RGB arrays with what stands beside them, and back.

Knows no models and no runs. EXIF orientation is applied when reading; alpha, ICC profile
and EXIF are kept beside the pixels and written again. Bad files raise PictureError.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".jxl")
MAX_PIXELS = 100_000_000
"""More than any camera takes; a picture that claims more is refused before it is decoded."""
_ORIENTATION = 0x0112


class PictureError(ValueError):
    """A file that cannot be read as a picture; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Picture:
    """`rgb`: uint8 (H, W, 3), upright; `alpha`: uint8 (H, W) or None; raw ICC and EXIF."""

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None


def find(folder: Path) -> list[Path]:
    """All pictures below a folder by their endings, in order of their names.

    Hidden files and folders are left out, and so are run folders below it, so that a second
    `visuals run .` does not take the first one's results for photos.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and "manifest.jsonl" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            here / name
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS
        ]
    return sorted(found)


def read(path: str | Path) -> Picture:
    """Decode a picture file; raises PictureError in one line, whatever is wrong with it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise PictureError(f"{path}: 0 bytes; expected a picture; copy the file again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise PictureError(
                        f"{path}: {width} × {height} pixels; expected at most "
                        f"{MAX_PIXELS // 1_000_000} million; scale it down"
                    )
                image.load()
                icc = image.info.get("icc_profile")
                exif = image.getexif()
                upright = ImageOps.exif_transpose(image)
        exif.pop(_ORIENTATION, None)
        has_alpha = "A" in upright.getbands() or "transparency" in upright.info
        alpha = np.asarray(upright.convert("RGBA"))[..., 3].copy() if has_alpha else None
        if upright.mode.startswith(("I;16", "I")):
            grey = np.asarray(upright, dtype=np.float32)
            grey *= 255 / (65535 if grey.max() > 255 else 255)
            rgb = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
        else:
            if upright.mode == "CMYK":
                icc = None  # the profile describes inks that are no longer there
            rgb = np.asarray(upright.convert("RGB")).copy()
        return Picture(rgb, alpha, icc, exif.tobytes() if len(exif) else None)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(
            f"{path}: not a picture that can be read; expected {', '.join(ENDINGS)}"
        ) from None
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file; check the path") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(
            f"{path}: damaged or truncated ({what}); expected a whole picture; copy it again"
        ) from None


def png(
    pixels: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
) -> bytes:
    """PNG bytes of uint8 (H, W, 3) RGB or (H, W) grey, with alpha and profiles if given."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    beside = {"icc_profile": icc_profile, "exif": exif}
    out = io.BytesIO()
    image.save(out, "PNG", **{k: v for k, v in beside.items() if v})
    return out.getvalue()


def write(path: Path, data: bytes) -> None:
    """Write beside, sync, rename: `path` holds all of `data` or what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def names(paths: Iterable[Path], root: Path | None) -> dict[Path, str]:
    """An id for each file: its path below `root` without the ending, which comes back where
    two files would share an id; sub-folders are kept.

    >>> names([Path("a/x.png"), Path("a/x.jpg"), Path("a/y.png")], Path("a"))[Path("a/x.jpg")]
    'x_jpg'
    """
    paths = list(paths)
    out: dict[Path, str] = {}
    taken: dict[str, int] = {}
    stems = {p: (p.relative_to(root) if root else Path(p.name)).with_suffix("") for p in paths}
    for stem in stems.values():
        taken[stem.as_posix().lower()] = taken.get(stem.as_posix().lower(), 0) + 1
    used: set[str] = set()
    for path, stem in stems.items():
        name = stem.as_posix()
        if taken[name.lower()] > 1:
            name = f"{name}_{path.suffix[1:].lower()}"
        base, k = name, 2
        while name.lower() in used:
            name, k = f"{base}_{k}", k + 1
        used.add(name.lower())
        out[path] = name
    return out
