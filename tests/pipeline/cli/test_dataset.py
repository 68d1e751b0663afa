"""`visuals dataset` as it is called: a catalogue to captions to a check, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from visuals.pipeline.cli import main

pytestmark = pytest.mark.usefixtures("loaded_models")

ROOT = Path(__file__).resolve().parents[3]
PHOTOS = ROOT / "samples" / "photos"
DATA = Path(os.environ.get("VISUALS_REFERENCE", ROOT.parent / "shared" / "data")) / "ppzocket"
SIZE = ("--resolution", "128", "--bucket-reso-steps", "32")


def visuals(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["dataset", *arguments])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def refused(*arguments: str) -> str:
    """The one line that a refusal says."""
    said = visuals(*arguments, code=2).stderr.strip()
    assert said.startswith("visuals: ") and "\n" not in said
    return said


@pytest.fixture
def set_(tmp_path: Path) -> Path:
    """Three sample photos, imported; the third has no text."""
    names = sorted(p.name for p in PHOTOS.glob("*.jpg"))[:3]
    lines = [f"S{k},{name},{'' if k == 2 else f'photo {k}'}" for k, name in enumerate(names)]
    (tmp_path / "c.csv").write_text("\n".join(["sku,image,title", *lines]))
    out = tmp_path / "set"
    arguments = ["import", str(tmp_path / "c.csv"), "--images", str(PHOTOS), "--out", str(out)]
    report = json.loads(visuals(*arguments, "--min-side", "64", "--json").stdout)
    assert report["pictures"] == 3 and report["counts"] == {"no_text": 1}
    return out


@pytest.mark.slow
def test_a_catalogue_becomes_a_captioned_training_set(set_: Path, blip: Path) -> None:
    broken = json.loads(visuals("check", str(set_), *SIZE, "--json", code=1).stdout)
    assert broken["counts"]["empty_caption"] == 1 and broken["steps_per_epoch"] == 3
    options = ["--tag", "ppzmini", "--model", str(blip), "--min-tokens", "3", "--max-tokens", "6"]
    shown = visuals("caption", str(set_), *options, "--preview", "1")
    assert "images/S2.jpg: ppzmini, " in shown.stdout
    assert json.loads((set_ / "metadata.jsonl").read_text().splitlines()[2])["text"] == ""
    done = json.loads(visuals("caption", str(set_), *options, "--json").stdout)
    assert (done["written"], done["kept"]) == (1, 2) and done["tokens"]
    edited = visuals("caption", str(set_), "--no-model", "--tag", "ppzmini")
    assert "tag 'ppzmini'" in edited.stdout
    again = json.loads(visuals("caption", str(set_), *options, "--json").stdout)
    assert (again["written"], again["kept"]) == (0, 3)
    arguments = ["check", str(set_), *SIZE, "--repeats", "4", "--train-batch-size", "2", "--json"]
    report = json.loads(visuals(*arguments).stdout)
    assert report["tag"] == "ppzmini" and report["layout"] == "imagefolder"
    assert (report["steps_per_epoch"], report["steps"]) == (6, 60)
    assert all(item["text"].startswith("ppzmini, ") for item in report["items"])
    assert "steps an epoch" in visuals("check", str(set_), *SIZE).stdout


def test_a_caption_in_another_encoding_is_named_and_stays(tmp_path: Path) -> None:
    shutil.copy(next(PHOTOS.glob("*.jpg")), tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    for options in ((), ("--overwrite",), ("--no-model", "--replace", "car=van")):
        result = visuals("caption", str(tmp_path), *options, code=1)
        assert "a.txt: not UTF-8 text; expected a caption; save it as UTF-8" in result.stderr
        assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9"
    assert "a.txt: not UTF-8 text" in visuals("check", str(tmp_path), code=1).stderr


def test_what_is_refused(set_: Path, tmp_path: Path) -> None:
    assert "expected OLD=NEW" in refused("caption", str(set_), "--replace", "cup")
    assert "expected one" in refused("caption", str(set_), "--no-model", "--overwrite")
    assert "expected --tag" in refused("caption", str(set_), "--no-model")
    assert "no folder 'nowhere'" in refused("caption", "nowhere", "--tag", "x")
    assert "no folder 'nowhere'" in refused("check", "nowhere")
    assert "expected a number, or width,height" in refused("check", str(set_), "--resolution", "x")
    assert "multiple of 8" in refused("check", str(set_), "--resolution", "500")
    assert "swap them" in refused("caption", str(set_), "--min-tokens", "90")
    catalogue = str(tmp_path / "c.csv")
    images = ("--images", str(PHOTOS), "--out", str(set_))
    assert "earlier import" in refused("import", catalogue, *images)
    assert "did you mean 'title'" in refused("import", catalogue, *images, "--field-text", "titel")
    assert "check the path" in refused("import", "nowhere.json", *images)


@pytest.mark.skipif(not DATA.is_dir(), reason="the reference pictures are not here")
def test_the_reference_photos_are_checked_and_imported(tmp_path: Path) -> None:
    """59 of the method's 65 photos: 59 × 6 repeats / batch 2 = 177 steps an epoch."""
    place = tmp_path / "6_ppzocketv2"
    place.mkdir()
    for path in DATA.iterdir():
        (place / path.name).symlink_to(path)
    arguments = ["check", str(tmp_path), "--train-batch-size", "2", "--max-token-length", "225"]
    report = json.loads(visuals(*arguments, "--json").stdout)
    assert (report["layout"], report["tag"], report["pictures"]) == ("kohya", "ppzocketv2", 59)
    assert (report["pictures_per_epoch"], report["steps_per_epoch"]) == (354, 177)
    assert report["broken"] == 0 and report["tags"]["ppzocketv2"] == 59
    assert set(report["counts"]) == {"small"}
    photos = sorted(DATA.glob("*.jpg"))
    lines = [{"sku": p.stem, "image": p.name, "text": p.with_suffix(".txt").read_text().strip()}
             for p in photos]  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(lines))
    out = tmp_path / "out"
    names = ("import", str(tmp_path / "c.json"), "--images", str(DATA), "--out", str(out))
    report = json.loads(visuals(*names, "--max-side", "512", "--json").stdout)
    assert report["pictures"] == 59 and report["problems"] == []
    small = sum(p.stat().st_size for p in (out / "images").iterdir())
    assert small < sum(p.stat().st_size for p in photos)
    shutil.rmtree(out)
