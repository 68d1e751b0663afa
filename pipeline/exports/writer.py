"""The writer of an export format, and the loop that writes a run's pictures by several of them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError, VisualsError
from ..images.read import PictureError
from ..runs.inside_path import file_name, is_file_name
from ..runs.manifest import ManifestRecord
from . import earlier_export
from .caption_text import class_edits
from .records import AnnotatedPicture, load

Progress = Callable[[str, int, int], None]
"""Called with "annotate", the pictures done and their number."""


class Writer(Protocol):
    """One format, made with the file or folder to write to."""

    def add(self, picture: AnnotatedPicture) -> None:
        """Write a picture, or keep what `close` writes of it."""

    def close(self) -> None:
        """Write what belongs to all pictures."""


@dataclass
class Exported:
    """Result of an export. `files`: a file or folder a format; `errors` name the pictures left
    out."""

    files: dict[str, Path] = field(default_factory=dict)
    pictures: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)


def write_pictures(
    run: Path,
    records: Sequence[ManifestRecord],
    files: Mapping[str, Path],
    writers: Mapping[str, Callable[[Path], Writer]],
    *,
    progress: Progress | None = None,
    allow_none: bool = True,
    replaces: bool = False,
    rename: Callable[[str], str] = str,
) -> Exported:
    """Write pictures of a run in some formats. Earlier files are replaced when all is written.

    Args:
        run: The run folder.
        records: Records of the pictures.
        files: The file or folder of each format.
        writers: Makes the writer of each format.
        progress: Called for each picture.
        allow_none: Whether to write files without a picture where none can be read.
        replaces: Whether to replace what an earlier export wrote to these files.
        rename: Ids of the run to ids in the export, by default the same.

    Raises:
        AnnotationError: A file cannot be written, no picture can be read, or what is to be
            replaced is not what an earlier export wrote.
    """
    written, edits = Exported(dict(files)), class_edits(run)
    places = {name: path.resolve() if path.is_dir() else path for name, path in files.items()}
    parts = {
        name: path.with_name(f".{path.name}{atomic_files.SUFFIX}") for name, path in places.items()
    }
    for place in places.values() if replaces else ():
        earlier_export.check(place)
    try:
        for part in parts.values():
            _remove(part)
            part.parent.mkdir(parents=True, exist_ok=True)
        open_writers = [writers[name](part) for name, part in parts.items()]
        for number, record in enumerate(records, 1):
            try:
                picture = load(run, record, edits)
                picture = replace(picture, id=rename(picture.id))
                if not is_file_name(picture.id):
                    raise PictureError(
                        "its id is too long for a file, or holds characters that no file name has; "
                        "rename it in the manifest"
                    )
            except PictureError as error:
                written.errors.append(f"{file_name(record.id)}: {error}")
            else:
                for writer in open_writers:
                    writer.add(picture)
                written.pictures += 1
                written.instances += len(picture.instances)
            if progress:
                progress("annotate", number, len(records))
        if not written.pictures and not allow_none:
            raise AnnotationError(f"{run}: no picture could be read ({written.errors[0]})")
        for writer in open_writers:
            writer.close()
        for name, part in parts.items() if replaces else ():
            earlier_export.check(places[name], part)
        for name, part in parts.items():
            _move(part, places[name])
            if replaces:
                earlier_export.remember(places[name])
    except VisualsError:
        raise
    except OSError as error:
        raise AnnotationError(
            f"cannot write to {next(iter(files.values())).parent} ({error.strerror}); "
            "set --out to a folder of yours"
        ) from None
    finally:
        for part in parts.values():
            with contextlib.suppress(OSError):
                _remove(part)
    return written


def _move(part: Path, place: Path) -> None:
    """Put a part in its place; a folder that is there stays, with other files in it."""
    if not (part.is_dir() and place.is_dir()):
        _remove(place)
        part.rename(place)
        return
    for old in list(place.iterdir()):
        _remove(old)
    for new in list(part.iterdir()):
        new.rename(place / new.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
