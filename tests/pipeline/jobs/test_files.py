"""Own masks, output formats, dry runs, lists and links, from the command line to the files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.usefixtures("loaded_models")

SAMPLES = Path(__file__).resolve().parents[3] / "samples" / "photos"
STEPS = ("--set", "rerender.steps=2")


@pytest.fixture(autouse=True)
def photos(mini: Path, own_home: Path) -> Path:
    """Two photos in folders of the working folder."""
    for k, name in enumerate(("04-teal-mug", "12-gray-mug")):
        (own_home / f"photos/{k}").mkdir(parents=True)
        shutil.copy(SAMPLES / f"{name}.jpg", own_home / f"photos/{k}/{name}.jpg")
    return own_home / "photos"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def visuals(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = call(*arguments, "--json")
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    record: dict[str, Any] = json.loads(result.stdout)
    if "manifest" in record:
        text = Path(record["manifest"]).read_text(encoding="utf-8")
        record["lines"] = {line["id"]: line for line in map(json.loads, text.splitlines())}
    return record


def refused(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    said = [line for line in result.stderr.splitlines() if line and "warning" not in line]
    return said[-1]


def square(path: Path, size_wh: tuple[int, int] = (256, 256), white: bool = True) -> Path:
    mask = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    mask[60:140, 80:180] = 255 * white
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def test_an_own_mask_is_what_is_re_rendered(photos: Path) -> None:
    mask = square(Path("mask.png"))
    photo = photos / "0/04-teal-mug.jpg"
    record = visuals(
        "enhance", str(photo), "--mask", str(mask), "--class", "mug", "--edit", "red",
        "--strength", "0.9", "--out", "out", *STEPS,
    )  # fmt: skip
    (line,) = record["lines"].values()
    assert line["status"] == "enhanced" and line["metrics"]["changed_outside"] == 0
    assert set(line["seconds"]) == {"load", "mask", "rerender"}
    (found,) = line["detections"]
    assert found["label"] == "mug" and found["box_xyxy"] == [80, 60, 180, 140]
    assert found["mask_area"] == 8000
    before, after = read_image(photo).rgb, read_image(record["pictures"][0]).rgb
    changed = (before != after).any(-1)
    assert changed[80:120, 100:160].mean() > 0.5
    assert not changed[:40].any() and not changed[:, :40].any() and not changed[170:].any()
    with Image.open(record["pictures"][0]) as image:
        said = image.info["parameters"]
    assert "red mug" in said.splitlines()[0] and "Denoising strength: 0.9" in said


def test_masks_of_a_folder_go_by_name(photos: Path) -> None:
    square(Path("masks/0/04-teal-mug.png"))
    record = visuals(
        "enhance", "photos", "--mask", "masks", "--prompt", "a blue mug", "--out", "out", *STEPS
    )
    lines = record["lines"]
    assert lines["0/04-teal-mug"]["status"] == "enhanced"
    assert lines["1/12-gray-mug"]["reason"]["code"] == "no_mask"
    square(Path("masks/12-gray-mug.png"), (100, 200))
    planned = visuals("enhance", "photos", "--mask", "masks", "--prompt", "x", "--dry-run")
    (first, second) = planned["shots"]
    assert first["stages"] == ["mask", "rerender"] and not first["problem"]
    assert "is 100 × 200; expected the photo's 256 × 256" in second["problem"]
    record = visuals(
        "enhance", "photos", "--mask", "masks", "--prompt", "a mug", "--out", "again", *STEPS
    )
    line = record["lines"]["1/12-gray-mug"]
    assert line["status"] == "failed" and "100 × 200" in line["error"]["message"]


def test_own_masks_are_refused_with_what_they_lack(photos: Path) -> None:
    photo = str(photos / "0/04-teal-mug.jpg")
    small = str(square(Path("small.png"), (100, 200)))
    said = refused("enhance", photo, "--mask", small, "--class", "mug")
    assert "100 × 200" in said and "256 × 256" in said
    assert "no mask 'none.png'" in refused("enhance", photo, "--mask", "none.png", "--class", "mug")
    assert "expected --class or --prompt" in refused("enhance", photo, "--mask", small)
    two = ("--class", "mug", "--class", "car")
    assert "expected one --class" in refused("enhance", photo, "--mask", small, *two)
    black = str(square(Path("black.png"), white=False))
    record = visuals("enhance", photo, "--mask", black, "--class", "mug", "--out", "out", *STEPS)
    (line,) = record["lines"].values()
    assert line["reason"]["code"] == "empty_mask" and "black.png" in line["reason"]["message"]


def test_jpeg_and_webp_come_out_with_a_note(photos: Path) -> None:
    mask = str(square(Path("mask.png")))
    photo = str(photos / "0/04-teal-mug.jpg")
    own = ("--mask", mask, "--class", "mug", *STEPS)
    for name, ending in (("jpeg", "jpg"), ("webp", "webp")):
        result = call("enhance", photo, *own, "--format", name, "--quality", "90", "--out", name)
        assert result.exit_code == 0, result.output
        assert f"note: {name} encodes every pixel anew" in result.stderr
        (made,) = Path(name, "images").iterdir()
        assert made.name == f"04-teal-mug.{ending}"
        with Image.open(made) as image:
            assert image.format == name.upper()
            comment = image.getexif().get_ifd(0x8769)[0x9286]
        assert "Steps: 2" in comment.removeprefix(b"UNICODE\0").decode("utf-16-be")
    rgba = Image.open(photo).convert("RGBA")
    rgba.putalpha(100)
    rgba.save("clear.png")
    said = refused("enhance", "clear.png", *own, "--format", "jpeg", "--out", "alpha")
    assert "alpha, which jpeg cannot hold; set --format webp or png" in said


def test_a_dry_run_loads_no_model_and_writes_nothing(photos: Path) -> None:
    (photos / "bad.png").write_bytes(b"")
    before = sorted(Path().rglob("*"))
    code = (
        "import sys\n"
        "from visuals.pipeline.cli import main\n"
        "main(['run', 'photos', '--class', 'mug', '--dry-run', '--out', 'o'], "
        "standalone_mode=False)\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *rows, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert rows[0] == "0/04-teal-mug\t256×256\tdetect, segment, rerender"
    assert rows[2].startswith("bad\t-\t") and "0 bytes" in rows[2]
    assert "2 to do, 1 that would fail" in done.stderr
    after = [path for path in Path().rglob("*") if path.parts[0] != "cache"]
    assert sorted(after) == before, "but for what is remembered of LoRA files"


def test_globs_lists_and_links(photos: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "06-orange-car.jpg", tmp_path / "secret.jpg")
    (photos / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    Path("list.txt").write_text("photos/1\nphotos/gone.jpg\n")
    plan = ("filter", "--class", "mug", "--dry-run")

    def planned(*inputs: str) -> list[str]:
        return [s["id"] for s in visuals(plan[0], *inputs, *plan[1:])["shots"]]

    assert planned("photos/**/*.jpg") == planned("photos") == ["0/04-teal-mug", "1/12-gray-mug"]
    assert len(planned("@list.txt")) == len(planned("--from-file", "list.txt")) == 2
    (photos / "1" / "phone.heic").write_bytes(b"x")
    result = call("filter", "photos", "--class", "mug", "--dry-run")
    assert "files with other endings are not read: photos/1/phone.heic" in result.stderr
    assert "links out of the folder are not followed: photos/out.jpg" in result.stderr
    assert "expected files" in refused("filter", "--class", "mug")


def test_a_run_that_goes_on_files_away_what_it_had_done(photos: Path) -> None:
    shutil.copy(SAMPLES / "19-empty.jpg", photos / "empty.jpg")
    never = ("--set", "detect.box_threshold=1")
    first = visuals("filter", "photos", "--class", "mug", "--out", "out", *never)
    assert first["skipped"] == {"no_detection": 3}
    again = visuals("filter", "photos", "--class", "mug", "--out", "out", "--copy-skipped", *never)
    assert again["resumed"] == 3
    copy = Path("out/skipped/no_detection/1/12-gray-mug.jpg")
    assert copy.read_bytes() == (photos / "1/12-gray-mug.jpg").read_bytes()


def test_paths_that_are_too_long_fail_by_name(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        for name in ["photos", *["d" * 200] * 21]:
            Path(name).mkdir(exist_ok=True)
            away.chdir(name)
        shutil.copy(SAMPLES / "04-teal-mug.jpg", "deep.jpg")
    Path("list.txt").write_text(f"photos/0/04-teal-mug.jpg\n{'x/' * 2500}a.jpg\n")
    for inputs, whole in (("photos", 2), ("@list.txt", 1)):
        lines = visuals("filter", inputs, "--class", "mug", "--out", f"out{whole}")[
            "lines"
        ].values()
        (bad,) = (line for line in lines if line["status"] == "failed")
        assert "cannot be read (File name too long)" in bad["error"]["message"]
        assert len(lines) == whole + 1
