"""Run folders of strangers: no string and no link in one leads to a file outside."""

from __future__ import annotations

import contextlib
import copy
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from helpers.stand_ins import STAGES, prompted

from visuals.configs.errors import VisualsError
from visuals.configs.schema import load_settings
from visuals.pipeline.exports.annotate import FORMATS, annotate
from visuals.pipeline.exports.training_set import export
from visuals.pipeline.inputs.shots import from_run
from visuals.pipeline.jobs.plan import shots_of
from visuals.pipeline.jobs.replays.replay import remake
from visuals.pipeline.jobs.replays.replay_plan import of_picture, of_run
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.resolve import recorded_request
from visuals.pipeline.reports.html import write_report
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs import run_yaml
from visuals.pipeline.runs.folder import RunFolder
from visuals.pipeline.runs.inside_path import OutsideError, inside
from visuals.pipeline.runs.lock import RunLock
from visuals.pipeline.runs.manifest import NAME, last_records, read_records
from visuals.pipeline.runs.sorted_copies import copy_skipped, sort_by_class

REQUEST = {
    "version": 2,
    "command": "run",
    "needs": ["generate", "detect", "segment", "rerender"],
    "inputs": [],
    "preset": "mini",
    "classes": ["mug"],
    "count": 1,
    "edit": "red",
    "prompts": None,
    "rows": [{"line": 2, "prompt": "a mug", "class_": "mug", "name": "cup"}],
    "mask": None,
    "options": {"copy_skipped": True, "sort_by_class": True},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "place" / "run"
    settings = load_settings().model_dump(mode="json")
    made = RunFolder(folder, request=REQUEST, settings=settings)
    for shot in run_shots([prompted("a/even", 2), prompted("odd", 1)], STAGES, batch_size=1):
        made.record(shot)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes((folder / "images/a/even.png").read_bytes())
    (outside / "x").write_text("mine")
    return folder


GONE = object()


def use(run: Path) -> None:
    """Do with a run folder all that commands do, but for loading models."""
    scratch = run.parent

    def report() -> None:
        write_report(run)

    def annotations() -> None:
        annotate(run, tuple(FORMATS), include_skipped=True)

    def training_set() -> None:
        export(run, "kohya")

    def copies() -> None:
        for record in read_records(run):
            with contextlib.suppress(OSError):  # as in a run, which goes on
                copy_skipped(run, record)
                sort_by_class(run, record)

    def resumed() -> None:
        resolved = recorded_request(run_yaml.read(run), run)
        shots, _ = shots_of(resolved, Reporter())
        with RunLock(run):
            folder = RunFolder(run, request=REQUEST, settings=load_settings().model_dump())
            for shot in run_shots(shots, STAGES):
                folder.record(shot)

    def replayed() -> None:
        folder = RunFolder(scratch / "replay", request={}, settings={})
        for shot in remake(of_run(run), STAGES):
            folder.record(shot)

    def enhanced() -> None:
        folder = RunFolder(scratch / "enhanced", request={}, settings={})
        for shot in from_run(run):
            folder.record(shot.fail(ValueError("no model"), "load"))

    for action in (report, annotations, training_set, copies, resumed, replayed, enhanced):
        with contextlib.suppress(VisualsError):
            action()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield where nested values are, and the values."""
    yield path, value
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """Return nested values with another one at a place; `GONE` removes what is there."""
    if not path:
        return None if other is GONE else other
    out = copy.deepcopy(value)
    inner = out
    for key in path[:-1]:
        inner = inner[key]
    if other is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = other
    return out


def use_mutants(run: Path, texts: Iterable[tuple[str, str]]) -> None:
    """Use a run with each of these pairs of run.yaml and manifest."""
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for record, lines in texts:
        for path, data in files.items():
            path.write_bytes(data)
        (run / "run.yaml").write_text(record)
        (run / NAME).write_text(lines)
        use(run)


def parsed(run: Path) -> tuple[Any, list[Any]]:
    lines = (run / NAME).read_text().splitlines()
    return yaml.safe_load((run / "run.yaml").read_text()), [json.loads(line) for line in lines]


def dumped(record: Any, lines: list[Any]) -> tuple[str, str]:
    return yaml.safe_dump(record), "".join(json.dumps(line) + "\n" for line in lines)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "place" not in file.relative_to(folder).parts
    }


@pytest.mark.parametrize(
    "hostile",
    ["../../outside/x", "{outside}/x", "a/../../../outside/x", "\0", "\x1b[2J", "y" * 5000],
)
def test_no_string_of_a_run_folder_leads_outside(run: Path, tmp_path: Path, hostile: str) -> None:
    text = hostile.format(outside=tmp_path / "outside")
    record, lines = parsed(run)
    before = tree(tmp_path)
    strings = [[path for path, v in places(x) if isinstance(v, str)] for x in (record, lines)]
    if not hostile.startswith("{"):  # one value is enough for settings, of which there are many
        strings[0] = [path for path in strings[0] if path[0] != "settings"]
    assert min(map(len, strings)) > 10
    mutants = [(replaced(record, path, text), lines) for path in strings[0]]
    mutants += [(record, replaced(lines, path, text)) for path in strings[1]]
    for changed in mutants:
        use_mutants(run, [dumped(*changed)])
        assert tree(tmp_path) == before, changed


OTHERS = (GONE, None, True, -1, 10**40, 0.5, "x", [], [None], {"a": None})


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_no_value_of_another_type_is_a_traceback(run: Path, part: int) -> None:
    """Each value is replaced by one other; the settings are checked as a whole elsewhere."""
    record, lines = parsed(run)
    spots = [path for path, _ in places(record) if path[:1] != ("settings",) or len(path) < 3]
    mutants = [
        (replaced(record, path, OTHERS[(k + part) % len(OTHERS)]), lines)
        for k, path in enumerate(spots)
    ]
    mutants += [
        (record, replaced(lines, path, OTHERS[(k + part) % len(OTHERS)]))
        for k, (path, _) in enumerate(places(lines))
        if path
    ]
    assert len(mutants) > 100
    use_mutants(run, (dumped(*changed) for changed in mutants))


@pytest.mark.parametrize(
    "name",
    ["images", "sources", "masks", "sorted", "skipped", "annotations", "export", NAME, "run.yaml",
     ".lock", ".lock.json", "report.html", "images/a", "images/a/even.png", "images/cup.png"],
)  # fmt: skip
def test_no_link_in_a_run_folder_leads_outside(run: Path, tmp_path: Path, name: str) -> None:
    path = run / name
    target = tmp_path / "outside" / ("x" if path.suffix or path.name == ".lock" else "")
    if path.exists():
        path.rename(run.parent / "moved")
        if path.suffix:
            target.write_bytes((run.parent / "moved").read_bytes())
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target)
    before = tree(tmp_path)
    use(run)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize(
    ("read", "name"),
    [(annotate, NAME), (export, NAME), (of_run, NAME), (from_run, NAME), (write_report, NAME),
     (annotate, "run.yaml"), (export, "run.yaml"), (of_run, "run.yaml")],
)  # fmt: skip
def test_every_reader_refuses_a_record_that_is_no_file(
    run: Path, tmp_path: Path, read: Callable[[Path], Any], name: str, kind: str
) -> None:
    (run / name).rename(tmp_path / name)
    if kind == "link":
        (run / name).symlink_to(tmp_path / name)
    else:
        os.mkfifo(run / name)
    with pytest.raises(VisualsError, match="is a link, pipe or device"):
        read(run)


def test_a_report_embeds_no_picture_from_elsewhere(run: Path, tmp_path: Path) -> None:
    before = write_report(run).read_text().count("data:image")
    (run / "sources/a/even.png").unlink()
    (run / "sources/a/even.png").symlink_to(tmp_path / "outside" / "x.png")
    assert write_report(run).read_text().count("data:image") < before


def test_a_picture_of_a_stranger_names_no_file_outside(run: Path, tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    path = tmp_path / "x.png"
    with Image.open(run / "images/a/even.png") as image:
        record = json.loads(image.text["visuals"])  # type: ignore[attr-defined]
        record["id"] = record["batch"][0]["id"] = "../../outside/x"
        info = PngInfo()
        info.add_text("visuals", json.dumps(record))
        image.save(path, pnginfo=info)
    with pytest.raises(OutsideError, match="inside the run folder"):
        of_picture(path)


def test_pickles_are_read_only_with_the_option(run: Path) -> None:
    record = run_yaml.read(run)
    record["settings"]["run"]["allow_pickle"] = True
    run_yaml.write(run, record)
    assert not recorded_request(run_yaml.read(run), run).settings.run.allow_pickle
    assert not of_run(run).settings["run"]["allow_pickle"]
    allowed = copy.deepcopy(record)
    allowed["settings"]["run"]["allow_pickle"] = False
    assert run_yaml.differences(record, allowed) == []


@pytest.mark.parametrize("name", ["", "/x", "../x", "a/../x", "a//b", "./a", "a/", "a\0b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutsideError, match="inside the run folder"):
        inside(tmp_path, name)


def test_names_inside_are_paths(tmp_path: Path) -> None:
    assert inside(tmp_path, "images/a..b/.c.png") == tmp_path / "images/a..b/.c.png"
    assert last_records(tmp_path) == [] and os.listdir(tmp_path) == []


def test_control_characters_leave_voc_well_formed(run: Path) -> None:
    path = run / NAME
    path.write_text(path.read_text().replace('"mug"', '"m\\u001b[2Ju\\u0000\\uffffg"'))
    (file,) = (annotate(run, ("voc",)).files["voc"] / "Annotations").rglob("*.xml")
    assert ElementTree.parse(file).findtext("object/name") == "m\ufffd[2Ju\ufffd\ufffdg"
