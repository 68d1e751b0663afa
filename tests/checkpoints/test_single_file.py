"""Single files of A1111's models folder: told apart by their names, read without a network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from visuals.checkpoints import known, load, pipelines

# The published structures, narrow: the names in the file are those of the real ones.
NARROW: dict[str, dict[str, Any]] = {
    "sd15": {
        "unet": {
            "block_out_channels": [16, 16, 32, 32],
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        },
    },
    "sdxl": {
        "text_encoder_2": {
            "hidden_size": 48,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "projection_dim": 48,
        },
        "unet": {
            "block_out_channels": [16, 16, 32],
            "cross_attention_dim": 80,
            "attention_head_dim": [2, 2, 4],
            "transformer_layers_per_block": [1, 1, 2],
            "norm_num_groups": 8,
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 96,
        },
    },
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 32,
}
VAE = {"block_out_channels": [8, 8, 16, 16], "norm_num_groups": 4}


def _helper() -> Any:
    path = Path(__file__).parents[1] / "a1111_files.py"
    spec = importlib.util.spec_from_file_location("a1111_files", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A family whose known configuration is narrow for the length of a test."""
    narrow = {"text_encoder": TEXT, "vae": VAE, **NARROW[request.param]}
    parts = {
        name: {**config, **narrow.get(name, {})}
        for name, config in known.COMPONENTS[request.param].items()
    }
    monkeypatch.setitem(known.COMPONENTS, request.param, parts)
    return str(request.param)


def _random(family: str, folder: Path) -> Any:
    """A pipeline of random weights in the configuration that `known.write` writes."""
    import diffusers
    import transformers
    from transformers import CLIPTextConfig

    known.write(family, folder)
    torch.manual_seed(0)
    parts: dict[str, Any] = {}
    for name, config in known.COMPONENTS[family].items():
        if name == "scheduler":
            kind = getattr(diffusers, config["_class_name"])
            parts[name] = kind.from_pretrained(folder, subfolder=name)
        elif name.startswith("text_encoder"):
            kind = getattr(transformers, config["architectures"][0])
            parts[name] = kind(CLIPTextConfig.from_pretrained(folder, subfolder=name))
            words = name.replace("text_encoder", "tokenizer")
            parts[words] = transformers.CLIPTokenizer.from_pretrained(folder, subfolder=words)
        else:
            parts[name] = getattr(diffusers, config["_class_name"]).from_config(config)
    if family == "sd15":
        parts |= {"safety_checker": None, "feature_extractor": None}
        return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    return diffusers.StableDiffusionXLPipeline(**parts)


def test_a_single_file_is_the_model_that_was_written(family: str, tmp_path: Path) -> None:
    pipe = _random(family, tmp_path / "config")
    file = tmp_path / "my-model.safetensors"
    _helper().write(pipe, file)
    assert pipelines.family_of(file) == family
    read = load.load_text_to_image(file)
    assert type(read) is type(pipe)
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if not hasattr(pipe, name):
            continue
        old, new = (getattr(p, name).state_dict() for p in (pipe, read))
        assert old.keys() == new.keys(), name
        for key, value in old.items():
            assert torch.equal(value, new[key]), f"{name}.{key}"
    assert read.scheduler.config.beta_schedule == "scaled_linear"
    options = {"num_inference_steps": 1, "width": 64, "height": 64, "output_type": "latent"}
    assert torch.isfinite(read("a cat", **options).images).all()


def test_the_tokenizer_is_clips(tmp_path: Path) -> None:
    """Numbers as OpenAI's tokenizer gives them; SDXL's second one pads with "!"."""
    from transformers import CLIPTokenizer

    known.write("sdxl", tmp_path)
    one, two = (CLIPTokenizer.from_pretrained(tmp_path / n) for n in ("tokenizer", "tokenizer_2"))
    assert len(one) == 49408
    assert one("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert one("hello world").input_ids == [49406, 3306, 1002, 49407]
    padded = [t("cat", padding="max_length", max_length=5).input_ids for t in (one, two)]
    assert padded == [[49406, 2368, 49407, 49407, 49407], [49406, 2368, 49407, 0, 0]]


FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"lora_unet_x.lora_up.weight": (2, 2)}, "expected the weights of Stable Diffusion 1.x"),
        ({FIRST: (8, 9, 3, 3), "cond_stage_model.transformer.x": (1,)}, "an inpainting model"),
        ({FIRST: (8, 4, 3, 3), "cond_stage_model.model.x": (1,)}, "a Stable Diffusion 2 model"),
        ({FIRST: (8, 4, 3, 3), "conditioner.embedders.0.model.x": (1,)}, r"refiner\.model"),
    ],
)
def test_other_files_are_refused_with_what_they_are(
    weights: dict[str, tuple[int, ...]], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in weights.items()}, file)
    with pytest.raises(load.CheckpointError, match=said) as caught:
        load.load_text_to_image(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "said"), [("x.ckpt", "a pickle"), ("x.safetensors", "anew")])
def test_what_is_no_safetensors_is_not_read(name: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80\x04not weights")
    with pytest.raises(load.CheckpointError, match=said):
        load.load_text_to_image(file)
