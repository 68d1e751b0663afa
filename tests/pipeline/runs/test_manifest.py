"""Manifest records: written, read back, of earlier and of later versions."""

from __future__ import annotations

import json
import pickle
import tempfile
from pathlib import Path
from typing import Any

import pytest
from helpers.stand_ins import STAGES, prompted
from hypothesis import example, given
from hypothesis import settings as checked
from hypothesis import strategies as st

from visuals.configs.errors import RunFolderError
from visuals.configs.text_files import MAX_BYTES
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs import run_yaml
from visuals.pipeline.runs.folder import RunFolder
from visuals.pipeline.runs.manifest import (
    NAME,
    ManifestIndex,
    ManifestRecord,
    last_records,
    read_records,
)

LEAST: dict[str, Any] = {"id": "a", "seed": 3, "status": "kept"}


def test_a_record_is_the_same_when_read_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    shots = [prompted("a/even", 2), prompted("odd", 1), prompted("bad", 13)]
    written = [folder.record(shot) for shot in run_shots(shots, STAGES, batch_size=1)]
    assert list(read_records(folder.path)) == written == list(folder.done.values())
    assert [record.status for record in written] == ["enhanced", "skipped", "failed"]
    assert pickle.loads(pickle.dumps(written)) == written
    assert [record.kept for record in written] == [True, False, False]
    assert written[0].labels == ["mug"] and written[0].files.picture == "images/a/even.png"


HALF = "a \ud800 mug"
DETECTION = {"label": "m", "score": 1, "box_xyxy": [0, 0, 1, 2]}


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"prompt": HALF}, "prompt"),
        ({"edit": HALF}, "edit"),
        ({"classes": [HALF]}, "classes.0"),
        ({"prompts": ["a", HALF]}, "prompts.1"),
        ({"detections": [{**DETECTION, "label": HALF}]}, "detections.0.label"),
        ({"detections": [{**DETECTION, "prompt": HALF}]}, "detections.0.prompt"),
    ],
)
def test_half_characters_are_refused_where_a_model_reads_them(
    values: dict[str, Any], key: str
) -> None:
    line = json.dumps({**LEAST, **values})
    with pytest.raises(RunFolderError, match=f"{key}: Input should be a valid string"):
        ManifestRecord.from_json(line)
    request = {k: v for k, v in values.items() if k in ("edit", "classes", "prompts")}
    if request:
        text = json.dumps({"request": request})  # which is YAML
        refused = f"request.{key}: Input should be a valid string|invalid Unicode character"
        with pytest.raises(RunFolderError, match=refused):
            run_yaml.parse(text.encode(), "run.yaml")


def test_a_line_of_an_early_version_has_defaults() -> None:
    record = ManifestRecord.from_json(
        json.dumps({**LEAST, "detections": [{"label": "m", "score": 1, "box_xyxy": [0, 0, 1, 2]}]})
    )
    assert (record.batch, record.edit, record.files.picture) == ((), "", None)
    assert record.detections[0].mask == "" and record.detections[0].box_xyxy == (0, 0, 1, 2)


def test_keys_of_a_later_version_are_written_back() -> None:
    line = {**LEAST, "rating": 5, "files": {"source": "images/a.png", "depth": "masks/a.depth.png"}}
    again = ManifestRecord.from_json(ManifestRecord.from_dict(line).to_json()).to_dict()
    assert again["rating"] == 5 and again["files"]["depth"] == "masks/a.depth.png"


def test_a_file_name_that_is_not_utf8_survives() -> None:
    record = ManifestRecord.from_dict({**LEAST, "input": "m\udce4.png"})
    assert ManifestRecord.from_json(record.to_json().encode()) == record


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"id": "a", "seed": 3}, "shot 'a': status: Field required"),
        ({**LEAST, "status": "lost"}, "status: Input should be"),
        ({**LEAST, "files": 5}, "files: "),
        ({**LEAST, "content": {"sha256": "x"}}, "content.bytes: "),
        ({**LEAST, "metrics": {"seam": "high"}}, "metrics.seam"),
        (
            {**LEAST, "detections": [{"label": "m", "score": 1, "box_xyxy": [4, 0, 1, 2]}]},
            "x0 < x1",
        ),
    ],
)
def test_a_wrong_line_is_refused_by_name(line: dict[str, Any], problem: str) -> None:
    with pytest.raises(RunFolderError, match=problem):
        ManifestRecord.from_dict(line)


def test_the_last_record_of_a_shot_counts(tmp_path: Path) -> None:
    lines = [LEAST, {**LEAST, "id": "b"}, {**LEAST, "seed": 4}]
    (tmp_path / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(record.id, record.seed) for record in last_records(tmp_path)] == [("a", 4), ("b", 3)]


def test_an_index_of_lines_without_an_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"seed": 3, "status": "kept"}\n')
    with pytest.raises(RunFolderError, match="id: Field required"):
        ManifestIndex(tmp_path / NAME)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_json_lacks_are_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / NAME).write_text(
        f'{{"id": "a", "seed": 3, "status": "kept", "seconds": {{"load": {number}}}}}\n'
    )
    with pytest.raises(RunFolderError):
        ManifestIndex(tmp_path / NAME)


@pytest.mark.parametrize(
    "text", ["request: 5", "batch_sizes: {detect: -5}", "settings: []", "checkpoints: {a: [1]}",
             "request: {needs: [paint]}", "request: {rows: [5]}", "began_in: 3", "- a", "5", "",
             "request: {}", "settings: {}"],
)  # fmt: skip
def test_a_wrong_run_yaml_is_refused_by_name(text: str) -> None:
    with pytest.raises(RunFolderError, match=r"^shop/run\.yaml: .*; mend the file$"):
        run_yaml.parse(text.encode(), "shop/run.yaml")


def test_files_and_lines_of_any_size_are_refused_unread(tmp_path: Path) -> None:
    for name, size in (("run.yaml", run_yaml.MAX_BYTES + 1), (NAME, MAX_BYTES + 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    with pytest.raises(RunFolderError, match=r"bytes; expected the record of a run.*mend the file"):
        run_yaml.read(tmp_path)
    with pytest.raises(RunFolderError, match="line 1: expected at most 67,108,864 bytes"):
        last_records(tmp_path)


VALUES = st.recursive(
    st.one_of(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.none()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=4), inner)),
    max_leaves=5,
)


@checked(max_examples=40, deadline=None)
@given(edit=st.text(), value=VALUES)
@example(edit="\x85 \u2028 \u2029 \ufeff", value=1e22)
def test_a_run_yaml_is_read_as_it_was_written(edit: str, value: Any) -> None:
    """Else a run would count as edited by hand."""
    record = {"request": {"edit": edit}, "settings": {"a": value}}
    record |= {"digest": run_yaml.identity(record), "versions": run_yaml.versions()}
    with tempfile.TemporaryDirectory() as folder:
        run_yaml.write(Path(folder), record)
        assert run_yaml.read(Path(folder)) == record
    assert not run_yaml.is_edited(record)
    assert run_yaml.is_edited({**record, "request": {"edit": f"{edit}!"}})
