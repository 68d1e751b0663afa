"""Stage 3 with edit models: small random ones of the true classes, against diffusers' own
pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit
from helpers.command_line import checked
from helpers.family_runs import psnr, refused_settings
from helpers.inpaint_calls import noise
from PIL import Image

from visuals.checkpoints import redrawing_models
from visuals.configs.rerender import RerenderOptions
from visuals.configs.schema import load_settings
from visuals.pipeline.build import family_options
from visuals.pipeline.build.stages import build_stages, check_words
from visuals.pipeline.runner.run import run_shots
from visuals.stages.diffusion.editor import Editor
from visuals.stages.families.known import family_of
from visuals.stages.prompts.instance_prompts import InstancePrompts
from visuals.stages.regions import composite
from visuals.stages.rerender import Rerenderer
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

OPTIONS = RerenderOptions(
    steps=3, cfg_scale=2.5, sampler="Euler", width=80, height=64, padding=8, mask_blur=2, dilate=0
)


@pytest.fixture(autouse=True)
def small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit draws 256 × 256 pixels in place of 1024 × 1024: a sixteenth of the time."""
    dimensions = pipeline_qwenimage_edit.calculate_dimensions

    def sixteenth(area: int, ratio: float) -> Any:
        assert area == 1024 * 1024
        return dimensions(area // 16, ratio)

    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", sixteenth)


@pytest.fixture(scope="module")
def kontext(flux: Path) -> Any:
    return redrawing_models.load_redrawing_model(flux / "kontext", "edit")


def test_qwen_image_edit_draws_what_the_pipeline_of_diffusers_draws(qwen: Path) -> None:
    """It sees every picture at one area, and what it draws comes back at the window's size."""
    pipe = redrawing_models.load_redrawing_model(qwen / "edit", "edit")
    options = OPTIONS.model_copy(update={"steps": 2, "cfg_scale": 3.0})
    image = noise(0, 64)
    drawn = Editor(family_of(pipe), pipe, options).draw(image, "make it green", "grey", seed=5)
    with torch.inference_mode():
        (theirs,) = pipe(
            image=Image.fromarray(image), prompt="make it green", negative_prompt="grey",
            num_inference_steps=2, true_cfg_scale=3.0, generator=torch.Generator().manual_seed(5),
            output_type="np",
        ).images  # fmt: skip
    assert theirs.shape == (256, 256, 3)
    small = composite.resize(np.rint(theirs * 255).astype(np.uint8), (64, 64))
    assert psnr(drawn.pixels, small) > 50


def test_later_versions_of_qwen_image_edit_are_known_and_draw(
    qwen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2509 and later: another pipeline, of the same parts."""
    theirs = diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus
    dimensions = theirs.calculate_dimensions
    monkeypatch.setattr(theirs, "calculate_dimensions", lambda a, r: dimensions(a // 16, r))
    earlier = redrawing_models.load_redrawing_model(qwen / "edit", "edit")
    folder = tmp_path / "plus"
    diffusers.QwenImageEditPlusPipeline(**earlier.components).save_pretrained(folder)
    pipe = redrawing_models.load_redrawing_model(folder, "edit")
    options = OPTIONS.model_copy(update={"steps": 2, "cfg_scale": 1.0})
    image = noise(0, 64)
    drawn = Editor(family_of(pipe), pipe, options).draw(image, "make it green", "", seed=5)
    with torch.inference_mode():
        (picture,) = pipe(
            image=Image.fromarray(image), prompt="make it green", num_inference_steps=2,
            true_cfg_scale=1.0, height=256, width=256, output_type="np",
            generator=torch.Generator().manual_seed(5),
        ).images  # fmt: skip
    small = composite.resize(np.rint(picture * 255).astype(np.uint8), (64, 64))
    assert psnr(drawn.pixels, small) > 50


def photo(*boxes: tuple[int, int, int, int]) -> Shot:
    """Noise of 200 × 160 pixels with a masked product at each box."""
    found = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((160, 200), bool)
        mask[y0:y1, x0:x1] = True
        found.append(Detection((x0, y0, x1, y1), 0.9, "mug", mask))
    image = noise(1, 200)[:160]
    return Shot("p", FileInput("p.png", 7), ("mug",), image=image, detections=tuple(found))


def test_kontext_draws_what_the_pipeline_of_diffusers_draws(kontext: Any) -> None:
    editor = Editor(family_of(kontext), kontext, OPTIONS)
    image = noise(0, 80)[:64]
    drawn = editor.draw(image, "make the (mug:1.2) green", "", seed=5)
    with torch.inference_mode():
        (theirs,) = kontext(
            image=Image.fromarray(image), prompt="make the mug green", num_inference_steps=3,
            guidance_scale=2.5, width=80, height=64, max_area=80 * 64, _auto_resize=False,
            generator=torch.Generator().manual_seed(5), output_type="np",
        ).images  # fmt: skip
    assert (drawn.pixels == np.rint(theirs * 255)).all()
    same = editor.draw(image, "make the [mug:cup:0.5] green", "", seed=5)
    assert (same.pixels == drawn.pixels).all()


def test_a_window_is_pasted_through_its_mask_with_colours_that_meet_the_scene(
    kontext: Any,
) -> None:
    stage = Rerenderer(kontext, (), InstancePrompts("make the {class} green"), OPTIONS)
    shot = photo((40, 40, 80, 72), (120, 90, 160, 130))
    (done,) = stage([shot])
    assert done.status == "enhanced" and done.control is None
    assert done.prompts == ("make the mug green",) * 2 and done.metrics["changed_outside"] == 0
    assert done.image is not None and done.result is not None and done.blend is not None
    assert (done.result[done.blend == 0] == done.image[done.blend == 0]).all()
    window = stage.window(shot.detections[0].mask)
    assert window is not None and stage.drawer is not None
    crop = composite.resize(done.image[window.rows_columns], window.size_wh)
    mask = composite.resize(window.blend, window.size_wh) > 0
    raw = Editor(stage.family, kontext, OPTIONS).draw(crop, "make the mug green", "", seed=7)
    patch = composite.match_colours(raw.pixels, crop, mask)
    expected = composite.mix(done.image[window.rows_columns], patch, window.blend)
    assert (done.result[window.rows_columns] == expected).all()
    assert stage([shot, photo((40, 40, 80, 72))])[1].result is not None


def test_what_loses_its_structure_is_drawn_by_other_seeds_and_refused(kontext: Any) -> None:
    options = OPTIONS.model_copy(update={"min_structure": 1.0, "steps": 1})
    (done,) = Rerenderer(kontext, (), InstancePrompts("make it green"), options)(
        [photo((40, 40, 80, 72))]
    )
    assert done.status == "skipped" and done.reason is not None and done.result is None
    assert done.reason.code == "structure"
    assert "of the product's edges, which rerender.min_structure 1 refuses" in done.reason.message
    worst = done.metrics["edge_iou"]
    (once,) = Rerenderer(
        kontext,
        (),
        InstancePrompts("make it green"),
        options.model_copy(update={"min_structure": 0}),
    )([photo((40, 40, 80, 72))])
    assert once.metrics["edge_iou"] <= worst


SMALL: dict[str, Any] = {
    "generate.steps": 1, "generate.width": 64, "generate.height": 64, "rerender.width": 64,
    "rerender.height": 64, "rerender.steps": 2, "rerender.min_structure": 0,
    "detect.model": "mini/grounding-dino", "segment.model": "mini/sam",
    "detect.box_threshold": 0.0, "detect.text_threshold": 0.0, "mask.mask_k": 1,
    "run.dtype": "float32",
}  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "edit", "cfg_scale"), [("flux-edit", "kontext", 2.5), ("qwen-image-edit", "edit", 1)]
)
def test_the_presets_run_all_stages(
    mini: Path, flux: Path, qwen: Path, preset: str, edit: str, cfg_scale: float
) -> None:
    folder = flux if preset == "flux-edit" else qwen
    changes = {
        "generate.model": str(folder / "base"), "rerender.model": str(folder / edit),
        "rerender.strength": 0.5, "rerender.cfg_scale": cfg_scale, "generate.steps": 2,
    }  # fmt: skip
    settings = load_settings(preset, {**SMALL, **changes})
    check_words(settings)
    lines = list(family_options.unused(settings))
    stages = build_stages(
        settings, ("generate", "detect", "segment", "rerender"), report=lines.append
    )
    shot = Shot("s", Prompted("a red mug", "", 1), ("mug",), edit="green leather")
    (done,) = run_shots([shot], stages)
    assert done.status == "enhanced", (done.failure, done.reason)
    instruction = "Make the mug green leather. Keep its shape, its place and all else as they are."
    assert done.prompts == (instruction,) and done.metrics["changed_outside"] == 0
    assert f"loading {folder / edit}" in lines
    assert "rerender.strength is not used: an edit model draws all of its window anew" in lines


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rerender.method": "edit"}, "rerender.model is not set; expected an edit model, such as"),
        ({"rerender.method": "edit", "rerender.model": "base"}, "for generate.model; expected an"),
        ({"rerender.model": "kontext"}, "it is an edit model, for rerender.method edit; expected"),
        ({"rerender.controls": "[]"}, "rerender.controls: expected at least one"),
        ({"rerender.method": "edit", "rerender.model": "kontext", "rerender.width": 72},
         "rerender.width 72: expected a multiple of 16"),
        ({"rerender.method": "edit", "rerender.model": "kontext"}, "no --edit"),
        ({"generate.model": "base", "generate.width": 100},
         "generate.width 100: expected a multiple of 16"),
        ({"generate.model": "kontext"}, "edit model, for rerender.method edit; expected a text"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(
    mini: Path, flux: Path, tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    edit = () if "edit model" in why or "no --edit" in why else ("--edit", "red")
    assert why in refused_settings(flux, changes, *edit, "--out", tmp_path / "run")


def test_options_without_effect_are_warned_of(flux: Path, tmp_path: Path) -> None:
    changes = {
        "generate.model": flux / "base", "rerender.model": flux / "kontext",
        "rerender.strength": 0.3, "generate.clip_skip": 1,
    }  # fmt: skip
    options = [word for k, v in changes.items() for word in ("--set", f"{k}={v}")]
    options += ["--preset", "flux-edit", "--class", "mug", "--dry-run", "--out", tmp_path / "run"]
    both = checked("run", "--count", 1, "--edit", "blue", *options).stderr
    assert "warning: rerender.strength is not used: an edit model draws" in both
    assert "warning: generate.clip_skip is not used: FLUX.1 does not" in both
    first = checked("generate", "--count", 1, *options).stderr
    assert "generate.clip_skip" in first and "rerender.strength" not in first
    given = ("--control", "canny", "--strength", 0.3, "-v")  # canny is the default
    shown = checked("run", "--count", 1, "--edit", "blue", *options, *given).stderr
    for name in ("rerender.controls", "rerender.strength", "generate.clip_skip"):
        assert shown.count(f"{name} is not used") == 1, shown
