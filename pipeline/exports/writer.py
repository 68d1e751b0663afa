"""The writer of an export format, and the loop that writes a run's pictures by several of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...configs.errors import AnnotationError, VisualsError
from ..images.read import PictureError
from ..runs.manifest import ManifestRecord
from .caption_text import class_edits
from .records import AnnotatedPicture, load

if TYPE_CHECKING:
    Progress = Callable[[str, int, int], None]


class Writer(Protocol):
    """One format, made with the file or folder to write to."""

    def add(self, picture: AnnotatedPicture) -> None:
        """Write a picture, or keep what `close` writes of it."""

    def close(self) -> None:
        """Write what belongs to all pictures."""


@dataclass
class Written:
    """Counts of what was written; `errors` name the pictures left out."""

    pictures: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)


def write_pictures(
    run: Path,
    records: Sequence[ManifestRecord],
    targets: Mapping[Path, Callable[[Path], Writer]],
    *,
    progress: Progress | None = None,
    allow_none: bool = True,
) -> Written:
    """Write pictures of a run to each target, which is replaced when all are written.

    Args:
        run: the run folder.
        records: the records of the pictures.
        targets: the writer of each file or folder.
        progress: called with "annotate", the pictures done and their number.
        allow_none: whether to write targets without a picture where none can be read.

    Raises:
        AnnotationError: a target cannot be written, or no picture can be read.
    """
    written, edits = Written(), class_edits(run)
    parts = {target: target.with_name(f".{target.name}.part") for target in targets}
    try:
        for part in parts.values():
            _remove(part)
            part.parent.mkdir(parents=True, exist_ok=True)
        writers = [targets[target](part) for target, part in parts.items()]
        for number, record in enumerate(records, 1):
            try:
                picture = load(run, record, edits)
            except PictureError as error:
                written.errors.append(f"{record.id}: {error}")
            else:
                for writer in writers:
                    writer.add(picture)
                written.pictures += 1
                written.instances += len(picture.instances)
            if progress:
                progress("annotate", number, len(records))
        if not written.pictures and not allow_none:
            raise AnnotationError(f"{run}: no picture could be read ({written.errors[0]})")
        for writer in writers:
            writer.close()
        for target, part in parts.items():
            _remove(target)
            part.rename(target)
    except VisualsError:
        raise
    except OSError as error:
        raise AnnotationError(
            f"cannot write to {next(iter(targets)).parent} ({error.strerror}); "
            "set --out to a folder of yours"
        ) from None
    finally:
        for part in parts.values():
            _remove(part)
    return written


def require_new(path: Path) -> None:
    """Raise AnnotationError where there is a file, or a folder that is not empty."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise AnnotationError(f"{path} is there already: expected a new one; set --out")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
