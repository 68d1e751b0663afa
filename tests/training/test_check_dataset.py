"""What a trainer will make of a folder: steps, buckets, and everything that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visuals.training.check_dataset import check_dataset
from visuals.training.datasets.buckets import Buckets
from visuals.training.datasets.dataset_folder import read_dataset
from visuals.training.datasets.examples import examples

SMALL = Buckets(
    resolution_wh=(128, 128), min_bucket_reso=64, max_bucket_reso=256, bucket_reso_steps=32
)


def photo(path: Path, size: tuple[int, int], seed: int, caption: str | None = "new, it") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    spots = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption)


def test_the_methods_own_arithmetic(tmp_path: Path) -> None:
    """65 photos × 6 repeats / batch 2 = 195 steps an epoch."""
    for k in range(65):
        photo(tmp_path / "6_new" / f"{k}.png", (64, 48) if k % 3 else (48, 64), k)
    check = check_dataset(read_dataset(tmp_path), buckets=SMALL, batch_size=2)
    assert check.steps == 195 and sum(check.buckets.values()) == 390
    assert len(check.buckets) == 2 and not check.broken
    assert check.as_json()["steps_per_epoch"] == 195


def test_more_pictures_than_a_training_takes_are_broken(tmp_path: Path) -> None:
    photo(tmp_path / "99999999999_x" / "a.png", (64, 48), 0)
    check = check_dataset(read_dataset(tmp_path), buckets=SMALL)
    assert [p.code for p in check.broken] == ["too_many"]
    assert "expected at most 1,000,000" in check.broken[0].message


def test_each_thing_that_can_be_wrong(tmp_path: Path) -> None:
    place = tmp_path / "2_"
    photo(place / "good.png", (160, 128), 0)
    photo(place / "good2.png", (160, 128), 1)
    photo(place / "copy.png", (80, 64), 0)
    photo(place / "long.png", (128, 128), 2, "new, " + "word " * 80)
    photo(place / "empty.png", (128, 128), 3, "")
    photo(place / "none.png", (128, 128), 4, None)
    photo(place / "other.png", (128, 128), 5, "other")
    photo(place / "wide.png", (900, 100), 6)
    photo(place / "bad.png", (128, 128), 7)
    (place / "bad.png").write_bytes((place / "bad.png").read_bytes()[:300])
    photo(place / "masked.png", (128, 128), 8)
    photo(place / "masks" / "masked.png", (128, 64), 9, None)
    photo(tmp_path / "loose.png", (64, 64), 10, None)
    check = check_dataset(
        read_dataset(tmp_path), buckets=SMALL, count_tokens=lambda text: len(text.split())
    )
    codes = {problem.code: problem.name for problem in check.problems}
    assert codes == {
        "duplicate": "2_/good.png",
        "small": "2_/copy.png",
        "long_caption": "2_/long.png",
        "empty_caption": "2_/empty.png",
        "no_caption": "2_/none.png",
        "no_tag": "2_/other.png",
        "cropped": "2_/wide.png",
        "unreadable": "2_/bad.png",
        "mask_size": "2_/masked.png",
        "left_out": "loose.png",
    }
    assert sorted(p.code for p in check.broken) == [
        "empty_caption",
        "mask_size",
        "no_caption",
        "unreadable",
    ]
    assert all("\n" not in p.message for p in check.problems)
    report = json.loads(json.dumps(check.as_json()))
    assert report["broken"] == 4 and report["pictures"] == 9 and report["tag"] == "new"
    assert {"width": 128, "height": 128, "pictures": 16} in report["buckets"]


def test_what_is_not_used_of_a_picture_is_named(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].convert("CMYK").save(tmp_path / "b.jpg")
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("a")
    dataset = read_dataset(tmp_path)
    frame, ink = (
        "a.gif: 3 frames: only the first is used",
        "b.jpg: CMYK without a readable profile: converted to RGB by arithmetic",
    )
    check = check_dataset(dataset, buckets=SMALL)
    assert {frame, ink} <= {p.message for p in check.problems} and not check.broken
    assert examples(dataset, SMALL)[1] == [frame, ink]


def test_a_class_prompt_stands_in_for_captions(tmp_path: Path) -> None:
    photo(tmp_path / "3_a mug" / "a.png", (128, 128), 0, None)
    check = check_dataset(read_dataset(tmp_path), buckets=SMALL)
    assert [p.code for p in check.problems] == ["class_prompt", "one_picture"]
    assert check.seen[0].item.text == "a mug" and not check.broken


@pytest.mark.parametrize(("batch", "accumulation", "steps"), [(1, 1, 8), (4, 1, 3), (4, 2, 2)])
def test_a_batch_comes_from_one_bucket(
    tmp_path: Path, batch: int, accumulation: int, steps: int
) -> None:
    for k in range(5):
        photo(tmp_path / f"{k}.png", (128, 128), k)
    for k in range(3):
        photo(tmp_path / f"w{k}.png", (256, 64), 10 + k)
    check = check_dataset(
        read_dataset(tmp_path),
        buckets=SMALL,
        batch_size=batch,
        gradient_accumulation_steps=accumulation,
    )
    assert check.steps == steps
