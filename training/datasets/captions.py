"""Captions of a data set: read from sidecars and `metadata.jsonl`, with a list of problems."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...configs.errors import UsageError
from ...configs.text_files import read_encoded
from . import imagefolder
from . import images as dataset_images
from .images import Problem

ENDINGS = (".txt", ".caption")
"""Endings of sidecars: kohya's notebooks, TagGUI and ai-toolkit write the first, kohya's default is
the second."""


_CAPTION = re.compile(r"[^\s\ufeff][^\r\n]*")


@dataclass(frozen=True)
class Sidecar:
    """A caption file: its text as it is, and the encoding. The caption is the first line that is
    not blank."""

    text: str = "\n"
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: Path) -> Sidecar:
        """Read a file; raises UsageError for one that is not text."""
        return cls(*read_encoded(path, UsageError, "a caption"))

    @property
    def _parts(self) -> tuple[str, str, str]:
        """What is before the caption, the caption, what is behind it."""
        found = _CAPTION.search(self.text)
        if found is None:
            return self.text.rstrip(), "", "\n"
        caption = found[0].rstrip()
        return self.text[: found.start()], caption, self.text[found.start() + len(caption) :]

    @property
    def caption(self) -> str:
        return self._parts[1]

    @property
    def starts_blank(self) -> bool:
        """Whether the first line is blank, which kohya's scripts take for the caption."""
        return bool(self.caption and re.search(r"[\r\n]", self._parts[0]))

    @property
    def has_more(self) -> bool:
        """Whether there are lines behind the caption."""
        return bool(self._parts[2].strip())

    def with_caption(self, caption: str) -> bytes:
        """The file with another caption, and all else as it was."""
        before, _, behind = self._parts
        return f"{before}{caption}{behind}".encode(self.encoding)


class Captions:
    """Looks up captions and masks, and collects problems of their files."""

    def __init__(self, root: Path, column: str, endings: tuple[str, ...]) -> None:
        self.root, self.column, self.endings = root, column, endings
        self.problems: list[Problem] = []
        self.used: set[Path] = set()
        self.unread_lines: list[Problem] = []
        self.has_metadata = False
        self._rows: dict[Path, tuple[imagefolder.Row, Path]] = {}
        self._read: set[Path] = set()

    def of(self, path: Path) -> tuple[str | None, Path | None]:
        """Return (caption, file it is in); (None, file) for one that cannot be read, (None, None)
        without any."""
        self._metadata_of(path)
        row, source = self._rows.get(path, ({}, None))
        written = row.get(self.column)
        found: list[tuple[str | None, Path]] = []
        for ending in self.endings:
            sidecar = path.with_suffix(ending)
            if os.path.isfile(sidecar):
                found.append((self._caption_in(sidecar), sidecar))
        if source is not None and isinstance(written, str):
            found.append((written.strip(), source))
        elif source is not None and written is not None:
            self._note(
                "bad_caption", path, f"{self.column!r} is no text: {written!r}; fix the line"
            )
            found.append((None, source))
        if not found:
            return None, None
        text, file = found[0]
        for other, place in found[1:]:
            if None not in (text, other) and text != other:
                self._note("two_captions", path, f"differs in {place.name}; {file.name} counts")
        return text, file

    def mask(self, path: Path) -> Path | None:
        """Return the mask that `metadata.jsonl` names for a picture."""
        row, source = self._rows.get(path, ({}, None))
        name = row.get("mask_file_name")
        if not name or source is None:
            return None
        found = dataset_images.inside(source.parent, str(name))
        if found is None or not os.path.isfile(found):
            self._note("no_mask", path, f"its mask {name!r} is missing; restore the file")
            return None
        return found

    def finish(self, taken: set[Path]) -> None:
        """Report rows whose picture is missing; `taken`: pictures of the data set."""
        for path in sorted(p for p in set(self._rows) - taken if not os.path.isfile(p)):
            name = os.path.relpath(path, self.root)
            text = (
                f"{name}: named in {imagefolder.NAME}, but missing; delete the line or restore it"
            )
            self.problems.append(Problem("missing_picture", name, text))

    def _note(self, code: str, path: Path, what: str) -> None:
        name = path.relative_to(self.root).as_posix()
        self.problems.append(Problem(code, name, f"{name}: {what}"))

    def _caption_in(self, file: Path) -> str | None:
        if file in self.used:
            self._note("shared_caption", file, "of two pictures, which differ in their ending")
        self.used.add(file)
        try:
            sidecar = Sidecar.read(file)
        except UsageError as error:
            self._note("bad_caption", file, str(error))
            return None
        if sidecar.starts_blank:
            self._note("blank_line", file, "its first line is blank; the next one is the caption")
        if sidecar.has_more:
            name = file.relative_to(self.root).as_posix()
            what = f"{name}: lines behind its caption, which are not read"
            self.unread_lines.append(Problem("more_lines", name, what))
        return sidecar.caption

    def _metadata_of(self, path: Path) -> None:
        """Read the metadata of a picture's folder and of those above it, once."""
        for folder in imagefolder.folders_above(path, self.root):
            if folder not in self._read:
                self._read.add(folder)
                self._read_rows(folder / imagefolder.NAME)

    def _read_rows(self, file: Path) -> None:
        if not os.path.isfile(file):
            return
        self.has_metadata = True
        self.used.add(file)
        rows, problems = imagefolder.read(file)
        name = file.relative_to(self.root).as_posix()
        self.problems += [Problem("bad_metadata", name, text) for text in problems]
        for row in rows:
            path = dataset_images.inside(file.parent, row["file_name"])
            if path is None:
                text = f"{name}: {row['file_name']!r} is outside the data set; fix the line"
                self.problems.append(Problem("outside", name, text))
                continue
            path = Path(os.path.normpath(path))
            if path in self._rows and self._rows[path][1] == file:
                self._note("two_captions", path, f"two lines in {name}; delete one")
            else:
                self._rows.setdefault(path, (row, file))
