"""Selection among the detections of a search: thresholds, ticks, painted masks, a run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from visuals.pipeline.images.read import read_image
from visuals.pipeline.runs.inside_path import OutsideError
from visuals.pipeline.runs.manifest import (
    DetectionRecord,
    FileNames,
    ManifestRecord,
    last_records,
)
from visuals.pipeline.web.files.run_folders import RunSummary
from visuals.pipeline.web.tabs.enhance import results, search_session, selection
from visuals.pipeline.web.tabs.enhance.mask_strokes import Stroke
from visuals.pipeline.web.tabs.enhance.search_session import EMPTY, Search, Session
from visuals.stages.shot import Failure, Skip

SIZE = 64
NAME = "20261126-120000-abc"
LEFT, RIGHT = (slice(16, 48), slice(4, 24)), (slice(16, 48), slice(40, 60))


def session(**changes: object) -> Session:
    return {**EMPTY, "found": NAME, "threshold": 0.5, "current": "two", **changes}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A search: two mugs in one photo, none in another, and a photo that failed."""
    root = tmp_path / "runs"
    folder = root / ".studio" / "found" / NAME
    for name in ("images", "masks", "instances"):
        (folder / name).mkdir(parents=True)
    union = np.zeros((SIZE, SIZE), bool)
    for number, place in enumerate((LEFT, RIGHT), 1):
        mask = np.zeros((SIZE, SIZE), bool)
        mask[place] = True
        union |= mask
        Image.fromarray(mask).save(folder / "instances" / f"two.{number}.png")
    Image.fromarray(union).save(folder / "masks" / "two.png")
    rng = np.random.default_rng(0)
    for id_ in ("two", "none"):
        pixels = rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{id_}.png")
    found = [
        DetectionRecord(label="mug", score=score, box_xyxy=box, mask=f"instances/two.{k}.png")
        for k, (score, box) in enumerate([(0.9, (4, 16, 24, 48)), (0.6, (40, 16, 60, 48))], 1)
    ]
    records = [
        ManifestRecord(
            id="two", seed=0, classes=("mug",), status="kept", detections=tuple(found),
            files=FileNames(source="images/two.png", mask="masks/two.png"),
        ),
        ManifestRecord(
            id="none", seed=0, classes=("mug",), status="skipped",
            reason=Skip("no_detection", "no 'mug' above 0.1; best 0.04"),
            files=FileNames(source="images/none.png"),
        ),
        ManifestRecord(
            id="broken", seed=0, classes=("mug",), status="failed",
            error=Failure("PictureError", "/photos/broken.png: not a picture", "load"),
            input="/photos/broken.png",
        ),
    ]  # fmt: skip
    (folder / "manifest.jsonl").write_text("".join(r.to_json() + "\n" for r in records))
    run = {"request": {"command": "filter"}, "settings": {"detect": {"box_threshold": 0.1}}}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    return root


def opened(root: Path, **changes: object) -> Search:
    search = Search.open(root, session(**changes))
    assert search is not None
    return search


def texts(search: Search) -> list[str]:
    return [search.describe(record) for record in search.records.values()]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "two · 2 found"),
        ({"threshold": 0.7}, "two · 1 found"),
        ({"threshold": 0.95}, "two · skipped: no 'mug' above 0.95; best 0.90"),
        ({"off": {"two": [0]}}, "two · 1 found"),
        ({"off": {"two": [0, 1]}}, "two · skipped: every instance was ticked off"),
    ],
)
def test_threshold_and_ticks_decide(root: Path, changes: dict[str, object], text: str) -> None:
    search = opened(root, **changes)
    assert texts(search) == [
        text,
        f"none · skipped: no 'mug' above {search.selection.threshold:g}; best 0.04",
        "broken · failed: broken.png: not a picture",
    ]
    kept = "skipped" if "skipped" in text else "kept"
    assert [r.status for r in search.outcomes()] == [kept, "skipped", "failed"]


