"""The fields of Create filled in from the metadata of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.pipeline.images import provenance
from visuals.pipeline.jobs.plan import plan_shots
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import resolve
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.tabs.create.form import request_of
from visuals.pipeline.web.tabs.create.png_info import read
from visuals.stages.shot import FileInput, Prompted, Shot

A1111 = (
    "a red mug <lora:ppzmini:0.5>\nNegative prompt: blurry\nSteps: 8, Sampler: Euler a, "
    "CFG scale: 5.5, Seed: 65, Size: 96x128, Model: dreamshaper_8, Clip skip: 2, "
    "Denoising strength: 0.4, Hires upscale: 1.5, Hires upscaler: Latent, ADetailer model: face.pt"
)


def saved(path: Path, **texts: str) -> Path:
    """A picture with these texts: a PNG's chunks, else EXIF's UserComment."""
    image, info, exif = Image.new("RGB", (16, 16)), PngInfo(), Image.Exif()
    for name, text in texts.items():
        info.add_text(name, text)
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    image.save(path, **({"pnginfo": info} if path.suffix == ".png" else {"exif": exif}))
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_a1111_s_parameters_are_drawn_and_the_rest_is_named(
    name: str, tmp_path: Path, mini: Path
) -> None:
    values, notes = read(saved(tmp_path / name, parameters=A1111), "mini")
    request = request_of(**{"classes": ["mug"], "count": 2, **values})
    requests.check(request)
    resolved = resolve(request)
    generate = resolved.settings.generate
    shots = plan_shots(resolved, Reporter()).shots
    assert [shot.source for shot in shots] == [
        Prompted("a red mug <lora:ppzmini:0.5>", "blurry", seed) for seed in (65, 66)
    ]
    assert (generate.sampler, generate.steps, generate.cfg_scale) == ("Euler a", 8, 5.5)
    assert (generate.width, generate.height, generate.clip_skip) == (96, 128, 1)
    assert generate.hires is not None and generate.hires.scale == 1.5
    assert notes == [
        "not honoured: model dreamshaper_8; preset mini draws by mini/sd",
        "not honoured: ADetailer model: face.pt",
    ]


def picture_of(folder: Path, request: RunRequest, **changes: Any) -> Path:
    """A PNG with the record of a request's last shot."""
    resolved = resolve(request)
    shot: Shot = plan_shots(resolved, Reporter()).shots[-1]
    made = {"request": resolved.record(), "settings": resolved.settings.model_dump(mode="json")}
    shot = Shot(**{**vars(shot), "image": np.zeros((8, 8, 3), np.uint8), **changes})
    return saved(folder / "x.png", visuals=provenance.record(shot, made))


def test_a_picture_of_visuals_is_made_again_with_its_preset(tmp_path: Path, mini: Path) -> None:
    overrides = {"generate.cfg_scale": 3, "rerender.padding": 16, "refiner.model": "sdxl-refiner"}
    request = RunRequest(classes=["car", "mug"], count=3, edit="red", seed=4, overrides=overrides)
    values, notes = read(picture_of(tmp_path, request), "sdxl")
    assert values["seed"] == plan_shots(resolve(request), Reporter()).shots[-1].seed
    shown = str(request_of(**{"classes": ["lamp"], "count": 1, **values}))
    assert "--class mug --count 1 --edit red --set" in shown and "cfg_scale=3.0" in shown
    assert "--prompt" not in shown and "--preset" not in shown  # the usual ones
    assert notes[-1] == "not honoured: rerender.padding 16"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "x.png holds no parameters: expected a picture as visuals or A1111 saved it"),
        ({"parameters": "a mug"}, "expected A1111's line of parameters"),
        ({"workflow": "{}"}, "^x.png was made by ComfyUI"),
    ],
)
def test_a_picture_without_parameters_is_refused(
    texts: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        read(saved(tmp_path / "x.png", **texts), "mini")


def test_a_picture_of_a_photo_is_for_enhance(tmp_path: Path, mini: Path) -> None:
    source, request = FileInput("a.png", 1), RunRequest(classes=["mug"])
    path = picture_of(tmp_path, request, source=source, status="enhanced")
    with pytest.raises(ValueError, match="made of a photo, not of a prompt: use Enhance"):
        read(path, "mini")


def test_values_out_of_range_are_named(tmp_path: Path) -> None:
    text = "a mug\nSteps: 8, Seed: 65, Size: 9x128, CFG scale: 99"
    values, notes = read(saved(tmp_path / "x.png", parameters=text), "mini")
    assert (values["width"], values["height"], values["cfg"]) == (224, 128, 4.0)
    assert len(notes) == 2 and "cfg_scale" in notes[0] and "width" in notes[1]
