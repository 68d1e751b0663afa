"""Endings × commands: every command reads a picture of every ending, or names it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.small_trainings import small
from PIL import Image, features

from visuals.pipeline.images.read import ENDINGS, PictureError, read_image
from visuals.pipeline.inputs.find_files import expand
from visuals.training.captioning.caption_folder import caption_dataset
from visuals.training.catalog_import.import_catalog import Shape, import_catalogue
from visuals.training.catalog_import.product_catalog import Product
from visuals.training.check_dataset import check_dataset
from visuals.training.datasets.caption_edits import CaptionEdits
from visuals.training.datasets.dataset_folder import DatasetError, read_dataset
from visuals.training.datasets.training_set import make_buckets, read_training_set

FORMATS = {".apng": "PNG", ".jpe": "JPEG", ".jfif": "JPEG", ".jxl": None}
"""Formats of endings that Pillow does not know to write; it reads no JPEG XL without a plugin."""


def filtered(folder: Path) -> bool:
    """`filter`, `run` and `enhance`."""
    (path,) = expand([str(folder)]).ids
    try:
        return read_image(path).rgb.shape == (64, 48, 3)
    except PictureError as error:
        return str(path) not in str(error)


def checked(folder: Path) -> bool:
    report = check_dataset(read_dataset(folder), buckets=make_buckets(small(folder, folder)))
    assert report.seen or [p.code for p in report.broken] == ["unreadable"]
    return bool(report.seen)


def trained(folder: Path) -> bool:
    try:
        return len(read_training_set(small(folder, folder.parent / "out")).learned) == 1
    except DatasetError as error:
        assert "no picture can be used: left out: " in str(error)
        return False


def captioned(folder: Path) -> bool:
    done = caption_dataset(
        read_dataset(folder), lambda images: ["a mug"], edits=CaptionEdits(), overwrite=True
    )
    assert len(done.changes) + len([p for p in done.problems if p.code == "unreadable"]) == 1
    return bool(done.changes)


def imported(folder: Path) -> bool:
    picture = next(p for p in folder.iterdir() if p.suffix != ".txt")
    products = [Product("a", (picture.name,), "a mug"), Product("b", ("b.png",), "b")]
    Image.new("RGB", (48, 64), "blue").save(folder / "b.png")
    report = import_catalogue(products, folder, folder.parent / "set", shape=Shape(min_side=8))
    assert len(report.written) + report.counts().get("unreadable", 0) == 2
    rows = (folder.parent / "set" / "metadata.jsonl").read_text().splitlines()
    return [json.loads(row)["sku"] for row in rows] == ["a", "b"]


@pytest.mark.parametrize("command", [filtered, checked, trained, captioned, imported])
@pytest.mark.parametrize("ending", [*ENDINGS, *map(str.upper, ENDINGS)])
def test_a_picture_is_read_or_named(
    tmp_path: Path, ending: str, command: Callable[[Path], bool]
) -> None:
    path = tmp_path / "photos" / f"a{ending}"
    path.parent.mkdir()
    path.with_suffix(".txt").write_text("a car")
    if ending.lower() == ".jxl":
        path.write_bytes(b"\xff\x0a\xfa\x1f\x01\x91")
    else:
        format = FORMATS.get(ending.lower())
        Image.new("RGB", (48, 64), "red").save(path, format)
    readable = ending.lower() != ".jxl" and (ending.lower() != ".avif" or features.check("avif"))
    assert command(path.parent) is readable
