"""Masks: `enhance`, `check` and `train` read the same values and match them by the same rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visuals.pipeline.images.write import encode_png
from visuals.pipeline.inputs import shots
from visuals.pipeline.inputs.user_masks import UserMasks
from visuals.stages.shot import Shot
from visuals.training.check_dataset import check_dataset
from visuals.training.datasets.buckets import Buckets
from visuals.training.datasets.dataset_folder import DatasetError, read_dataset
from visuals.training.datasets.examples import examples

SMALL = Buckets(resolution_wh=(64, 64), min_bucket_reso=64, max_bucket_reso=64)
MASK = np.zeros((64, 64), bool)
MASK[8:32, 16:40] = True


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.with_suffix(".txt").write_text("a mug")
    return path


def save(path: Path, mask: np.ndarray = MASK) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return path


def masked(folder: Path) -> Shot:
    """The only photo of a folder, as `enhance --mask folder/masks` masks it."""
    names = shots.photos([str(folder / "a.jpg")], ["mug"])
    (shot,) = UserMasks(folder / "masks", "mug", names.names)(shots.load(list(names)))
    return shot


KINDS = {
    "1": lambda grey: grey.convert("1"),
    "L": lambda grey: grey,
    "RGB": lambda grey: grey.convert("RGB"),
    "P": lambda grey: grey.convert("P"),
    "opaque": lambda grey: grey.convert("RGBA"),
    "white on transparent": lambda grey: Image.merge("LA", (grey.point(lambda v: 255), grey)),
    "white on transparent black": lambda grey: Image.merge("RGBA", (grey, grey, grey, grey)),
}


@pytest.mark.parametrize("kind", [*KINDS, "16 bits", "16 bits and alpha"])
def test_a_mask_of_any_kind_is_the_same_for_every_command(tmp_path: Path, kind: str) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "masks").mkdir()
    if kind in KINDS:
        grey = Image.fromarray(MASK.astype(np.uint8) * 255)
        KINDS[kind](grey).save(tmp_path / "masks/a.png")
    else:
        deep = MASK.astype(np.uint16) * 65535
        pixels = np.stack([deep | 65535 * ("alpha" in kind)] * 3, -1)
        data = encode_png(pixels, alpha=deep if "alpha" in kind else None)
        (tmp_path / "masks/a.png").write_bytes(data)
    (found,) = masked(tmp_path).detections
    assert found.mask is not None and np.array_equal(found.mask, MASK)
    dataset = read_dataset(tmp_path)
    ((example,), _) = examples(dataset, SMALL, masks=True)
    assert np.array_equal(example.mask_at((64, 64)), MASK)
    assert not check_dataset(dataset, buckets=SMALL).broken


def test_grey_and_half_opaque_are_half_of_a_weight_and_no_mask(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    (tmp_path / "masks").mkdir()
    for image in (Image.new("L", (64, 64), 102), Image.new("LA", (64, 64), (255, 102))):
        image.save(tmp_path / "masks/a.png")
        ((example,), _) = examples(read_dataset(tmp_path), SMALL, masks=True)
        assert example.mask_at((8, 8)) == pytest.approx(0.4)
        reason = masked(tmp_path).reason
        assert reason is not None and reason.code == "empty_mask"


@pytest.mark.parametrize(
    ("bad", "code"), [("size", "mask_size"), ("cut", "no_mask"), ("float", "no_mask")]
)
def test_a_mask_that_does_not_fit_is_refused_by_every_command(
    tmp_path: Path, bad: str, code: str
) -> None:
    photo(tmp_path / "a.jpg")
    mask = save(tmp_path / "masks/a.png", MASK[:, :32] if bad == "size" else MASK)
    if bad == "cut":
        mask.write_bytes(mask.read_bytes()[:-30])
    elif bad == "float":
        mask.unlink()
        Image.fromarray(MASK.astype(np.float32)).save(tmp_path / "masks/a.tif")
    said = {"size": "32 × 64; expected the photo's 64 × 64", "cut": "damaged", "float": "floating"}
    failure = masked(tmp_path).failure
    assert failure is not None and said[bad] in failure.message
    dataset = read_dataset(tmp_path)
    (problem,) = check_dataset(dataset, buckets=SMALL).broken
    assert problem.code == code and said[bad] in problem.message
    with pytest.raises(DatasetError, match=said[bad]):
        examples(dataset, SMALL, masks=True)
    ((example,), _) = examples(dataset, SMALL)
    assert example.mask is None


def test_a_black_mask_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    save(tmp_path / "masks/a.png", MASK & False)
    codes = {p.code for p in check_dataset(read_dataset(tmp_path), buckets=SMALL).problems}
    assert "empty_mask" in codes


CASES: tuple[tuple[list[str], list[str], dict[str, str]], ...] = (
    (["x", "shop/x"], ["x.png", "shop/y.png"], {"x": "x.png"}),
    (["x", "shop/x"], ["shop/x.png"], {"shop/x": "shop/x.png"}),
    (["a", "b"], ["a.jpg", "b.png"], {"a": "a.jpg", "b": "b.png"}),
    (["shop/a"], ["a.webp"], {"shop/a": "a.webp"}),
    (["shop/a"], ["other/a.tif"], {"shop/a": "other/a.tif"}),
    (["shop/a"], ["other/a.png", "more/a.png"], {}),
    (["a"], ["a.png", "a.jpg"], {}),
    (["a", "b"], ["shop/a.png", "b.png"], {"a": "shop/a.png", "b": "b.png"}),
)


def matched(folder: Path, photos: list[str], masks: list[str]) -> list[dict[str, str]]:
    """The masks of photos, by name, as `enhance` matches them, and as `check` and `train` do."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in photos:
        (folder / f"{name}.jpg").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").touch()
    listed = shots.photos([str(folder)], [])
    root = folder / "masks"
    for name in masks:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    stage = UserMasks(root, "", listed.names)
    found = ({shot.id: stage.file(shot) for shot in listed}, {
        item.name.removesuffix(".jpg"): item.mask for item in read_dataset(folder).items
    })  # fmt: skip
    return [
        {name: mask.relative_to(root).as_posix() for name, mask in each.items() if mask}
        for each in found
    ]


