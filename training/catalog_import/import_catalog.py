"""Imports a product catalogue and its pictures as a 🤗 imagefolder, keyed by SKU.

Pictures are turned upright, scaled down and compressed. A file that is missing, damaged, too small
or a duplicate is reported and left out; it never stops the import.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...configs.errors import UsageError
from ...configs.outputs import check_new_folder
from ...configs.text_files import parse_json
from ...pipeline.images.read import PictureError
from ..datasets import imagefolder
from ..datasets import images as dataset_images
from ..datasets.images import Problem
from ..datasets.perceptual_hash import NEAR, Fingerprint, first_like
from .product_catalog import Product

if TYPE_CHECKING:
    from PIL import Image


class CatalogImportError(UsageError):
    """Nothing could be imported."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How pictures are written.

    Attributes:
        max_side: Longest side in pixels; None keeps the size.
        min_side: Pictures with a shorter side are left out.
        format: File format.
        quality: Of JPEG and WebP, 1 to 100.
        near: Bits of 64 by which the hashes of duplicates may differ.
        keep_duplicates: Report duplicates, but write them.
    """

    max_side: int | None = 1024
    min_side: int = 256
    format: Literal["jpg", "png", "webp"] = "jpg"
    quality: int = 92
    near: int = NEAR
    keep_duplicates: bool = False


@dataclass
class ImportReport:
    """Result of an import. Codes of problems: missing, outside, unreadable, too_small, duplicate,
    no_image, no_text."""

    products: int
    written: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def note(self, code: str, product: Product, what: str) -> None:
        self.problems.append(Problem(code, product.sku, f"{product.sku}: {what}"))

    def counts(self) -> dict[str, int]:
        return dict(Counter(p.code for p in self.problems))

    def as_json(self) -> dict[str, Any]:
        return {
            "products": self.products,
            "pictures": len(self.written),
            "counts": self.counts(),
            "problems": [
                {"code": p.code, "sku": p.name, "message": p.message} for p in self.problems
            ],
            "files": self.written,
        }

    def save(self, out: Path) -> None:
        """Write `out/import.json`."""
        text = json.dumps(self.as_json(), ensure_ascii=False, indent=1)
        dataset_images.write(
            out / imagefolder.REPORT, f"{text}\n".encode(errors="backslashreplace")
        )


def import_catalogue(
    products: Sequence[Product],
    images: Path,
    out: Path,
    *,
    shape: Shape | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportReport:
    """Write `out/images/<sku>.jpg` …, `out/metadata.jsonl` (`file_name`, `text`, `sku`) and
    `out/import.json`.

    Args:
        products: Records of the catalogue.
        images: Folder of its pictures.
        out: Folder to write; new or empty.
        shape: Size, format and duplicates; by default `Shape()`.
        overwrite: Replace an earlier import in `out`.
        progress: Receives (done, total).

    Raises:
        CatalogImportError: No picture could be imported, or `out` holds something else.
        WriteError: A file cannot be written.
    """
    shape = shape or Shape()
    if not os.path.isdir(images):
        raise CatalogImportError(f"no folder {str(images)!r}: expected the pictures; set --images")
    previous = _previous_files(out, overwrite)
    report = ImportReport(len(products))
    locate = ImageLocator(images)
    rows: list[imagefolder.Row] = []
    seen: list[tuple[str, Fingerprint]] = []
    names: set[str] = set()
    try:
        for number, product in enumerate(products, 1):
            progress(number - 1, len(products))
            before = len(rows)
            for source in _sources(product, locate, report):
                image = _good(source, product, shape, report)
                if image is None or not _is_new(image, source, product, shape, seen, report):
                    continue
                name = f"images/{_unique_name(product.sku, names)}.{shape.format}"
                report.written.append(name)
                if len(report.written) == 1:  # from here on --overwrite may replace the folder
                    report.save(out)
                dataset_images.write(out / name, _encoded(image, shape))
                rows.append({"file_name": name, "text": product.text, "sku": product.sku})
            if len(rows) > before and not product.text:
                report.note("no_text", product, "no text; add one with visuals dataset caption")
    finally:
        if report.written:
            report.save(out)
    progress(len(products), len(products))
    if not rows:
        reason = f": {report.problems[0].message}" if report.problems else ""
        raise CatalogImportError(
            f"not one picture of {len(products)} products could be imported{reason}; "
            "check --images and --field-image"
        )
    imagefolder.write(out / imagefolder.NAME, rows)
    for name in set(previous) - set(report.written):
        if (path := dataset_images.inside(out, name)) is not None:
            dataset_images.delete(path)
    return report


def _previous_files(out: Path, overwrite: bool) -> list[str]:
    """Files of an earlier import in `out`; raises CatalogImportError if it may not be replaced."""
    try:
        if not (out / imagefolder.REPORT).is_file():
            check_new_folder(out, CatalogImportError)
            return []
        if not overwrite:
            raise CatalogImportError(
                f"{out} holds an earlier import, perhaps with edited captions: expected a new "
                "folder; set --out, or --overwrite to import again"
            )
        with contextlib.suppress(ValueError, KeyError, TypeError):
            files = parse_json((out / imagefolder.REPORT).read_bytes())["files"]
            return [name for name in map(str, files) if name.startswith("images/")]
        return []
    except OSError as error:
        raise CatalogImportError(
            f"{out} cannot be read ({error.strerror}): expected a new folder; set --out"
        ) from None


class ImageLocator:
    """Finds a catalogue's pictures by path, ignoring case and ending, or by a file name that is
    unique below the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_path: dict[str, Path] = {}
        self._by_name: dict[str, list[Path]] = {}
        for path in sorted(
            p for p in folder.rglob("*") if dataset_images.is_picture(p) and os.path.isfile(p)
        ):
            below = path.relative_to(folder)
            for key in (below.as_posix(), below.with_suffix("").as_posix()):
                self._by_path.setdefault(key.casefold(), path)
            for key in {path.name, path.stem}:
                self._by_name.setdefault(key.casefold(), []).append(path)

    def __call__(self, name: str) -> Path | None:
        """Return the file or None; raises PermissionError for a path outside the folder."""
        found = dataset_images.inside(self.folder, name)
        if found and not os.path.isfile(found):
            same = self._by_name.get(name.rpartition("/")[2].casefold(), [])
            found = self._by_path.get(name.removeprefix("./").casefold())
            found = found or (same[0] if len(same) == 1 else None)
            if not found:
                return None
            found = dataset_images.inside(self.folder, found.relative_to(self.folder).as_posix())
        if not found:
            raise PermissionError(name)
        return found


