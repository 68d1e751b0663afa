"""Annotations of a run: COCO, YOLO, Pascal VOC, masks, imagefolder metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...configs.errors import AnnotationError as AnnotationError
from ...configs.errors import MissingDependencyError
from ...configs.errors import NothingToAnnotateError as NothingToAnnotateError
from ...configs.outputs import check_new_folder

if TYPE_CHECKING:
    from .writer import Exported, Progress, Writer

FORMATS = {
    "coco": "coco.json",
    "yolo": "yolo",
    "voc": "voc",
    "masks": "masks",
    "metadata": "metadata",
}
"""The file or folder that each format writes into the annotations folder."""


def parse_formats(given: Iterable[str]) -> tuple[str, ...]:
    """Return names of formats, each once; raises AnnotationError for one that is unknown.

    >>> parse_formats(["coco,voc", "coco"])
    ('coco', 'voc')
    """
    from ...configs.schema import nearest

    stripped = (name.strip().lower() for text in given for name in text.split(","))
    names = tuple(dict.fromkeys(filter(None, stripped)))
    for name in names:
        if name not in FORMATS:
            hint = nearest(name, list(FORMATS))
            raise AnnotationError(f"unknown format {name!r}{hint} (expected {', '.join(FORMATS)})")
    return names


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
    progress: Progress | None = None,
) -> Exported:
    """Write a run's annotations. Re-rendered pictures are annotated where there are any.

    Args:
        folder: The run folder.
        formats: Names of `FORMATS`.
        out: A new folder to write to, or one with other formats; by default the run's
            `annotations/`, whose earlier annotations are replaced.
        polygons: Write COCO masks as polygons in place of RLE.
        include_skipped: Write skipped pictures too, without instances.
        progress: Called for each picture.

    Raises:
        AnnotationError: A format is unknown, `out` is not empty, or nothing was kept.
        MissingDependencyError: pycocotools is not installed, which RLE needs.
    """
    from ..runs.inside_path import inside
    from . import records
    from .writer import write_pictures

    folder = Path(folder)
    formats = parse_formats(formats)
    if not formats:
        raise AnnotationError(f"no format: expected one or more of {', '.join(FORMATS)}")
    require(formats, polygons=polygons)
    base = inside(folder, "annotations") if out is None else Path(out)
    names = {FORMATS[name] for name in formats}
    files = {name: base / FORMATS[name] for name in formats}
    if out is not None:
        check_new_folder(base, AnnotationError, may_hold=set(FORMATS.values()) - names)
    manifest, chosen = records.read_kept(folder, include_skipped=include_skipped)
    writers = _writers(records.class_names(manifest), polygons)
    return write_pictures(folder, chosen, files, writers, progress=progress, replaces=out is None)


def _writers(names: Sequence[str], polygons: bool) -> dict[str, Callable[[Path], Writer]]:
    from .coco import Coco
    from .imagefolder import ImageFolder
    from .mask_images import MaskImages
    from .pascal_voc import PascalVoc
    from .yolo import Yolo

    return {
        "coco": partial(Coco, names=names, polygons=polygons),
        "yolo": partial(Yolo, names=names),
        "voc": partial(PascalVoc, names=names),
        "masks": partial(MaskImages, names=names),
        "metadata": partial(ImageFolder, names=names),
    }
