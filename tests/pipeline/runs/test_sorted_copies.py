"""Sorted copies: skipped originals by reason, kept pictures by class."""

from __future__ import annotations

from pathlib import Path

from visuals.pipeline.runs import sorted_copies
from visuals.pipeline.runs.manifest import ManifestRecord


def test_a_copy_is_made_once_and_only_of_skipped_shots(tmp_path: Path) -> None:
    (tmp_path / "a.JPG").write_bytes(b"the original")
    values = {
        "id": "sub/a",
        "seed": 1,
        "status": "skipped",
        "reason": {"code": "no_detection", "message": ""},
        "input": str(tmp_path / "a.JPG"),
    }
    record, kept = (
        ManifestRecord.from_dict(line) for line in (values, {**values, "status": "kept"})
    )
    photos = {str(tmp_path / "a.JPG")}
    assert sorted_copies.copy_skipped(tmp_path / "run", record) is None  # not of the request
    copy = sorted_copies.copy_skipped(tmp_path / "run", record, photos)
    assert copy == tmp_path / "run" / "skipped" / "no_detection" / "sub" / "a.JPG"
    assert copy.read_bytes() == b"the original"
    copy.write_bytes(b"edited by the user")
    sorted_copies.copy_skipped(tmp_path / "run", record, photos)
    assert copy.read_bytes() == b"edited by the user"
    assert sorted_copies.copy_skipped(tmp_path / "run", kept, photos) is None
    assert sorted_copies.sort_by_class(tmp_path / "run", record) == []
