"""What a stranger drops on the page: a message each time, and nothing lands outside."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from helpers import odd_files
from helpers.browsing import PATIENCE, PHOTOS, drop, expect, says, tab

from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.slow


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" * 100)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def files_outside(place: Path) -> set[Path]:
    """What lies beside the studio's folder of runs."""
    return {p for p in place.rglob("*") if "runs" not in p.relative_to(place).parts[:1]}


def test_twenty_odd_files_and_the_good_ones_go_on(page: Any, place: Path, tmp_path: Path) -> None:
    photo = read_image(PHOTOS / "04-teal-mug.jpg").rgb
    odd_files.build(tmp_path / "odd", photo)
    chosen = sorted(p for p in (tmp_path / "odd").iterdir() if p.stat().st_mode & 0o400)[:20]
    assert {p.stem for p in chosen} >= {"bomb", "cut", "empty"}
    (tmp_path / "notes.txt").write_text("no picture")
    before = files_outside(place)
    drop(page, [*chosen, tmp_path / "notes.txt"])
    page.locator("#enhance-find").click()
    says(page, "#enhance-progress", "Done")
    for text in ("bomb.png: 2,500 million pixels", "empty.png", "notes.txt: expected a picture"):
        says(page, "#enhance-said", text)
    says(page, "#enhance-strip", "cut_jpg · failed")  # its header reads, so it fails as a shot
    says(page, "#enhance-facts", "failed")
    assert files_outside(place) == before


def test_names_and_zips_that_lead_out_and_a_picture_that_claims_too_much(
    page: Any, place: Path, tmp_path: Path
) -> None:
    photo = (PHOTOS / "19-empty.jpg").read_bytes()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("../out.jpg", photo)
        archive.writestr("/abs.jpg", photo)
        archive.writestr("a/in.jpg", photo)
    (tmp_path / "wide.png").write_bytes(claiming(30_000, 30_000))
    before = files_outside(place)
    drop(page, [tmp_path / "photos.zip", tmp_path / "wide.png"])
    page.evaluate(
        """async bytes => {
            const input = document.querySelector('#enhance-files input[type=file]');
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(bytes)], '../../x.jpg', {type: 'image/jpeg'}));
            input.files = held.files;
            input.dispatchEvent(new Event('change', {bubbles: true}));
        }""",
        list(photo),
    )
    expect(page.locator("#enhance-files tr.file")).to_have_count(3, timeout=PATIENCE)
    page.locator("#enhance-find").click()
    for text in (
        "../out.jpg leads out of the archive",
        "/abs.jpg leads out",
        "wide.png: 900 million pixels",
    ):
        says(page, "#enhance-said", text)
    says(page, "#enhance-facts", "skipped 2")
    says(page, "#enhance-strip", "x · skipped: no 'mug'")
    assert files_outside(place) == before
    assert not [p for p in place.rglob("*") if p.name in ("out.jpg", "abs.jpg")]


def test_two_hundred_megabytes_are_refused_in_the_page(page: Any, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    with big.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(200 << 20)
    tab(page, "Enhance")
    page.locator("#enhance-files input[type=file]").set_input_files(big)
    says(page, ".toast-wrap", "maximum allowed size of 100")
    page.reload()
    says(page, "#create-preview", "token")


def test_a_request_that_is_too_large_is_refused_whoever_sends_it(server: str, place: Path) -> None:
    httpx = pytest.importorskip("httpx")

    def endless() -> Any:
        for _ in range(201):
            yield bytes(1 << 20)

    head = {"content-type": "multipart/form-data; boundary=x"}
    for path in ("api/filter", "gradio_api/upload"):
        try:
            answer = httpx.post(server + path, content=endless(), headers=head, timeout=300)
            assert 400 <= answer.status_code < 500
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass  # hung up on in the middle
    assert httpx.get(server + "api/runs", timeout=300).status_code == 200
