"""Picture files of a data set: reading as RGB, sizes, PNG writing, safe paths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...checkpoints import atomic_files
from ...configs.errors import UsageError, WriteError
from ...pipeline.images.read import ENDINGS, printable, read_image
from ...pipeline.images.write import encode_png

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Problem:
    """A problem of one file. `code`: its kind; `name`: the file's path in the data set."""

    code: str
    name: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))


def read(path: Path) -> Image.Image:
    """Read a picture upright, as sRGB, on white where it is transparent; raises PictureError.

    Its `info["notes"]` says what was left out or converted.
    """
    from PIL import Image

    picture = read_image(path)
    image = Image.fromarray(picture.srgb_on_white)
    image.info["notes"] = picture.notes
    return image


def write(path: Path, data: bytes) -> None:
    """Write a file atomically; raises WriteError, and UsageError for what is no regular file."""
    require_regular(path)
    with _writing(path):
        atomic_files.write(path, data)


def require_regular(path: Path) -> None:
    """Raise UsageError for a link, which a write would replace, a folder, a pipe or a device."""
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        raise UsageError(
            f"{path}: a link, folder, pipe or device; expected a file to write to, or none; "
            "move it away"
        )


def delete(path: Path) -> None:
    """Delete a file if it exists; raises WriteError."""
    with _writing(path):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"cannot write {path} ({error.strerror or error}); free space or allow writing there"
        ) from None


def write_png(path: Path, image: Image.Image) -> None:
    """Write a PNG atomically."""
    atomic_files.write(path, encode_png(np.asarray(image)))


def is_picture(path: Path) -> bool:
    """Whether a file has the ending of a picture and is not hidden."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def inside(folder: Path, name: str) -> Path | None:
    """Return the path of a file below `folder`; None if it lies outside, links resolved."""
    path = folder / name.replace("\\", "/")
    try:
        return path if path.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name with a null byte
        return None
