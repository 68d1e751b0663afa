"""Pascal VOC: an XML file a picture, and two segmentation maps."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...checkpoints import atomic_files
from ...configs.errors import AnnotationError
from .records import AnnotatedPicture, Instance

_MAX_NUMBER = 254
"""A map has one byte a pixel; 0 is background and 255 is VOC's void."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


class PascalVoc:
    """VOCdevkit's folders: Annotations, JPEGImages, SegmentationObject, SegmentationClass."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        if len(names) > _MAX_NUMBER:
            raise AnnotationError(
                f"{len(names)} classes: VOC maps hold at most {_MAX_NUMBER}; use --format coco"
            )
        self.folder = folder
        self.numbers = {name: k for k, name in enumerate(names, 1)}
        self.ids: list[str] = []

    def add(self, picture: AnnotatedPicture) -> None:
        self.ids.append(picture.id)
        picture.link(self.folder / "JPEGImages" / picture.name)
        tree = _element("annotation", _annotation(picture))
        ElementTree.indent(tree)
        text = ElementTree.tostring(tree, encoding="utf-8", xml_declaration=True)
        atomic_files.write(self.folder / "Annotations" / f"{picture.id}.xml", text + b"\n")
        objects, classes = np.zeros((2, *picture.size_wh[::-1]), np.uint8)
        numbered = list(enumerate(picture.instances[:_MAX_NUMBER], 1))
        # A pixel holds one number: where masks overlap the smaller is on top.
        for number, instance in sorted(numbered, key=lambda pair: -pair[1].area):
            objects[instance.mask] = number
            classes[instance.mask] = self.numbers[instance.label]
        for kind, numbers in (("SegmentationObject", objects), ("SegmentationClass", classes)):
            atomic_files.write(self.folder / kind / f"{picture.id}.png", _palette_png(numbers))

    def close(self) -> None:
        text = "".join(f"{id_}\n" for id_ in self.ids).encode()
        for kind in ("Main", "Segmentation"):
            atomic_files.write(self.folder / "ImageSets" / kind / "trainval.txt", text)
        labels = "".join(f"{name}\n" for name in ("background", *self.numbers))
        atomic_files.write(self.folder / "labels.txt", labels.encode())


def _annotation(picture: AnnotatedPicture) -> dict[str, Any]:
    width, height = picture.size_wh
    return {
        "folder": "JPEGImages",
        "filename": picture.name,
        "source": {"database": "visuals"},
        "size": {"width": width, "height": height, "depth": 3},
        "segmented": int(bool(picture.instances)),
        "object": [_object(instance, width, height) for instance in picture.instances],
    }


def _object(instance: Instance, width: int, height: int) -> dict[str, Any]:
    """An object; its box counts pixels from 1 and includes its last ones, as in VOC."""
    x0, y0, x1, y1 = instance.box_xyxy
    return {
        "name": instance.label,
        "pose": "Unspecified",
        "truncated": int(x0 == 0 or y0 == 0 or x1 == width or y1 == height),
        "difficult": 0,
        "bndbox": {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1},
    }


def _element(name: str, value: Any) -> ElementTree.Element:
    """Return an XML element: of a mapping its items are elements in it, a list repeats a name."""
    element = ElementTree.Element(name)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            items = inner if isinstance(inner, list) else [inner]
            element.extend(_element(key, item) for item in items)
    else:
        element.text = _NOT_XML.sub("\ufffd", str(value))
    return element


def _palette_png(numbers: np.ndarray) -> bytes:
    """Return a palette PNG of uint8 (H, W) numbers, in VOC's colors."""
    from PIL import Image

    image = Image.fromarray(numbers, "L")
    image.putpalette(_palette().tobytes())
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _palette() -> np.ndarray:
    """Return VOC's colors, uint8 (256, 3): the bits of a number, three by three, from the top.

    As VOCcode/VOClabelcolormap.m of the VOC2012 devkit.
    """
    out = np.zeros((256, 3), np.uint8)
    bits = np.arange(256)
    for bit in range(7, -1, -1):
        for channel in range(3):
            out[:, channel] |= (((bits >> channel) & 1) << bit).astype(np.uint8)
        bits = bits >> 3
    return out
