"""Annotations of a run: COCO, YOLO, Pascal VOC, masks, imagefolder metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...configs.errors import AnnotationError as AnnotationError
from ...configs.errors import MissingDependencyError
from ...configs.errors import NothingToAnnotateError as NothingToAnnotateError

if TYPE_CHECKING:
    from .writer import Writer

FORMATS = {
    "coco": "coco.json",
    "yolo": "yolo",
    "voc": "voc",
    "masks": "masks",
    "metadata": "metadata",
}
"""The file or folder that each format writes into the annotations folder."""


@dataclass
class Annotations:
    """What was written: a file or folder a format; `errors` name the pictures left out."""

    files: dict[str, Path]
    pictures: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)


def parse_formats(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of formats, each once; raises AnnotationError for one that is unknown.

    >>> parse_formats(["coco,voc", "coco"])
    ('coco', 'voc')
    """
    names = [name.strip().lower() for text in given for name in text.split(",")]
    names = [name for name in names if name]
    for name in names:
        if name not in FORMATS:
            from difflib import get_close_matches

            near = get_close_matches(name, list(FORMATS), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise AnnotationError(f"unknown format {name!r}{hint} (expected {', '.join(FORMATS)})")
    return tuple(dict.fromkeys(names))


def require(formats: Iterable[str], *, polygons: bool = False) -> None:
    """Raise MissingDependencyError where a format needs a library that is not installed."""
    if "coco" in formats and not polygons and find_spec("pycocotools") is None:
        raise MissingDependencyError("pycocotools", "annotate")


def annotate(
    folder: str | Path,
    formats: Sequence[str] = ("coco",),
    *,
    out: str | Path | None = None,
    polygons: bool = False,
    include_skipped: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Annotations:
    """Write a run's annotations. Re-rendered pictures are annotated where there are any.

    Args:
        folder: the run folder.
        formats: names of `FORMATS`.
        out: a new folder to write to; by default the run's `annotations/`, whose earlier
            annotations are replaced.
        polygons: write COCO masks as polygons in place of RLE.
        include_skipped: write skipped pictures too, without instances.
        progress: called with "annotate", the pictures done and their number.

    Raises:
        AnnotationError: a format is unknown, `out` is not empty, or nothing was kept.
        MissingDependencyError: pycocotools is not installed, which RLE needs.
    """
    from . import records
    from .writer import require_new, write_pictures

    folder = Path(folder)
    formats = parse_formats(formats)
    if not formats:
        raise AnnotationError(f"no format: expected one or more of {', '.join(FORMATS)}")
    require(formats, polygons=polygons)
    manifest = records.read_run(folder)
    chosen = records.choose(manifest, include_skipped=include_skipped)
    if not chosen:
        raise NothingToAnnotateError(
            f"{folder} kept no picture: expected some to annotate; run it again"
            + ("" if include_skipped else ", or add --include-skipped")
        )
    base = folder / "annotations" if out is None else Path(out)
    files = {name: base / FORMATS[name] for name in formats}
    if out is not None:
        for path in files.values():
            require_new(path)
    writers, names = _writers(polygons), records.class_names(manifest)
    targets = {path: partial(writers[name], names=names) for name, path in files.items()}
    written = write_pictures(folder, chosen, targets, progress=progress)
    return Annotations(files, written.pictures, written.instances, written.errors)


def _writers(polygons: bool) -> dict[str, Callable[..., Writer]]:
    from .coco import Coco
    from .imagefolder import ImageFolder
    from .mask_images import MaskImages
    from .pascal_voc import PascalVoc
    from .yolo import Yolo

    return {
        "coco": partial(Coco, polygons=polygons),
        "yolo": Yolo,
        "voc": PascalVoc,
        "masks": MaskImages,
        "metadata": ImageFolder,
    }
