"""Captions a folder: describes pictures without a caption, edits captions, writes them.

Each batch is written before the next one, and captioned pictures are skipped, so that the same
command continues after an interruption. A caption that cannot be read is never replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...configs.errors import UsageError
from ...pipeline.images.read import PictureError
from ..datasets import imagefolder
from ..datasets import images as dataset_images
from ..datasets.caption_edits import CaptionEdits
from ..datasets.captions import ENDINGS, Sidecar
from ..datasets.dataset_folder import Dataset, DatasetError, Item
from ..datasets.images import Problem

if TYPE_CHECKING:
    from PIL import Image

Format = Literal["txt", "caption", "metadata"]
Describe = Callable[[Sequence["Image.Image"]], list[str]]
_SECONDS = 2.0
"""Least time between two writes of metadata.jsonl, which is written whole."""


@dataclass(frozen=True)
class Change:
    """A changed caption; `before` is None if there was none."""

    name: str
    before: str | None
    after: str


@dataclass
class Captioned:
    """Result of captioning a folder. `kept`: captions that were not changed; `problems`: of
    captions and pictures that were passed over, and of captions in two places."""

    changes: list[Change] = field(default_factory=list)
    kept: int = 0
    problems: list[Problem] = field(default_factory=list)


def caption_dataset(
    dataset: Dataset,
    describe: Describe | None,
    *,
    edits: CaptionEdits,
    format: Format | None = None,
    overwrite: bool = False,
    column: str = "text",
    batch_size: int = 8,
    preview: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Captioned:
    """Caption the pictures of a folder and write each batch.

    Args:
        dataset: The folder as it was read.
        describe: Pictures to captions; None edits existing captions only.
        edits: Changes to each caption.
        format: Sidecars or `metadata.jsonl`; None: as in the folder, else `.txt`.
        overwrite: Replace existing captions; else only missing ones are written.
        column: Caption key of `metadata.jsonl`.
        batch_size: Pictures a call of `describe`.
        preview: Only that many pictures, and nothing is written.
        progress: Receives (done, total).

    Raises:
        DatasetError: `metadata.jsonl` has a bad line.
        WriteError: A file cannot be written.
    """
    found = [p for p in dataset.problems if p.code in ("bad_caption", "two_captions")]
    done = Captioned(problems=found)
    if describe is None:
        todo = [item for item in dataset.items if item.caption]
        done.problems += [
            Problem("no_caption", item.name, f"{item.name}: no caption to edit; write one")
            for item in dataset.items
            if not item.caption and not item.is_unread
        ]
    else:
        todo = to_describe(dataset, overwrite)
        done.kept = sum(bool(item.caption) for item in dataset.items if not overwrite)
    todo = todo[:preview]
    writer = _Writer(dataset, format, column) if preview is None else None
    progress(0, len(todo))
    try:
        for k in range(0, len(todo), batch_size):
            for item, text in _texts(todo[k : k + batch_size], describe, done):
                after = edits(text)
                if not after:
                    what = f"{item.name}: the model gives an empty caption; write one"
                    done.problems.append(Problem("no_words", item.name, what))
                    continue
                if after == item.caption:
                    done.kept += 1
                    continue
                try:
                    if writer:
                        writer.put(item, after)
                except UsageError as error:
                    what = f"{item.name}: its caption is not written: {error}"
                    done.problems.append(Problem("not_written", item.name, what))
                else:
                    done.changes.append(Change(item.name, item.caption, after))
            if writer:
                writer.flush(_SECONDS)
            progress(min(len(todo), k + batch_size), len(todo))
    finally:
        if writer:
            writer.flush()
    return done


def to_describe(dataset: Dataset, overwrite: bool = False) -> list[Item]:
    """Return the pictures that a model is to describe, with `overwrite` the captioned ones too."""
    return [i for i in dataset.items if not i.is_unread and (overwrite or not i.caption)]


def write_captions(dataset: Dataset, texts: Mapping[str, str], *, column: str = "text") -> None:
    """Write captions by picture name: where the picture has its caption, else as in the folder,
    else as `.txt`. Raises UsageError for a caption that cannot be read and DatasetError if
    `metadata.jsonl` has a bad line."""
    writer = _Writer(dataset, None, column)
    for item in dataset.items:
        if item.name in texts:
            writer.put(item, " ".join(texts[item.name].split()))
    writer.flush()


def _texts(
    items: Sequence[Item], describe: Describe | None, done: Captioned
) -> Iterator[tuple[Item, str]]:
    """Yield items with new captions; a picture that cannot be read is reported and left out."""
    if describe is None:
        yield from ((item, item.caption or "") for item in items)
        return
    good: list[tuple[Item, Image.Image]] = []
    for item in items:
        try:
            good.append((item, dataset_images.read(item.path)))
        except PictureError as error:
            done.problems.append(Problem("unreadable", item.name, str(error)))
    if good:
        yield from zip((i for i, _ in good), describe([image for _, image in good]), strict=True)


class _Writer:
    """Writes captions in the chosen format, and wherever the picture has the same one already."""

    def __init__(self, dataset: Dataset, format: Format | None, column: str) -> None:
        for problem in dataset.problems:
            if problem.code == "bad_metadata":  # rewriting the file would lose the line
                raise DatasetError(problem.message)
        self.root, self.column = dataset.folder, column
        self.format = format or ("metadata" if dataset.layout == "imagefolder" else "txt")
        self.fixed = format is not None
        self._rows: dict[Path, list[imagefolder.Row]] = {}
        self._changed: set[Path] = set()
        self._written = time.monotonic()

    def put(self, item: Item, text: str) -> None:
        sidecars = [s for e in ENDINGS if os.path.isfile(s := item.path.with_suffix(e))]
        new = item.path.with_suffix(f".{self.format}")
        wants_sidecar = self.format != "metadata" and (self.fixed or not item.caption_from)
        for sidecar in sidecars:
            try:
                old = Sidecar.read(sidecar)
            except UsageError:
                if sidecar == item.caption_from:
                    raise
                continue
            if old.caption in ("", item.caption):
                dataset_images.write(sidecar, old.with_caption(text))
        if wants_sidecar and new not in sidecars:
            dataset_images.write(new, Sidecar().with_caption(text))
        folders = list(imagefolder.folders_above(item.path, self.root))
        if any(self._set(folder / imagefolder.NAME, item, text) for folder in folders):
            return
        if self.format == "metadata":
            self._set(self.root / imagefolder.NAME, item, text, add=True)

    def flush(self, after: float = 0.0) -> None:
        """Write changed metadata, unless it was written less than `after` seconds ago."""
        if time.monotonic() - self._written < after:
            return
        for path in self._changed:
            imagefolder.write(path, self._rows[path])
        self._changed.clear()
        self._written = time.monotonic()

    def _set(self, path: Path, item: Item, text: str, *, add: bool = False) -> bool:
        if path not in self._rows:
            self._rows[path] = imagefolder.read(path)[0] if os.path.isfile(path) else []
        rows: list[dict[str, Any]] = self._rows[path]
        name = Path(os.path.relpath(item.path, path.parent)).as_posix()
        matches = [
            row for row in rows if os.path.normpath(row["file_name"]) == os.path.normpath(name)
        ]
        if add and not matches:
            matches = [{"file_name": name}]
            rows += matches
        for row in matches:
            if str(row.get(self.column) or "").strip() in ("", item.caption):
                dataset_images.require_regular(path)
                row[self.column] = text
                self._changed.add(path)
        return bool(matches)
