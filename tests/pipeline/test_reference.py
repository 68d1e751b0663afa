"""Real photos, masks and results of the reference method, where that folder is at hand.

They stand in `shared/data` beside the project, or where VISUALS_REFERENCE says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image
from visuals.pipeline.runs import folder as run_folder

SHOWN = {
    "sneaker": r"sneaker|shoe",
    "handbag": r"purse|handbag",
    "wristwatch": r"(?<!pocket )watch",
    "car": r"\bcar\b(?!'s)|suv|buggy",
}
"""What a caption says of a photo that shows a class."""

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("VISUALS_REFERENCE", ROOT.parent / "shared" / "data"))
CAR = DATA / "rerender" / "car"

pytestmark = pytest.mark.skipif(not CAR.is_dir(), reason="the reference pictures are not here")


def test_the_reference_changed_the_scene_and_ours_keeps_it(tmp_path: Path) -> None:
    """Its own photo, its own mask: it changed most of the scene, ours not one pixel."""
    from visuals.checkpoints import load
    from visuals.configs.schema import load_settings
    from visuals.pipeline.build import stages as build_stages_module
    from visuals.stages.regions import composite
    from visuals.stages.shot import Detection, FileInput, Shot

    source = read_image(CAR / "car.png").rgb
    mask = read_image(CAR / "mask_0.png").rgb[..., 0] > 127
    theirs = read_image(CAR / "00084-3874773259.png").rgb
    wide = composite.feather(composite.dilate(mask, 4), 4) == 0
    assert (theirs != source).any(-1)[wide].mean() > 0.85

    settings = load_settings("mini", {"rerender.mask_blur": 4, "rerender.padding": 32})
    pipe = load.load_text_to_image(settings.generate.model)
    stage = build_stages_module.rerenderer(
        build_stages_module.inpaint_pipeline(settings, pipe), settings
    )
    rows, columns = np.nonzero(mask)
    box = (float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0)
    shot = Shot(
        "car",
        FileInput(str(CAR / "car.png"), 1),
        ("car",),
        edit="red",
        image=source,
        detections=(Detection(box, 1.0, "car", mask, mask_score=1.0),),
    )
    done = stage([shot])[0]
    assert done.status == "enhanced" and done.metrics["changed_outside"] == 0, done.failure
    assert done.result is not None and done.blend is not None
    outside = done.blend == 0
    assert outside.mean() > 0.5 and (done.result[outside] == source[outside]).all()
    assert (done.result[mask] != source[mask]).any(-1).mean() > 0.9


def test_real_photos_go_through_the_filter(tmp_path: Path) -> None:
    out = tmp_path / "run"
    args = ["filter", str(DATA / "filter"), "--class", "car", "--class", "handbag"]
    result = CliRunner().invoke(main, [*args, "--out", str(out)])
    assert result.exit_code == 0, result.output
    lines = list(run_folder.read_lines(out))
    assert len(lines) == 4 and all(line["status"] in ("kept", "skipped") for line in lines)
    assert all(line["reason"]["message"] for line in lines if line["status"] == "skipped")


def test_of_real_photos_most_of_those_kept_show_what_was_asked(tmp_path: Path) -> None:
    out, photos = tmp_path / "run", DATA / "ppzocket"
    args = ["filter", str(photos), "--out", str(out)]
    args += [word for name in SHOWN for word in ("--class", name)]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    kept = [line for line in run_folder.read_lines(out) if line["status"] == "kept"]
    captions = {p.stem: p.read_text() for p in photos.glob("*.txt")}
    shown = {
        stem: {name for name, words in SHOWN.items() if re.search(words, caption)}
        for stem, caption in captions.items()
    }
    assert sum(map(bool, shown.values())) == 26
    right = [line for line in kept if {d["label"] for d in line["detections"]} & shown[line["id"]]]
    assert len(right) >= 5 and len(right) / len(kept) >= 0.75
