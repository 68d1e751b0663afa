"""Annotations of a run, for those who build datasets: COCO, YOLO, VOC, masks, metadata.

Reads a run folder's manifest and masks, one picture at a time, and hands each to the writers
asked for. Knows no models and no terminal; imports nothing heavy before it writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...configs.errors import UsageError

if TYPE_CHECKING:
    from .records import AnnotatedPicture

FORMATS = {
    "coco": "coco.json",
    "yolo": "yolo",
    "voc": "voc",
    "masks": "masks",
    "metadata": "metadata",
}
"""What each format writes into the annotations folder: a file or a folder."""


class AnnotationError(UsageError):
    """Annotations that cannot be written; the message says got, expected, remedy."""


class NothingToAnnotateError(AnnotationError):
    """A run that kept no picture."""


class Writer(Protocol):
    """One format. Built with the place to write to and the class names in their order."""

    def add(self, picture: AnnotatedPicture) -> None: ...

    def close(self) -> None: ...


@dataclass
class Annotations:
    """What was written: a file or folder a format; `errors` name the pictures left out."""

    files: dict[str, Path]
    pictures: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)


def parse_formats(given: Iterable[str]) -> tuple[str, ...]:
    """Names of formats, each once; raises AnnotationError for one that is unknown.

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
    """Raises ImportError where a format needs a library that is not installed."""
    if "coco" in formats and not polygons:
        import_module("pycocotools.mask")


def annotate(
    folder: str | Path,
    formats: Sequence[str] = ("coco",),
    *,
    out: str | Path | None = None,
    polygons: bool = False,
    include_skipped: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Annotations:
    """Write a run's annotations below `out`, by default the run's own `annotations/`.

    Re-rendered pictures are annotated where there are any, else the sources. `polygons`: COCO
    polygons in place of RLE. `include_skipped`: skipped pictures too, without instances.
    A picture or mask that cannot be read is left out and named in `errors`. What an earlier
    call wrote into the run folder is replaced; in `out` nothing is. Raises AnnotationError.
    """
    from ..images.read import PictureError
    from . import records

    folder = Path(folder)
    formats = parse_formats(formats)
    if not formats:
        raise AnnotationError(f"no format: expected one or more of {', '.join(FORMATS)}")
    require(formats, polygons=polygons)
    lines = records.lines(folder)
    chosen = records.choose(lines, include_skipped=include_skipped)
    if not chosen:
        raise NothingToAnnotateError(
            f"{folder} kept no picture: expected some to annotate; run it again"
            + ("" if include_skipped else ", or add --include-skipped")
        )
    places = _places(folder, formats, out)
    parts = {name: place.with_name(f".{place.name}.part") for name, place in places.items()}
    names, edits = records.class_names(lines), records.class_edits(folder)
    done = Annotations(files=places)
    try:
        for part in parts.values():
            _remove(part)
            part.parent.mkdir(parents=True, exist_ok=True)
        writers = [_writer(name, part, names, polygons) for name, part in parts.items()]
        for number, line in enumerate(chosen, 1):
            try:
                picture = records.load(folder, line, edits)
            except PictureError as error:
                done.errors.append(f"{line['id']}: {error}")
            else:
                for writer in writers:
                    writer.add(picture)
                done.pictures += 1
                done.instances += len(picture.instances)
            if progress:
                progress("annotate", number, len(chosen))
        for writer in writers:
            writer.close()
        for name, part in parts.items():
            _remove(places[name])
            part.rename(places[name])
    except OSError as error:
        raise AnnotationError(
            f"cannot write annotations to {places[formats[0]].parent} ({error.strerror}); "
            "set --out to a folder of yours"
        ) from None
    finally:
        for part in parts.values():
            _remove(part)
    return done


def _places(folder: Path, formats: Sequence[str], out: str | Path | None) -> dict[str, Path]:
    base = folder / "annotations" if out is None else Path(out)
    places = {name: base / FORMATS[name] for name in formats}
    for place in places.values() if out is not None else ():
        if place.is_file() or (place.is_dir() and any(place.iterdir())):
            raise AnnotationError(f"{place} is there already: expected a new one; set --out")
    return places


def _writer(name: str, place: Path, names: Sequence[str], polygons: bool) -> Writer:
    """Return the writer of a format; only COCO has a choice of outlines."""
    if name == "coco":
        from .coco import Coco

        return Coco(place, names, polygons=polygons)
    if name == "masks":
        from .mask_images import MaskImages

        return MaskImages(place, names)
    if name == "metadata":
        from .imagefolder import ImageFolder

        return ImageFolder(place, names)
    if name == "voc":
        from .pascal_voc import PascalVoc

        return PascalVoc(place, names)
    from .yolo import Yolo

    return Yolo(place, names)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
