"""EXIF through reading and writing: types, MakerNote, UserComment, for A1111's reader too."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from visuals.pipeline.images import exif_block
from visuals.pipeline.images.read import read_image, read_texts
from visuals.pipeline.images.write import Format

TEXT = "a mug, Größe\nSteps: 20, Sampler: Euler, Seed: 1"
NOTE = b"Nikon\0\x02\x10\0\0MM\0*" + bytes(range(200))
ORDERS = ("<", ">")
FORMATS = ("png", "jpeg", "webp")


def camera_tags(order: str, comment: bytes = b"") -> dict[int, Any]:
    """One tag of each type, and those that Pillow writes as BYTE."""
    pack = struct.pack
    exif = {
        0x829A: (5, pack(order + "II", 1, 60)),
        0x8827: (3, pack(order + "H", 200)),
        0x9000: (7, b"0230"),
        0x9101: (7, b"\1\2\3\0"),
        0x9204: (10, pack(order + "ii", -1, 3)),
        0x9214: (3, pack(order + "4H", 1, 2, 3, 4)),
        0x927C: (7, NOTE),
        0xA005: {1: (2, b"R98\0"), 2: (7, b"0100")},
        0xA300: (7, b"\3"),
        0xA301: (7, b"\1"),
        0xFE00: (12, pack(order + "d", 0.5)),
        **({0x9286: (7, comment)} if comment else {}),
    }
    gps = {0: (1, b"\2\3\0\0"), 1: (2, b"N\0"), 2: (5, pack(order + "6I", 1, 1, 2, 1, 3, 1))}
    own = {0x010F: (2, b"a camera\0"), 0x9C9B: (1, b"t\0i\0"), 0xC4A5: (7, b"PrintIM\0abc")}
    return {**own, 0x0112: (3, pack(order + "H", 6)), 0x8769: exif, 0x8825: gps}


def directory(order: str, tags: dict[int, Any], at: int) -> bytes:
    """A TIFF directory that begins at an offset, its values behind it; the writer of the tests."""
    sizes = {1: 1, 2: 1, 3: 2, 5: 8, 7: 1, 10: 8, 12: 8, 13: 4}
    entries, rest = b"", b""
    end = at + 6 + 12 * len(tags)
    for tag, value in sorted(tags.items()):
        place = struct.pack(order + "I", end + len(rest))
        if isinstance(value, dict):
            rest += directory(order, value, end + len(rest))
            entries += struct.pack(order + "HHI4s", tag, 4, 1, place)
            continue
        kind, data = value
        entries += struct.pack(order + "HHI", tag, kind, len(data) // sizes[kind])
        entries += data.ljust(4, b"\0") if len(data) <= 4 else place
        rest += data if len(data) > 4 else b""
    return struct.pack(order + "H", len(tags)) + entries + bytes(4) + rest


def block(order: str, tags: dict[int, Any]) -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + head + directory(order, tags, 8)


def typed(raw: bytes) -> dict[int, Any]:
    """All tags of a block as Pillow reads them: type and value."""
    raw = raw.removeprefix(b"Exif\0\0")

    def one(at: int) -> dict[int, Any]:
        found = ImageFileDirectory_v2(raw[:8])
        file = io.BytesIO(raw)
        file.seek(at)
        found.load(file)
        pointers = {0x8769, 0x8825, 0xA005} & set(found)
        return {
            tag: one(int(found[tag])) if tag in pointers else (found.tagtype[tag], found[tag])
            for tag in found
        }

    return one(struct.unpack(("<" if raw[:2] == b"II" else ">") + "I", raw[4:8])[0])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("source", ["jpg", "png", "webp"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_tag_comes_back_with_its_type(
    tmp_path: Path, order: str, source: str, name: Any
) -> None:
    raw = block(order, camera_tags(order))
    path = tmp_path / f"a.{source}"
    Image.new("RGB", (30, 20)).save(path, exif=raw)
    read = read_image(path)
    assert read.rgb.shape == (30, 20, 3) and not read.notes
    output = Format(name)
    result = tmp_path / f"b{output.ending}"
    result.write_bytes(output.encode(read.rgb, exif=read.exif, text=TEXT))
    with Image.open(result) as image:
        written = image.info["exif"].removeprefix(b"Exif\0\0")
    found, wanted = typed(written), typed(raw)
    del wanted[0x0112]
    if name == "png":
        assert 0x9286 not in found[0x8769]
    else:
        comment = b"UNICODE\0" + TEXT.encode("utf-16-be")
        assert found[0x8769].pop(0x9286) == (7, comment)
    assert found == wanted
    assert written.find(NOTE) == raw.find(NOTE) - 6  # offsets in a MakerNote count from the block
    assert read_texts(result)["parameters"] == TEXT


@pytest.mark.parametrize(
    ("note", "more", "words", "left_out"),
    [
        (60_000, 10, 1, []),
        (65_400, 10, 1, ["MakerNote"]),
        (10, 65_400, 1, ["EXIF"]),
        (10, 10, 10_000, ["the parameters"]),
        (10, 65_500, 10_000, ["EXIF and the parameters"]),
    ],
)
def test_a_jpeg_without_room_leaves_the_least_out_by_name(
    tmp_path: Path, note: int, more: int, words: int, left_out: list[str]
) -> None:
    """The parameters count for more than what a camera wrote; both end at 64 KiB in all."""
    raw = block("<", {0x010F: (2, b"x" * more), 0x8769: {0x927C: (7, b"n" * note)}})
    text = TEXT * words
    found: list[str] = []
    data = Format("jpeg").encode(
        np.zeros((8, 8, 3), np.uint8), exif=raw, text=text, xmp=b"x" * 65_501, left_out=found
    )
    assert found == ["the record of how it was made", *left_out]
    (tmp_path / "a.jpg").write_bytes(data)
    exif = Image.open(tmp_path / "a.jpg").getexif()
    assert (0x010F in exif) == (more < 65_000)
    assert (0x927C in exif.get_ifd(0x8769)) == (left_out in ([], ["the parameters"]))
    kept = read_texts(tmp_path / "a.jpg").get("parameters")
    assert kept == ("" if words > 1 else text)


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        (b"ASCII\0\0\0by me", True),
        (b"UNICODE\0" + "été".encode("utf-16-le"), True),
        (b"UNICODE\0" + "old\nSteps: 9, Seed: 3".encode("utf-16-be"), False),
        (b"\0" * 20, False),
    ],
)
def test_a_png_keeps_the_users_comment_but_no_old_parameters(comment: bytes, kept: bool) -> None:
    raw = block("<", camera_tags("<", comment))
    with Image.open(
        io.BytesIO(Format().encode(np.zeros((4, 4, 3), np.uint8), exif=raw, text=TEXT))
    ) as image:
        found = typed(image.info["exif"])[0x8769][0x9286]
    assert found == (7, comment if kept else b"UNICODE\0" + TEXT.encode("utf-16-be"))


def test_a_comment_of_the_wrong_type_is_mended(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0by me"  # Pillow writes BYTE
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif)
    read = read_image(tmp_path / "a.jpg")
    assert read.exif is not None
    assert typed(read.exif)[0x8769] == {0x9286: (7, b"ASCII\0\0\0by me")}


def test_tags_that_crash_a1111_are_mended() -> None:
    """IFD is read as LONG, and a number without a value is left out."""
    tags = {0xFE00: (13, b"\1\0\0\0"), 0xFE01: (3, b""), 0xFE02: (2, b""), 0xFE03: (7, b"")}
    found = exif_block.load(block("<", {0x8769: tags}))
    assert not found.lost
    assert found.tags[0x8769] == {0xFE00: (4, b"\1\0\0\0"), 0xFE02: (2, b""), 0xFE03: (7, b"")}


@pytest.mark.parametrize("big", [False, True])
def test_tags_of_a_tiff_but_not_those_of_its_layout(tmp_path: Path, big: bool) -> None:
    tags = ImageFileDirectory_v2()
    tags.tagtype[0xC4A5], tags[0xC4A5] = 7, b"PrintIM\0abc"
    tags[0x010F] = "a camera"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.tif", tiffinfo=tags, big_tiff=big)
    read = read_image(tmp_path / "a.tif")
    assert read.exif is not None and not read.notes
    assert typed(read.exif) == {0xC4A5: (7, b"PrintIM\0abc"), 0x010F: (2, "a camera")}


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16"),
        b"Unicode\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode(),
        b"ASCII\0\0\0" + TEXT.encode("utf-16-le"),
        b"\0" * 8 + TEXT.encode("utf-16-be"),
        b"ASCII\0\0\0" + TEXT.encode(),
        b"\0" * 8 + TEXT.encode(),
        TEXT.encode(),
    ],
)
def test_parameters_in_a_comment_of_any_encoding(comment: bytes) -> None:
    assert exif_block.load(block(">", camera_tags(">", comment))).comment == TEXT


def test_a_comment_without_any_latin_letter() -> None:
    for code, encoding in ((b"UNICODE\0", "utf-16-be"), (b"JIS\0\0\0\0\0", "iso2022_jp")):
        comment = code + "赤い靴".encode(encoding)
        assert exif_block.load(block(">", camera_tags(">", comment))).comment == "赤い靴"


@given(st.data())
def test_damaged_exif_is_read_in_part_or_refused(data: st.DataObject) -> None:
    raw = bytearray(block("<", camera_tags("<", b"ASCII\0\0\0by me")))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(6, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    try:
        exif = exif_block.load(bytes(raw))
    except exif_block.ERRORS:
        return
    assert exif_block.load(exif.block()).tags == exif.tags
