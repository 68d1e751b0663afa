"""Encodes pictures as PNG, JPEG or WebP, with profile, EXIF, XMP and text.

PNG is lossless; JPEG and WebP change every pixel a little.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...configs.errors import UsageError
from . import exif_block, sixteen_bit

_LONGEST = {"png": 2**31 - 1, "jpeg": 65_535, "webp": 16_383}
_LONGEST_XMP = 65_500
"""Bytes of XMP that fit into one segment of a JPEG."""
_HEAD = 33
"""Length of a PNG's signature and first chunk."""


class EncodeError(UsageError):
    """A picture that a format cannot hold."""


@dataclass(frozen=True)
class Format:
    """A file format of pictures. `quality`: of JPEG and WebP, 1 to 100."""

    name: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 95

    @property
    def ending(self) -> str:
        return ".jpg" if self.name == "jpeg" else f".{self.name}"

    @property
    def exact(self) -> bool:
        return self.name == "png"

    def refusal(self, size_wh: tuple[int, int], alpha: np.ndarray | None) -> str:
        """Return why the format cannot hold such a picture, or ""."""
        longest = _LONGEST[self.name]
        if max(size_wh) > longest:
            return (
                f"{size_wh[0]} × {size_wh[1]} pixels: {self.name} holds at most {longest} a side; "
                "set --format png"
            )
        if self.name == "jpeg" and alpha is not None and not _opaque(alpha):
            return "the picture has alpha, which jpeg cannot hold; set --format webp or png"
        return ""

    def encode(
        self,
        pixels: np.ndarray,
        *,
        alpha: np.ndarray | None = None,
        icc_profile: bytes | None = None,
        exif: bytes | None = None,
        text: str = "",
        lineage: str = "",
        xmp: bytes = b"",
        left_out: list[str] | None = None,
    ) -> bytes:
        """Return the bytes of a file; raises EncodeError for a picture that `refusal` rejects.

        Args:
            pixels: uint8 or uint16 (H, W, 3) RGB; for PNG also uint8 (H, W) grey.
            alpha: (H, W), of the depth of `pixels`.
            icc_profile: Raw ICC profile.
            exif: Raw EXIF.
            text: A1111's parameters.
            lineage: The provenance record, which PNG keeps in a text chunk of its own.
            xmp: An XMP packet.
            left_out: Receives the names of what is too large for the format: a JPEG holds 64 KiB
                of EXIF and of XMP.
        """
        reason = self.refusal((pixels.shape[1], pixels.shape[0]), alpha)
        if reason:
            raise EncodeError(reason)
        if self.name == "png":
            return _png(pixels, alpha, _chunks(icc_profile, exif, text, lineage, xmp))
        if self.name == "jpeg" or (alpha is not None and _opaque(alpha)):
            alpha = None
        image = _image(pixels, alpha)
        options: dict[str, Any] = {"quality": self.quality}
        options |= {"subsampling": 0} if self.name == "jpeg" else {"exact": True, "method": 4}
        if icc_profile:
            options["icc_profile"] = icc_profile
        left_out = left_out if left_out is not None else []
        if xmp and (self.name == "webp" or len(xmp) <= _LONGEST_XMP):
            options["xmp"] = xmp
        elif xmp:
            left_out.append("the record of how it was made")
        for what, table in _exif_tables(exif, text):
            out = io.BytesIO()
            try:
                image.save(out, self.name.upper(), exif=table or b"", **options)
                left_out += [what] if what else []
                break
            except ValueError:  # JPEG's EXIF ends at 64 KiB
                if table is None:
                    raise
        return out.getvalue()


def _exif_tables(exif: bytes | None, text: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield EXIF blocks, each smaller than the one before, after the name of what it leaves out."""
    yield "", _commented(exif, text)
    yield "MakerNote", _commented(exif and exif_block.without_maker_note(exif), text)
    yield "EXIF", _commented(None, text)
    yield "the parameters", exif
    yield "EXIF and the parameters", None


def encode_png(pixels: np.ndarray, **embedded: Any) -> bytes:
    """Return the bytes of a PNG; `embedded`: as in `Format.encode`."""
    return Format().encode(pixels, **embedded)


def _chunks(
    icc_profile: bytes | None, exif: bytes | None, text: str, lineage: str, xmp: bytes
) -> list[tuple[bytes, ...]]:
    """The chunks of a PNG that hold these, by name and data."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    if lineage:
        info.add_itxt("visuals", lineage, zip=True)
    if xmp:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    if icc_profile:
        info.add(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif:
        comment = exif_block.load(exif).comment
        if comment == "" or (comment and exif_block.PARAMETERS in comment):
            exif = _commented(exif, text) or b""  # A1111 takes the comment for the parameters
        info.add(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return info.chunks  # type: ignore[no-any-return, return-value]


def _png(
    pixels: np.ndarray, alpha: np.ndarray | None, chunks: Iterable[tuple[bytes, ...]]
) -> bytes:
    from PIL.PngImagePlugin import putchunk

    if alpha is not None and pixels.dtype == np.uint8:
        alpha = _to_eight(alpha)
    data = sixteen_bit.png(pixels, alpha)
    out = io.BytesIO()
    out.write(data[:_HEAD])
    for chunk in chunks:
        putchunk(out, *chunk[:2])
    out.write(data[_HEAD:])
    return out.getvalue()


def _commented(exif: bytes | None, text: str) -> bytes | None:
    """EXIF with `text` as its UserComment; unchanged without text."""
    if not text:
        return exif
    block = exif_block.load(exif) if exif else exif_block.Exif("<")
    block.comment = text
    return block.block()


def _image(pixels: np.ndarray, alpha: np.ndarray | None) -> Any:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(_to_eight(pixels)))
    if alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(_to_eight(alpha))))
    return image


def _to_eight(values: np.ndarray) -> np.ndarray:
    return sixteen_bit.to_uint8(values) if values.dtype == np.uint16 else values


def _opaque(alpha: np.ndarray) -> bool:
    return bool((alpha == np.iinfo(alpha.dtype).max).all())
