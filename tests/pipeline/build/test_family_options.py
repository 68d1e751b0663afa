"""What the families of a run's models refuse and do without, by folders that hold no weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import checked

from visuals.configs.schema import Settings, load_settings
from visuals.pipeline.build import family_options
from visuals.pipeline.web.widgets import prompt_preview

PIPELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "sdxl": ("StableDiffusionXLPipeline", {}),
    "zimage": ("ZImagePipeline", {"dim": 32}),
    "dev": ("FluxPipeline", {"guidance_embeds": True}),
    "schnell": ("FluxPipeline", {"guidance_embeds": False}),
    "sd35": ("StableDiffusion3Pipeline", {"num_attention_heads": 38, "attention_head_dim": 64}),
    "wan": ("WanPipeline", {}),
}
CONTROLNETS: dict[str, dict[str, Any]] = {
    "net-sd15": {"_class_name": "ControlNetModel", "cross_attention_dim": 768},
    "net-sdxl": {"_class_name": "ControlNetModel", "cross_attention_dim": 2048},
    "net-zimage": {"_class_name": "ZImageControlNetModel", "dim": 32},
    "net-medium": {
        "_class_name": "SD3ControlNetModel", "num_attention_heads": 24, "attention_head_dim": 64,
    },
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (pipeline, transformer) in PIPELINES.items():
        part = tmp_path / name / ("unet" if name == "sdxl" else "transformer")
        part.mkdir(parents=True)
        (part.parent / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
        config = transformer or {"cross_attention_dim": 2048}
        (part / "config.json").write_text(json.dumps(config))
    for name, config in CONTROLNETS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    return tmp_path


def settings(
    folder: Path, model: str, changes: dict[str, Any], net: str = "net-zimage"
) -> Settings:
    """Of a model and a ControlNet below a folder, as those among the changes are."""
    named = {key: str(folder / v) for key, v in changes.items() if key.endswith(".model")}
    return load_settings(
        "mini",
        {
            "generate.model": str(folder / model), "generate.sampler": "Euler",
            "generate.cfg_scale": 1.0, "rerender.sampler": "Euler", "rerender.controls": ["canny"],
            "controls.canny.model": str(folder / net), "controls.depth.model": str(folder / net),
            **changes, **named,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"generate.sampler": "DDIM"}, "generate"),
        ({"generate.width": 72}, "generate"),
        ({"rerender.sampler": "DDIM"}, "rerender"),
        ({"rerender.height": 72}, "rerender"),
        ({"rerender.controls": ["canny", "depth"]}, "rerender"),
        ({"rerender.model": "wan"}, "rerender"),
    ],
)
def test_a_stage_that_does_not_run_is_not_held_against_its_model(
    folder: Path, changes: dict[str, Any], stage: str
) -> None:
    made = settings(folder, "zimage", changes)
    (other,) = {"generate", "rerender"} - {stage}
    found = [*family_options.problems(made, [stage])]
    assert found and found == [*family_options.problems(made)]
    for needs in ([other], ["detect", "segment"]):
        assert not [*family_options.problems(made, needs)]


@pytest.mark.parametrize(
    ("model", "net", "why"),
    [
        ("sdxl", "net-sd15", "it was made for SD 1.x, and .*sdxl is SDXL"),
        ("sdxl", "net-zimage", "it was made for Z-Image, and .*sdxl is SDXL"),
        ("zimage", "net-sdxl", "it was made for SDXL, and .*zimage is Z-Image"),
        ("sd35", "net-medium", r"made for SD 3 \(1536 wide\), and .* is SD 3 \(2432 wide\)"),
        ("sdxl", "net-sdxl", None),
        ("zimage", "net-zimage", None),
    ],
)
def test_controlnets_of_another_base_are_refused_before_models_load(
    folder: Path, model: str, net: str, why: str | None
) -> None:
    made = settings(folder, model, {}, net)
    found = [*family_options.problems(made, ["rerender"])]
    assert len(found) == bool(why)
    assert not why or re.search(why, found[0]), found
    family_options.check(made, ["generate"])


def test_a_pipeline_that_is_not_supported_is_named_in_words(folder: Path) -> None:
    (folder / "wan/model_index.json").write_text('{"_class_name": "QwenImageLayeredPipeline"}')
    (line,) = family_options.problems(settings(folder, "wan", {}), ["generate"])
    assert "a model of another kind, Qwen Image Layered, which is not supported" in line
    assert "Pipeline" not in line


@pytest.mark.parametrize(
    ("model", "changes", "negatives", "expected"),
    [
        ("schnell", {"generate.cfg_scale": 3.5}, (), "generate.cfg_scale is not used: .*schnell"),
        ("dev", {"generate.cfg_scale": 3.5}, (), ""),
        ("schnell", {}, (), ""),
        (
            "zimage",
            {"generate.negative_prompt": "grey"},
            (),
            "negative_prompt is .* at generate.cfg",
        ),
        ("zimage", {}, ("grey",), "negative_prompt is not used: at generate.cfg_scale 1 there is"),
        ("zimage", {"generate.cfg_scale": 3.0}, ("grey",), ""),
        ("dev", {}, ("grey",), "negative_prompt is not used: FLUX.1 is drawn without"),
        ("sdxl", {"run.weights": "4bit"}, (), "run.weights is not used: models of Stable"),
        ("zimage", {"run.weights": "4bit"}, (), ""),
    ],
)
def test_what_does_nothing_is_named(
    folder: Path, model: str, changes: dict[str, Any], negatives: tuple[str, ...], expected: str
) -> None:
    made = settings(folder, model, changes)
    lines = [*family_options.unused(made, changes, ["generate"], negatives)]
    assert len(lines) == bool(expected), lines
    assert not expected or re.search(expected, lines[0])


def test_tokens_are_counted_for_models_that_read_clip_s_chunks_alone(
    folder: Path, mini: Path
) -> None:
    for name in ("zimage", "dev", "sd35"):
        done = checked("prompt", "a (red:1.3) mug", "--set", f"generate.model={folder / name}")
        assert "it does not read prompts in CLIP's chunks of 75 tokens" in done.stderr
        assert "1.3" in done.stdout and "chunk" not in done.stdout
        assert prompt_preview.token_counter(str(folder / name)) is None
    assert "chunk 1" in checked("prompt", "a (red:1.3) mug").stdout
