"""Pixels to the bytes of a picture file, with what stands beside them.

PNG keeps every sample; JPEG and WebP change every pixel a little. Knows no runs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ...configs.errors import UsageError
from . import sixteen_bit

_LONGEST = {"png": 2**31 - 1, "jpeg": 65_535, "webp": 16_383}
_LONGEST_XMP = 65_500
"""What a segment of a JPEG holds."""
_COMMENT, _EXIF_IFD, _HEAD = 0x9286, 0x8769, 33
"""EXIF's UserComment and the table that holds it; a PNG's signature and first chunk."""


class EncodeError(UsageError):
    """Pixels that a format cannot hold; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Format:
    """What pictures are written as. `quality`: 1..100, of JPEG and WebP."""

    name: Literal["png", "jpeg", "webp"] = "png"
    quality: int = 95

    @property
    def ending(self) -> str:
        return ".jpg" if self.name == "jpeg" else f".{self.name}"

    @property
    def exact(self) -> bool:
        return self.name == "png"

    def refusal(self, size_wh: tuple[int, int], alpha: np.ndarray | None) -> str:
        """Why this format cannot hold such a picture; "" where it can."""
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
    ) -> bytes:
        """The file's bytes; `pixels` uint8 or uint16 (H, W, 3). `text`: A1111's parameters;
        `lineage`: the record that PNG holds beside them; `xmp`: a packet.

        Raises EncodeError for what `refusal` says.
        """
        if self.name == "png":
            return encode_png(
                pixels,
                alpha=alpha,
                icc_profile=icc_profile,
                exif=exif,
                text=text,
                lineage=lineage,
                xmp=xmp,
            )
        why = self.refusal((pixels.shape[1], pixels.shape[0]), alpha)
        if why:
            raise EncodeError(why)
        if self.name == "jpeg" or (alpha is not None and _opaque(alpha)):
            alpha = None
        image = _image(pixels, alpha)
        options: dict[str, Any] = {"quality": self.quality}
        options |= {"subsampling": 0} if self.name == "jpeg" else {"exact": True, "method": 4}
        if icc_profile:
            options["icc_profile"] = icc_profile
        if xmp and (self.name == "webp" or len(xmp) <= _LONGEST_XMP):
            options["xmp"] = xmp
        for table in (commented(exif, text), exif, None):
            out = io.BytesIO()
            try:
                image.save(out, self.name.upper(), exif=table or b"", **options)
                break
            except ValueError:  # JPEG's EXIF ends at 64 KiB
                if table is None:
                    raise
        return out.getvalue()


def encode_png(
    pixels: np.ndarray,
    *,
    alpha: np.ndarray | None = None,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    text: str = "",
    lineage: str = "",
    xmp: bytes = b"",
) -> bytes:
    """PNG bytes of uint8 or uint16 (H, W, 3) RGB or uint8 (H, W) grey; alpha of the same depth.

    Profiles, A1111's parameters `text`, the record `lineage` and the packet `xmp` are put in where
    they are given.
    """
    from PIL.PngImagePlugin import PngInfo, putchunk

    info = PngInfo()
    if text:
        info.add_text("parameters", text)
    if lineage:
        info.add_itxt("visuals", lineage, zip=True)
    if xmp:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    if icc_profile:
        info.add(b"iCCP", b"ICC Profile\0\0" + _deflate(icc_profile))
    if exif:
        info.add(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    if alpha is not None and pixels.dtype == np.uint8:
        alpha = _eight(alpha)
    data = sixteen_bit.png(pixels, alpha)
    out = io.BytesIO()
    out.write(data[:_HEAD])
    for chunk in info.chunks:
        putchunk(out, *chunk[:2])
    out.write(data[_HEAD:])
    return out.getvalue()


def commented(exif: bytes | None, text: str) -> bytes | None:
    """EXIF with `text` as its UserComment, in unicode; as it was where there is no text."""
    from PIL import Image

    if not text:
        return exif
    table = Image.Exif()
    if exif:
        table.load(exif)
    table.get_ifd(_EXIF_IFD)[_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return table.tobytes()


def _image(pixels: np.ndarray, alpha: np.ndarray | None) -> Any:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(_eight(pixels)))
    if alpha is not None:
        image.putalpha(Image.fromarray(np.ascontiguousarray(_eight(alpha))))
    return image


def _eight(values: np.ndarray) -> np.ndarray:
    return sixteen_bit.to_uint8(values) if values.dtype == np.uint16 else values


def _opaque(alpha: np.ndarray) -> bool:
    return bool((alpha == np.iinfo(alpha.dtype).max).all())


def _deflate(data: bytes) -> bytes:
    import zlib

    return zlib.compress(data)
