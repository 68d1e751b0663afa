"""`visuals export`: a run's kept pictures as the data set of a training."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from PIL import Image

from visuals.pipeline.cli import main
from visuals.pipeline.exports.annotate import AnnotationError, annotate
from visuals.pipeline.exports.training_set import export
from visuals.pipeline.runs import folder as run_folder
from visuals.training.datasets.dataset_folder import read_dataset

pytestmark = pytest.mark.usefixtures("loaded_models")


def shot(number: int, status: str, label: str, id_: str = "") -> dict[str, object]:
    """A line of a manifest, as `visuals filter` writes it."""
    name = f"{number:04d}-{label}"
    reason = {"code": "no_detection", "message": "none"} if status == "skipped" else None
    detections = [
        {
            "label": label,
            "score": 0.9,
            "box_xyxy": [2, 2, 10, 10],
            "mask_area": 64,
            "mask_score": 0.9,
            "mask": f"instances/{name}-0.png",
        }
    ]
    return {
        "id": id_ or name, "input": f"{label}.jpg", "prompt": None, "seed": 1, "classes": [label],
        "edit": "", "status": status, "reason": reason,
        "detections": [] if status == "skipped" else detections,
        "files": {"source": f"images/{name}.png", "mask": f"instances/{name}-0.png",
                  "blend": None, "control": None, "result": None},
        "metrics": {}, "seconds": {}, "error": None,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two kept pictures and a skipped one."""
    folder = tmp_path / "run"
    (folder / "images").mkdir(parents=True)
    (folder / "instances").mkdir()
    lines = [shot(1, "kept", "mug"), shot(2, "skipped", "mug"), shot(3, "kept", "car")]
    mask = np.zeros((16, 16), np.uint8)
    mask[2:10, 2:10] = 255
    for line in lines:
        Image.new("RGB", (16, 16), (80, 90, 100)).save(folder / line["files"]["source"])  # type: ignore[index]
        Image.fromarray(mask).save(folder / "instances" / f"{line['id']}-0.png")
    (folder / run_folder.NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def masks(folder: Path) -> list[int]:
    """Pixels on each picture's mask, as the trainer finds it."""
    return [
        int((np.asarray(Image.open(item.mask)) == 255).sum())
        for item in read_dataset(folder).items
        if item.mask
    ]


def test_kohya_folders_are_read_by_the_trainer(run: Path) -> None:
    result = CliRunner().invoke(
        main, ["export", str(run), "--tag", "ppz", "--repeats", "6", "--out", "look", "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"folder": "look", "pictures": 2, "errors": []}
    assert sorted(p.name for p in Path("look/6_ppz").iterdir()) == [
        "0001-mug.png", "0001-mug.txt", "0003-car.png", "0003-car.txt",
    ]  # fmt: skip
    got = read_dataset("look")
    assert (got.layout, got.pictures, got.tag) == ("kohya", 12, "ppz")
    assert [item.caption for item in got.items] == ["ppz, a mug", "ppz, a car"]
    assert masks(Path("look")) == [64, 64]
    again = CliRunner().invoke(main, ["export", str(run), "--out", "look"])
    assert again.exit_code == 2 and "look is there already" in again.stderr


def test_an_imagefolder_is_read_by_the_trainer(run: Path) -> None:
    done = export(run, "imagefolder", tag="ppz")
    assert done.files["imagefolder"] == run / "export" / "imagefolder"
    rows = [json.loads(line) for line in (done.files["imagefolder"] / "metadata.jsonl").open()]
    assert rows[0] == {
        "file_name": "images/0001-mug.png",
        "text": "ppz, a mug",
        "mask_file_name": "masks/0001-mug.png",
    }
    got = read_dataset(done.files["imagefolder"])
    assert got.layout == "imagefolder" and not got.problems
    assert [item.caption for item in got.items] == ["ppz, a mug", "ppz, a car"]
    assert masks(done.files["imagefolder"]) == [64, 64]
    assert export(run, "imagefolder").pictures == 2  # the run's own is replaced


@pytest.mark.parametrize("record", [True, False])
def test_what_the_user_put_among_a_run_s_exports_stays(run: Path, record: bool) -> None:
    place = export(run, "kohya", tag="ppz").files["kohya"]
    export(run, "kohya", tag="other")  # the run's own is replaced, under other names too
    caption = next(place.glob("1_other/*.txt"))
    changes = {place / "mine.txt": "mine", place / "10_own" / "x.txt": "mine"}
    changes |= {caption: "a mug that I described"} if record else {}
    for path, text in changes.items():
        if not record:  # as an earlier version left it
            (place.parent / f".{place.name}.written.json").unlink(missing_ok=True)
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        with pytest.raises(AnnotationError, match="not written by an earlier export"):
            export(run, "kohya", tag="other")
        assert path.read_text() == text and caption.exists()
        path.unlink()
        if before is not None:
            path.write_text(before)
    coco = annotate(run, ["coco"], polygons=True).files["coco"]
    annotate(run, ["coco"], polygons=True)
    coco.write_text("{}")
    with pytest.raises(AnnotationError, match=r"coco\.json .*has changed since"):
        annotate(run, ["coco"], polygons=True)


IDS = st.lists(
    st.lists(
        st.one_of(
            st.sampled_from(["x", "y", "x_y", "6_t", "masks", "reg", ".x", "x-masklabel", "a.b"]),
            st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=90),
        ).filter(lambda part: part not in (".", "..")),
        min_size=1,
        max_size=4,
    ).map("/".join),
    min_size=1,
    max_size=6,
    unique=True,
)


@pytest.mark.parametrize("format", ["kohya", "imagefolder"])
@checked(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ids=IDS, name=st.text(st.characters(blacklist_characters="/\\"), max_size=300))
@example(ids=["x", "shop1/x", "shop2/x", "shop1_x", "shop1/deep/x"], name="t")
@example(ids=["shop1/x"], name="t")
@example(ids=[f"{'a' * 190}/{'b' * 190}", f"{'a' * 190}/{'c' * 190}"], name="n" * 260)
def test_what_is_exported_is_read(
    tmp_path_factory: pytest.TempPathFactory, format: str, ids: list[str], name: str
) -> None:
    """read(export(X)) = X: every picture with its caption, mask and repeats, whatever its id."""
    run = tmp_path_factory.mktemp("run")
    (run / "images").mkdir()
    (run / "instances").mkdir()
    lines = [shot(k, "kept", f"mug{k}", id_) for k, id_ in enumerate(ids)]
    for k, line in enumerate(lines):
        Image.new("RGB", (16, 16), (k, 90, 100)).save(run / line["files"]["source"])  # type: ignore[index]
        mask = np.zeros((16, 16), np.uint8)
        mask[: k + 1] = 255
        Image.fromarray(mask).save(run / "instances" / f"{k:04d}-mug{k}-0.png")
    (run / run_folder.NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = export(run, format, repeats=6, name=name)
    got = read_dataset(done.files[format], repeats=6)
    found = {Image.open(item.path).getpixel((0, 0))[0]: item for item in got.items}  # type: ignore[index]
    assert sorted(found) == list(range(len(ids))) and not got.problems and not got.unused
    for k, item in found.items():
        assert (item.caption, item.repeats) == (f"a mug{k}", 6)
        assert item.mask and (np.asarray(Image.open(item.mask)) == 255).sum() == 16 * (k + 1)
        assert len(item.path.name.encode()) <= 255 and "/" not in item.name.split("/", 1)[1]


def test_a_broken_picture_is_named_and_left_out(run: Path) -> None:
    (run / "images" / "0001-mug.png").write_bytes(b"broken")
    done = export(run)
    assert done.pictures == 1 and "0001-mug" in done.errors[0]
    assert done.files["kohya"].joinpath("1_mug car", "0003-car.png").is_file()


@pytest.mark.parametrize("name", ["../../../esc", "/esc", "a/b", "a\\b"])
def test_a_name_is_no_path(run: Path, name: str) -> None:
    with pytest.raises(AnnotationError, match="expected a name without a folder"):
        export(run, name=name)
    assert not (run / "export").exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_nothing_is_written_over(run: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "mine"
    if kind == "file":
        out.touch()
    elif kind == "folder":
        (out / "x").mkdir(parents=True)
    elif kind == "link":
        out.symlink_to(tmp_path / "gone")
    else:
        os.mkfifo(out)
    with pytest.raises(AnnotationError, match="is there already"):
        export(run, out=out)
    assert os.path.lexists(out)


def test_nothing_to_export(run: Path, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no run folder"):
        export(tmp_path)
    (run / run_folder.NAME).write_text(json.dumps(shot(2, "skipped", "mug")) + "\n")
    with pytest.raises(AnnotationError, match="kept no picture: expected some to export"):
        export(run)


@pytest.mark.parametrize("out", [".", "link"])
def test_an_empty_folder_that_is_there_takes_the_files(
    run: Path, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    monkeypatch.chdir(place if out == "." else tmp_path)
    export(run, out=Path(out))
    assert (tmp_path / "link").is_symlink() and os.path.samefile(place, tmp_path / "link")
    assert os.path.samefile(os.getcwd(), place if out == "." else tmp_path)
    assert sorted(p.name for p in place.iterdir()) == ["1_mug car", "masks"]
    assert not list(tmp_path.glob(".*"))