@pytest.mark.parametrize(("photos", "masks", "expected"), CASES)
def test_masks_go_by_path_then_by_a_stem_that_is_unique(
    tmp_path: Path, photos: list[str], masks: list[str], expected: dict[str, str]
) -> None:
    assert matched(tmp_path / "photos", photos, masks) == [expected, expected]


def test_a_photo_by_itself_has_the_mask_of_its_folder(tmp_path: Path) -> None:
    masks = [save(tmp_path / "masks" / name) for name in ("x.png", "shop/x.png")]
    for name, mask in zip(("x.jpg", "shop/x.jpg"), masks, strict=True):
        listed = shots.photos([str(photo(tmp_path / "photos" / name))], [])
        assert UserMasks(tmp_path / "masks", "", listed.names).file(listed[0]) == mask


NAMES = st.sampled_from([f"{folder}{stem}" for folder in ("", "s/", "t/") for stem in "xyz"])
MASKS = st.builds("{}.{}".format, NAMES, st.sampled_from(["png", "jpg", "tif"]))


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, unique=True), st.lists(MASKS, min_size=1, unique=True))
def test_every_command_matches_alike(
    tmp_path_factory: pytest.TempPathFactory, photos: list[str], masks: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "alike"
    rendered, learned = matched(folder, photos, masks)
    assert rendered == learned
    assert len(set(rendered.values())) == len(rendered)
    for photo_, mask in rendered.items():
        name = mask.rpartition(".")[0]
        assert name == photo_ or (
            name not in photos and [Path(p).name for p in photos].count(Path(name).name) == 1
        )
