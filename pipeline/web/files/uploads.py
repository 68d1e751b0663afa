"""Uploads: files that a browser or a client sent, brought into a folder of the studio safely.

A name is never taken for a path; archives are unpacked within limits; a picture that claims too
many pixels is refused by its header. Each refused file gets a message, the others are kept.
"""

from __future__ import annotations

import re
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from ....configs.errors import one_line
from ...images.read import ENDINGS, PictureError, printable, read_header
from .disk_space import check_space, full_disk_is_refused
from .free_path import free_path

MOST_BYTES = 100 << 20
"""Of one file, and of a request; more is refused."""
MOST_UNPACKED = 1 << 30
"""Bytes that the archives of one upload may unpack to."""
MOST_FILES = 1000
"""Pictures of one upload."""


@dataclass
class Upload:
    """Pictures in a folder, and a message for each file that was refused."""

    folder: Path
    pictures: list[Path] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unpacked: int = 0


def receive(root: Path, files: Iterable[tuple[str, Path]]) -> Upload:
    """Copy (name, file) pairs, pictures and zip archives of them, into a new folder of `root`.

    Raises DiskFullError where they do not fit.
    """
    files = list(files)
    check_space(root, sum(path.stat().st_size for _, path in files))
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    upload = Upload(root / ".studio" / "uploads" / name)
    upload.folder.mkdir(parents=True)
    for given, path in files:
        if path.stat().st_size > MOST_BYTES:
            size = path.stat().st_size >> 20
            upload.refused.append(
                f"{_shown(given)}: {size} MB; expected at most {MOST_BYTES >> 20} MB; scale it down"
            )
        elif PurePosixPath(given.replace("\\", "/")).suffix.lower() == ".zip":
            _unpack(path, given, upload)
        else:
            with path.open("rb") as file, full_disk_is_refused():
                _take(file, given, upload)
    return upload


def plain_name(given: str) -> str:
    """Return the last part of a name, of letters, digits, blanks, dots and dashes, not hidden.

    >>> plain_name("../../etc/x.png"), plain_name("C:\\\\photos\\\\mug 1.JPG")
    ('x.png', 'mug 1.JPG')
    """
    name = given.replace("\\", "/").rsplit("/", 1)[-1]
    name = re.sub(r"[^\w .()+-]", "_", name).strip(" .")
    stem, dot, ending = name.rpartition(".")
    return f"{stem[:100]}{dot}{ending}" if dot and stem else name[:100] or "picture"


def _shown(given: str) -> str:
    return printable(given)[-120:]


def _take(file: IO[bytes], given: str, upload: Upload, most: int = MOST_BYTES) -> None:
    """Copy one picture, counting its bytes, and look at its header."""
    name = plain_name(given)
    if Path(name).suffix.lower() not in ENDINGS:
        upload.refused.append(f"{_shown(given)}: expected a picture ({', '.join(ENDINGS)}) or .zip")
        return
    if len(upload.pictures) >= MOST_FILES:
        upload.refused.append(f"{_shown(given)}: more than {MOST_FILES} pictures; send fewer")
        return
    path = free_path(upload.folder / name)
    size = 0
    with path.open("xb") as out:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            size += len(chunk)
            if size > most:
                break
            out.write(chunk)
    upload.unpacked += size
    try:
        if size > most:
            raise PictureError(f"{name}: more than {most >> 20} MB; send a smaller one")
        read_header(path)
    except PictureError as error:
        path.unlink()
        upload.refused.append(str(error).replace(str(path), _shown(given)))
        return
    upload.pictures.append(path)


def _unpack(path: Path, given: str, upload: Upload) -> None:
    """Take the pictures of an archive, each under its bare name."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in _members(archive, given, upload):
                left = MOST_UNPACKED - upload.unpacked
                if left <= 0 or len(upload.pictures) >= MOST_FILES:
                    upload.refused.append(
                        f"{_shown(given)}: unpacks to more than {MOST_UNPACKED >> 20} MB or "
                        f"{MOST_FILES} pictures; the rest was left out"
                    )
                    return
                with archive.open(entry) as file:
                    _take(file, entry.filename, upload, min(MOST_BYTES, left))
    except Exception as error:  # BadZipFile, zlib.error, LZMAError and others of decoders
        what = one_line(error) or type(error).__name__
        upload.refused.append(f"{_shown(given)}: not a zip that can be read ({what})")


def _members(archive: zipfile.ZipFile, given: str, upload: Upload) -> Iterator[zipfile.ZipInfo]:
    """Yield the entries that are pictures by name; those that lead outside are refused."""
    for entry in archive.infolist():
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if entry.is_dir() or name.name.startswith(".") or "__MACOSX" in name.parts:
            continue
        if ".." in name.parts or name.is_absolute() or re.match(r"[A-Za-z]:", entry.filename):
            upload.refused.append(
                f"{_shown(given)}: {_shown(entry.filename)} leads out of the archive; left out"
            )
        elif name.suffix.lower() in ENDINGS:
            yield entry
