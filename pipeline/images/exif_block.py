"""EXIF as TIFF directories: every tag keeps its type and bytes; UserComment is read and written.

Pillow infers types from values, which makes BYTE of MakerNote, UserComment and others that must be
UNDEFINED. The thumbnail is left out: it shows the picture before its pixels changed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, BinaryIO

ORIENTATION, SUB_FILES = 0x0112, 0x014A
ERRORS = (OSError, ValueError, KeyError, struct.error)
"""What `load` raises for EXIF that cannot be read."""
_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_POINTERS = {0: (_EXIF, _GPS), _EXIF: (_INTEROPERABILITY,)}
"""Tags that point to a directory, by the tag of the directory that they are in."""
_MAKER_NOTE, _COMMENT = 0x927C, 0x9286
_ASCII, _LONG, _UNDEFINED = 2, 4, 7
_MENDED = {13: _LONG}
"""Types that are replaced: piexif, and A1111 with it, crashes on IFD. It also crashes on numbers
without a value, and on a UserComment of type BYTE, as Pillow writes it."""
_SIZES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1))
"""Bytes of a value by TIFF type."""
_LARGEST = 2**24
"""Bytes of all values; more are no EXIF, or overlap."""
PARAMETERS = "Steps: "
"""Stands in a comment that holds A1111's parameters."""
_PREFIX = b"Exif\0\0"
_CODES = (b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8))


@dataclass
class Exif:
    """The tags of a block or a TIFF file.

    Args:
        order: of the bytes of values: "<" or ">".
        tags: type and value of each tag of the first directory, tags of those that it points to.
        maker_note: where MakerNote begins; it stays there, as offsets in it count from the block.
        lost: tags whose values cannot be read.
    """

    order: str
    tags: dict[int, Any] = field(default_factory=dict)
    maker_note: int = 8
    lost: list[int] = field(default_factory=list)

    def block(self) -> bytes:
        """Return the raw EXIF."""
        note = self.tags.get(_EXIF, {}).get(_MAKER_NOTE, (_UNDEFINED, b""))[1]
        start = self.maker_note if 8 < self.maker_note < 2**15 else 8
        out = bytearray(b"II*\0" if self.order == "<" else b"MM\0*").ljust(start, b"\0") + note

        def append(tags: dict[int, Any]) -> int:
            entries = b""
            for tag, value in sorted(tags.items()):
                if isinstance(value, dict):
                    value = _LONG, struct.pack(self.order + "I", append(value))
                kind, data = value
                count = len(data) // _SIZES[kind]
                if len(data) > 4:
                    at = start
                    if data is not note:
                        at = _end(out)
                        out.extend(data)
                    data = struct.pack(self.order + "I", at)
                entries += struct.pack(self.order + "HHI4s", tag, kind, count, data)
            at = _end(out)
            out.extend(struct.pack(self.order + "H", len(tags)) + entries + bytes(4))
            return at

        struct.pack_into(self.order + "I", out, 4, append(self.tags))
        return _PREFIX + bytes(out)

    @property
    def comment(self) -> str | None:
        """The text of UserComment, None without one.

        Its encoding is told by its bytes: programs write UTF-16 in either order and UTF-8 below
        any code.
        """
        raw = self.tags.get(_EXIF, {}).get(_COMMENT, (_UNDEFINED, None))[1]
        if raw is None:
            return None
        code, text = "utf-8", raw[8:] if raw[:8].upper() in _CODES else raw
        if 0 in text.rstrip(b"\0") or (raw[:8].upper() == _CODES[0] and not _is_utf8(text)):
            code = f"utf-16-{'be' if text[::2].count(0) >= text[1::2].count(0) else 'le'}"
        elif raw.startswith(b"JIS"):
            code = "iso2022_jp"
        return text.decode(code, "replace").strip("\0\ufeff \t\r\n")

    @comment.setter
    def comment(self, text: str) -> None:
        data = b"UNICODE\0" + text.encode("utf-16-be", "replace")
        self.tags.setdefault(_EXIF, {})[_COMMENT] = _UNDEFINED, data


def without_maker_note(data: bytes) -> bytes:
    """Return raw EXIF without MakerNote, most often its largest tag."""
    exif = load(data)
    exif.tags.get(_EXIF, {}).pop(_MAKER_NOTE, None)
    return exif.block()


def _is_utf8(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except ValueError:
        return False


def _end(out: bytearray) -> int:
    """Pad to an even length, as TIFF wants offsets, and return it."""
    out.extend(bytes(len(out) % 2))
    return len(out)


def load(file: BinaryIO | bytes, without: Collection[int] = (SUB_FILES,)) -> Exif:
    """Read a block or a TIFF file, but the tags `without`; raises one of ERRORS."""
    if isinstance(file, bytes):
        file = io.BytesIO(file.removeprefix(_PREFIX))
    exif = Exif({b"II": "<", b"MM": ">"}[file.read(2)])
    big = file.read(2) in (b"+\0", b"\0+")
    count_format, entry_format = ("Q", "HHQ8s") if big else ("H", "HHI4s")

    def read(at: int, kind: str) -> Any:
        file.seek(at)
        return struct.unpack(exif.order + kind, file.read(struct.calcsize(exif.order + kind)))

    room = _LARGEST

    def directory(at: int, name: int) -> dict[int, Any]:
        nonlocal room
        tags: dict[int, Any] = {}
        (number,) = read(at, count_format)
        if number >= 2**16:
            raise ValueError(f"{number} tags: expected EXIF")
        for k in range(number):
            tag, kind, count, data = read(at + (8 + 20 * k if big else 2 + 12 * k), entry_format)
            size = count * _SIZES[kind] if kind in _SIZES else _LARGEST + 1
            pointer = int.from_bytes(data[:size], "little" if exif.order == "<" else "big")
            try:
                if name == 0 and tag in without:
                    continue
                kind = _UNDEFINED if (name, tag) == (_EXIF, _COMMENT) else _MENDED.get(kind, kind)
                if size == 0 and kind not in (_ASCII, _UNDEFINED):
                    continue
                if tag in _POINTERS.get(name, ()):
                    tags[tag] = directory(pointer, tag)
                elif size <= len(data):
                    tags[tag] = kind, data[:size]
                elif size <= room:
                    tags[tag] = kind, *read(pointer, f"{size}s")
                    room -= size
                    if tag == _MAKER_NOTE:
                        exif.maker_note = pointer
                else:
                    exif.lost.append(tag)
            except ERRORS:
                exif.lost.append(tag)
        return tags

    (first,) = read(8, "Q") if big else read(4, "I")
    exif.tags = directory(first, 0)
    return exif