def _sources(product: Product, locate: ImageLocator, report: ImportReport) -> Iterator[Path]:
    names = product.images or (product.sku,)  # pictures are often named by the SKU alone
    for name in names:
        try:
            found = locate(name)
        except PermissionError:
            what = f"{name!r} is outside {locate.folder}; expected a file in it; fix the catalogue"
            report.note("outside", product, what)
            continue
        if found:
            yield found
        elif product.images:
            report.note("missing", product, f"no file {name!r} in {locate.folder}")
        else:
            report.note("no_image", product, "names no picture, and none is named by its SKU")


def _good(source: Path, product: Product, shape: Shape, report: ImportReport) -> Image.Image | None:
    """Return the picture scaled down; None if it is unusable, which is reported."""
    try:
        image = dataset_images.read(source)
    except PictureError as error:
        report.note("unreadable", product, str(error))
        return None
    if min(image.size) < shape.min_side:
        size = f"{image.width} × {image.height}"
        what = f"{source.name} has {size} pixels; expected {shape.min_side} on the shorter side"
        report.note("too_small", product, what)
        return None
    if shape.max_side and max(image.size) > shape.max_side:
        from PIL import Image as pil

        scale = shape.max_side / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), pil.Resampling.LANCZOS)
    return image


def _is_new(
    image: Image.Image,
    source: Path,
    product: Product,
    shape: Shape,
    seen: list[tuple[str, Fingerprint]],
    report: ImportReport,
) -> bool:
    """Whether to keep a picture: it is no duplicate of one in `seen`, to which it is added."""
    fingerprint = Fingerprint.of(image)
    like = first_like(fingerprint, seen, shape.near)
    seen.append((f"{product.sku} ({source.name})", fingerprint))
    if like is None:
        return True
    report.note("duplicate", product, f"{source.name} looks like {like}")
    return shape.keep_duplicates


def _encoded(image: Image.Image, shape: Shape) -> bytes:
    subsampling = 0 if shape.quality >= 90 else 2  # no chroma subsampling at high quality
    options: dict[str, dict[str, Any]] = {
        "jpg": {"format": "JPEG", "quality": shape.quality, "optimize": True}
        | {"subsampling": subsampling},
        "png": {"format": "PNG", "optimize": True},
        "webp": {"format": "WEBP", "quality": shape.quality},
    }
    out = io.BytesIO()
    image.save(out, **options[shape.format])
    return out.getvalue()


def _unique_name(sku: str, taken: set[str]) -> str:
    """Return `sku`, `sku-2`, `sku-3` … as a portable file name that is not in `taken`; adds it."""
    base = re.sub(r"[^\w.\-]+", "-", sku).strip("-.")[:100] or "picture"
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    name = next(n for n in itertools.chain([base], numbered) if n.casefold() not in taken)
    taken.add(name.casefold())
    return name
