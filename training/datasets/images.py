"""The picture files of a data set: upright sizes, RGB pixels, whole writes. Knows no captions.

EXIF orientation is applied. Whatever is wrong with a file is a FileProblem in one line.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints.atomic_files import write as write
from ...configs.errors import UsageError, one_line

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".jxl")
MAX_PIXELS = 100_000_000
"""A picture that claims more is refused before it is decoded."""
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # the EXIF orientations that swap width and height


class FileProblem(UsageError):
    """A file that is no readable picture; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file. `code`: a word to count by; `name`: of the file, in the set."""

    code: str
    name: str
    message: str


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not path.stat().st_size:
                raise FileProblem(f"{path}: 0 bytes; expected a picture; copy the file again")
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise FileProblem(
                        f"{path}: {width} × {height} pixels; expected at most "
                        f"{MAX_PIXELS // 1_000_000} million; scale it down"
                    )
                yield image
    except FileProblem:
        raise
    except UnidentifiedImageError:
        raise FileProblem(f"{path}: no picture; expected {', '.join(ENDINGS)}") from None
    except FileNotFoundError:
        raise FileProblem(f"{path}: no such file; check the path") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        what = one_line(error) or type(error).__name__
        raise FileProblem(f"{path}: damaged ({what}); copy the file again") from None


def upright_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as a viewer shows the picture; reads the header only."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        return (height, width) if turned else (width, height)


def _srgb(image: Image.Image) -> Image.Image:
    """Colours of a profile (Adobe RGB, CMYK inks …) as sRGB; as they are without a good one."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def read(path: Path) -> Image.Image:
    """The upright picture in sRGB, decoded whole; what is transparent becomes white."""
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        opened.load()
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            image = image.point(lambda v: v / 257).convert("L")
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return _srgb(image).convert("RGB")


def write_png(path: Path, image: Image.Image) -> None:
    """Write a PNG atomically."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write(path, buffer.getvalue())


def is_picture(path: Path) -> bool:
    """By its ending; hidden files are none."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def inside(folder: Path, name: str) -> Path | None:
    """The file of that name below `folder`, links followed; None where it lies outside."""
    path = folder / name.replace("\\", "/")
    return path if path.resolve().is_relative_to(folder.resolve()) else None