def test_edits_of_single_instances_leave_all_others_as_they_are(root: Path) -> None:
    own = {"two": {"1": {"edit": "blue", "prompt": "", "strength": None}}}
    search = opened(root, own=own)
    found = search.to_rerender().instances(search.folder, search.records["two"])
    assert [(one.edit, one.prompt) for one in found] == [("", "[SKIP]"), ("blue", "")]
    elsewhere = opened(root, own={"none": {"0": {"edit": "blue"}}}).to_rerender()
    why = elsewhere.reason(search.records["two"])
    assert why == Skip("no_edit", "no edit of its own")
    for all_, others in (
        ({"edit": "red"}, own),
        ({}, {"two": {"0": {"prompt": "[SKIP]"}}}),
        ({}, {}),
    ):
        assert not opened(root, own=others, all=all_).to_rerender().edited_only


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        (
            {"threshold": 0.95},
            "lower the threshold, or look for another class; broken.png: not a picture",
        ),
        ({"off": {"two": [0, 1]}}, "tick an instance; lower the threshold"),
        ({"own": {"none": {"0": {"edit": "x"}}}}, "give an instance that is kept an edit; lower"),
    ],
)
def test_what_to_do_where_nothing_is_left(
    root: Path, changes: dict[str, object], text: str
) -> None:
    search = opened(root, **changes)
    said = selection.remedy(search.to_rerender(), search.records.values())
    assert said.startswith(text) and bool(said) == bool(text)


def test_what_to_do_where_all_is_erased(root: Path) -> None:
    search = opened(root)
    search.selection.painted["two"] = np.zeros((SIZE, SIZE), bool)
    said = selection.remedy(search.to_rerender(), search.records.values())
    assert said.startswith("every mask was erased: press Undo all, or paint one; lower")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".x", "nothing"])
def test_no_search_outside_is_opened(root: Path, name: str) -> None:
    assert Search.open(root, session(found=name)) is None


def test_a_selection_is_a_run_folder_with_its_masks(root: Path) -> None:
    own = {"two": {"1": {"edit": "blue", "prompt": "", "strength": 0.4}}}
    search = opened(root, own=own)
    out = root / "chosen"
    counts = selection.write_selection(search.folder, out, search.selection)
    assert dict(counts) == {"kept": 1, "skipped": 1, "failed": 1}
    two, none, broken = last_records(out)
    assert [d.edit for d in two.detections] == ["", "blue"]
    assert two.detections[1].strength == 0.4 and two.detections[1].mask_area == 32 * 20
    assert two.files.mask == "masks/two.png" and two.files.source == "images/two.png"
    for detection, place in zip(two.detections, (LEFT, RIGHT), strict=True):
        mask = read_image(out / str(detection.mask)).rgb[..., 0] > 127
        assert mask[place].all() and mask.sum() == 32 * 20
    assert none.reason == Skip("no_detection", "no 'mug' above 0.5; best 0.04")
    assert broken.error and broken.error.message == "/photos/broken.png: not a picture"
    detect = yaml.safe_load((out / "run.yaml").read_text())["settings"]["detect"]
    assert detect == {"box_threshold": 0.5, "text_threshold": 0.5}
    assert (out / "report.html").is_file()


def test_a_selection_of_one_shot_holds_no_other(root: Path) -> None:
    search = opened(root)
    selection.write_selection(search.folder, root / "one", search.selection, ["two"])
    assert [record.id for record in last_records(root / "one")] == ["two"]


