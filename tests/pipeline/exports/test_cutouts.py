"""Products alone, on transparency or on a background of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import checked, lines_of, visuals

from visuals.pipeline.exports.cutouts import cut_out
from visuals.pipeline.images.read import read_image
from visuals.pipeline.images.write import encode_png

PHOTOS = Path(__file__).resolve().parents[3] / "samples" / "photos"
MUG, EMPTY = PHOTOS / "04-teal-mug.jpg", PHOTOS / "19-empty.jpg"


def disc() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:60, :90]
    mask = (x - 45) ** 2 + (y - 30) ** 2 < 20**2
    picture = np.where(mask[..., None], (200, 30, 40), (10, 250, 20)).astype(np.uint8)
    return picture, mask


def test_nothing_of_the_old_background_shines_through() -> None:
    picture, mask = disc()
    cut = cut_out(picture, mask)
    assert not cut[~mask][:, 3].any() and cut[30, 45, 3] == 255
    assert np.array_equal(cut[..., :3], picture)
    white = cut_out(picture, mask, np.full((1, 1, 3), 255, np.uint8))
    assert (white[~mask] == 255).all() and (white[30, 45] == (200, 30, 40)).all()
    assert white[mask][:, 1].min() >= 30  # the old green is in no pixel of the edge
    edge = white[mask][(white[mask] != (200, 30, 40)).any(axis=1)]
    assert len(edge) and (edge[:, 0] >= 200).all()


@pytest.mark.parametrize("size", [(30, 200), (400, 100), (60, 90), (7, 7)])
def test_a_picture_behind_it_covers_all(size: tuple[int, int]) -> None:
    picture, mask = disc()
    behind = np.full((*size, 3), 77, np.uint8)
    out = cut_out(picture, mask, behind)
    assert out.shape == picture.shape and (out[~mask] == 77).all()


@pytest.mark.usefixtures("mini")
def test_a_run_writes_them_and_resumes_them(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("behind.png").write_bytes(encode_png(np.full((40, 40, 3), 77, np.uint8)))
    words = ["filter", MUG, EMPTY, "-c", "mug", "--confidence", "0.4", "-o", "out"]
    result = checked(*words, "--background", "behind.png")
    assert "cutouts   out/cutouts" in result.stdout
    kept = [id_ for id_, line in lines_of("out").items() if line["status"] == "kept"]
    assert kept == ["04-teal-mug"] == [path.stem for path in Path("out/cutouts").iterdir()]
    mask = read_image("out/masks/04-teal-mug.png").rgb[..., 0] > 127
    written = Path("out/cutouts/04-teal-mug.png")
    assert (read_image(written).rgb[~mask] == 77).all()
    written.unlink()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    checked("resume", "../out")  # the background's path is recorded
    monkeypatch.chdir(own_home)
    assert (read_image(written).rgb[~mask] == 77).all()

    enhanced = checked("enhance", MUG, "-c", "mug", "--edit", "red", "--cutout", "--steps", "3",
                       "--confidence", "0.4", "-o", "red")  # fmt: skip
    assert "cutouts   red/cutouts" in enhanced.stdout
    cut = read_image("red/cutouts/04-teal-mug.png")
    assert cut.alpha is not None and cut.alpha.max() == 255 and cut.alpha.min() == 0
    rendered = read_image(Path("red") / lines_of("red")["04-teal-mug"]["files"]["result"]).rgb
    assert np.array_equal(cut.rgb[cut.alpha == 255], rendered[cut.alpha == 255])


def test_a_background_that_is_none_is_refused_before_anything_is_written() -> None:
    result = visuals("filter", MUG, "-c", "mug", "--background", "nope.jpg", "-o", "out")
    assert result.exit_code == 2 and "expected a colour, as in white or #f0f0f0" in result.stderr
    assert not Path("out").exists()
    result = visuals("filter", MUG, "-c", "mug", "--cutout", "-o", "s3://bucket/run")
    assert result.exit_code == 2 and "--cutout with --out s3://bucket/run" in result.stderr
