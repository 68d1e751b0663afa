"""What a stranger may send: bad names, bad zips, huge pictures; nothing lands outside."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visuals.pipeline.web.files import run_folders, uploads


def png(width: int = 8, height: int = 8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def sent(root: Path, name: str, data: bytes) -> uploads.Upload:
    path = root.parent / "sent.bin"
    path.write_bytes(data)
    upload = uploads.receive(root, [(name, path)])
    path.unlink()
    return upload


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/x.png", "..\\..\\x.png", "C:\\x.png", ".x.png", "a\x00b/x.png"]
)
def test_a_name_is_no_path(root: Path, name: str) -> None:
    upload = sent(root, name, png())
    assert [p.name for p in upload.pictures] == ["x.png"]
    assert upload.pictures[0].parent == upload.folder
    assert [p.name for p in root.parent.iterdir()] == ["here"]


def test_two_of_a_name_both_stay(root: Path) -> None:
    path = root / "x.png"
    path.write_bytes(png())
    upload = uploads.receive(root, [("x.png", path), ("X/x.png", path)])
    assert [p.name for p in upload.pictures] == ["x.png", "x-2.png"]


def test_a_zip_is_unpacked_within_itself(root: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a/in.png", png())
        archive.writestr("../out.png", png())
        archive.writestr("/abs.png", png())
        archive.writestr("notes.txt", "no picture")
    upload = sent(root, "photos.zip", data.getvalue())
    assert [p.name for p in upload.pictures] == ["in.png"]
    assert len(upload.refused) == 2 and "leads out of the archive" in upload.refused[0]
    assert [p.name for p in root.parent.iterdir()] == ["here"]


def test_a_zip_bomb_is_cut_off(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_UNPACKED", 1 << 20)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{number}.png", png() + bytes(600_000))
    upload = sent(root, "bomb.zip", data.getvalue())
    assert len(upload.pictures) == 1 and upload.refused
    assert sum(p.stat().st_size for p in upload.folder.iterdir()) < 2 << 20


def test_a_picture_that_claims_too_much_and_what_is_none(root: Path) -> None:
    claims = bytearray(png())
    claims[16:24] = (30_000).to_bytes(4, "big") * 2
    for name, data in (("wide.png", bytes(claims)), ("x.png", b"no picture"), ("x.exe", b"MZ"),
                       ("broken.zip", b"PK\x03\x04 no")):  # fmt: skip
        upload = sent(root, name, data)
        assert not upload.pictures and len(upload.refused) == 1 and name in upload.refused[0]


@pytest.mark.parametrize("id_", ["..", ".studio", "a/b", "", "a\\b", "nothing"])
def test_no_run_outside_is_read(root: Path, id_: str) -> None:
    with pytest.raises(run_folders.RunNotFoundError):
        run_folders.folder(root, id_)


def test_no_file_outside_is_read(root: Path) -> None:
    (root / "r").mkdir()
    (root / "r" / "run.yaml").write_text("{}")
    (root.parent / "secret").write_text("x")
    (root / "r" / "link.txt").symlink_to(root.parent / "secret")
    for name in ("../../secret", "link.txt", "/etc/passwd", "a\x00"):
        with pytest.raises(run_folders.RunNotFoundError):
            run_folders.file(root, "r", name)
    assert run_folders.file(root, "r", "run.yaml").name == "run.yaml"