def test_each_shot_keeps_its_latest_result(root: Path) -> None:
    made = {
        "first": ("two", "none"), "later": ("two-red", "two-dark-red", "other-red"), "bare": ()
    }  # fmt: skip
    for name, ids in made.items():
        (root / name).mkdir()
        edits = ["red", "dark red"] if name == "later" else []
        run = {"request": {"options": {"edits": edits}}, "settings": {}}
        (root / name / "run.yaml").write_text(yaml.safe_dump(run))
        files = {id_: FileNames(result=f"{id_}.png") for id_ in ids} or {"none": FileNames()}
        records = [
            ManifestRecord(id=id_, seed=0, status="enhanced", files=of) for id_, of in files.items()
        ]
        (root / name / "manifest.jsonl").write_text("".join(r.to_json() + "\n" for r in records))
    found = opened(root).folder
    for name in ("first", "gone", "later", "bare", "..", "../elsewhere"):
        results.add(found, name)
    kept = opened(root).results
    assert {id_: [(run.id, one.id) for run, one in made] for id_, made in kept.items()} == {
        "two": [("later", "two-red"), ("later", "two-dark-red")], "none": [("first", "none")],
        "other-red": [("later", "other-red")],
    }  # fmt: skip


def test_what_is_painted_goes_to_the_nearest_instance(root: Path) -> None:
    dot, away = Stroke(True, 0.05, ((0.95, 0.5),)), Stroke(False, 0.05, ((0.1, 0.5), (0.3, 0.5)))
    opened(root).paint("two", 2, (dot, away))
    opened(root).paint("two", 1, ())  # an older one, which comes late
    search = opened(root)
    assert search.painted("two")["seq"] == 2 and texts(search)[0].endswith("painted by hand")
    left, right = search.selection.instances(search.folder, search.records["two"])
    assert left.mask is not None and right.mask is not None
    assert 0 < left.mask.sum() < 32 * 20 < right.mask.sum()
    assert right.mask[32, 61] and not left.mask[:, 32:].any()
    assert right.box_xyxy == (40, 16, 64, 48) and left.box_xyxy == (4, 16, 24, 48)


def test_a_mask_that_was_painted_on_nothing_stands_alone(root: Path) -> None:
    search = opened(root)
    search.paint("none", 1, (Stroke(True, 0.1, ((0.5, 0.5),)),))
    search = opened(root)
    (alone,) = search.selection.instances(search.folder, search.records["none"])
    assert (alone.label, alone.score) == ("mug", 1.0)
    search.paint("none", 2, (Stroke(False, 0.1, ((0.5, 0.5),)),))
    assert texts(opened(root))[1] == "none · skipped: the mask was erased by hand"


def test_views_are_marked_and_kept(root: Path) -> None:
    search = opened(root)
    two, none, broken = search.records.values()
    view, plain = search.view(two, 128), search.view(none, 128)
    assert view is not None and view.shape == (128, 128, 3) and plain is not None
    assert search.view(broken, 128) is None and search.thumbnail(broken) is None
    first = search.thumbnail(two)
    assert first == search.thumbnail(two) and first != opened(root, threshold=0.7).thumbnail(two)


def test_wording_is_of_all_or_of_one_instance() -> None:
    state = session(all={"edit": "red", "prompt": "", "strength": 0.6}, whose=-1)
    assert search_session.wording(state)["edit"] == "red"
    state = search_session.with_wording({**state, "whose": 1}, "blue", 0.6, "")
    assert state["own"] == {"two": {"1": {"edit": "blue", "prompt": "", "strength": None}}}
    assert search_session.wording(state, 1) == {"edit": "blue", "prompt": "", "strength": 0.6}
    assert search_session.wording(state, 0) == {"edit": "", "prompt": "", "strength": 0.6}
    state = search_session.with_wording({**state, "whose": -1}, "green", 0.3, "a {class}")
    assert search_session.wording(state)["prompt"] == "a {class}"
    assert search_session.wording(state, 1)["strength"] == 0.3


@pytest.mark.parametrize("name", ["images", "images/two.png"])
def test_no_link_in_a_run_is_shown_or_copied(root: Path, tmp_path: Path, name: str) -> None:
    found = root / ".studio" / "found" / NAME
    (found / name).rename(tmp_path / "secret")
    (found / name).symlink_to(tmp_path / "secret")
    run = RunSummary(found, last_records(found))
    assert run.picture(run.records[0]) is None
    with pytest.raises(OutsideError):
        selection.write_selection(found, tmp_path / "out", selection.Selection(0.5))
    assert not list((tmp_path / "out").rglob("*.png"))
