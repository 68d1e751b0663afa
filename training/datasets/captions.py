"""Captions of a data set: read from sidecars and `metadata.jsonl`, with a list of problems."""

from __future__ import annotations

import os
from pathlib import Path

from ...configs.errors import UsageError
from ...configs.text_files import read_text
from . import imagefolder
from . import images as dataset_images
from .images import Problem

ENDINGS = (".txt", ".caption")
"""Endings of sidecars: kohya's notebooks, TagGUI and ai-toolkit write the first, kohya's default is
the second."""


class Captions:
    """Looks up captions and masks, and collects problems of their files."""

    def __init__(self, root: Path, column: str, endings: tuple[str, ...]) -> None:
        self.root, self.column, self.endings = root, column, endings
        self.problems: list[Problem] = []
        self.used: set[Path] = set()
        self.has_metadata = False
        self._rows: dict[Path, tuple[imagefolder.Row, Path]] = {}
        self._read: set[Path] = set()

    def of(self, path: Path) -> tuple[str | None, Path | None]:
        """Return (caption, file it is in), or Nones; of a sidecar the first line counts."""
        self._metadata_of(path)
        row, source = self._rows.get(path, ({}, None))
        written = row.get(self.column)
        for ending in self.endings:
            sidecar = path.with_suffix(ending)
            if not os.path.isfile(sidecar):
                continue
            self.used.add(sidecar)
            text = self._first_line(sidecar)
            if text is not None and isinstance(written, str) and written.strip() != text:
                self._note(
                    "two_captions", path, f"differs in {imagefolder.NAME}; {sidecar.name} counts"
                )
            return text, sidecar
        if written is None:
            return None, None
        if not isinstance(written, str):
            self._note(
                "bad_caption", path, f"{self.column!r} is no text: {written!r}; fix the line"
            )
            return None, None
        return written.strip(), source

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

    def _first_line(self, sidecar: Path) -> str | None:
        try:
            text = read_text(sidecar, UsageError, "a caption")
        except UsageError as error:
            self._note("bad_caption", sidecar, str(error))
            return None
        return next(iter(text.strip().splitlines()), "").strip()

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
