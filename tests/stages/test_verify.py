"""The embedded classifier as a second look: on sample photos, and where no product is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from visuals.checkpoints import load
from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image
from visuals.pipeline.runs.folder import read_lines
from visuals.stages.classes import ClassSpec
from visuals.stages.shot import Detection, FileInput, Shot
from visuals.stages.verify import Verifier

SAMPLES = Path(__file__).parents[2] / "samples" / "photos"


def sample(name: str, label: str, *classes: str) -> Shot:
    """A sample photo whose whole picture was found as `label`."""
    image = read_image(SAMPLES / name).rgb
    box = (0.1 * image.shape[1], 0.1 * image.shape[0], 0.9 * image.shape[1], 0.9 * image.shape[0])
    found = Detection(box, 0.9, label)
    return Shot(name, FileInput(name, 1), classes, image=image, detections=(found,))


def test_a_classifier_drops_what_it_calls_something_else_or_nothing(mini: Path) -> None:
    verify = Verifier(*load.load_verifier("mini/classifier"))
    right = sample("06-orange-car.jpg", "car", "car", "sneaker")
    wrong = sample("06-orange-car.jpg", "sneaker", "car", "sneaker")
    nothing = sample("20-ball.jpg", "car", "car", "sneaker")
    kept, dropped, empty = verify([right, wrong, nothing])
    (score,) = (d.verify_score for d in kept.detections)
    assert kept.open and score is not None and score > 0.5
    assert not dropped.open and not empty.open
    assert empty.reason is not None and "nothing is like car or sneaker" in empty.reason.message
    (renamed,) = Verifier(verify.model, verify.processor, relabel=True)([wrong])
    assert renamed.open and renamed.detections[0].label == "car"
    assert renamed.detections[0].verify_score == pytest.approx(score, abs=1e-5)


def test_a_classifier_knows_synonyms_and_leaves_what_it_has_no_label_for(mini: Path) -> None:
    model, processor = load.load_verifier("mini/classifier")
    specs = {"auto": ClassSpec("auto", phrases=("vehicle", "Automobile"))}
    verify = Verifier(model, processor, classes=specs, threshold=0.9, relabel=True)
    known, unknown = verify(
        [sample("06-orange-car.jpg", name, "auto", "toaster") for name in ("auto", "toaster")]
    )
    assert known.detections[0].label == unknown.detections[0].label == "auto"
    (alone,) = verify([sample("06-orange-car.jpg", "toaster", "toaster")])
    assert alone.open and alone.detections[0].verify_score is None


@pytest.mark.usefixtures("renderer")
def test_photos_without_a_product_are_left_out_and_none_with_one(
    mini: Path, tmp_path: Path
) -> None:
    from visuals.samples import varied, vocabulary

    photos = tmp_path / "photos"
    shutil.copytree(SAMPLES, photos)
    for seed in range(81_000_000, 81_000_016):
        strange = varied.render(seed, 128, products=0, others=2, strange=True, wide=True)
        Image.fromarray(strange.image).save(photos / f"strange-{seed}.png")
    args = ["filter", str(photos), "--out", str(tmp_path / "run")]
    args += [word for name in vocabulary.CLASSES for word in ("--class", name)]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    lines = list(read_lines(tmp_path / "run"))
    for line in lines:
        there = set(line["id"].split("-")) & set(vocabulary.CLASSES)
        found = {d["label"] for d in line["detections"]} if line["status"] == "kept" else set()
        assert found == there or line["id"].startswith("strange"), line["id"]
    strange = [line for line in lines if line["id"].startswith("strange")]
    doubted = [line for line in strange if (line["reason"] or {}).get("code") == "not_verified"]
    kept = [line for line in strange if line["status"] == "kept"]
    assert len(strange) == 16 and len(doubted) >= 2 * max(1, len(kept)), (doubted, kept)
