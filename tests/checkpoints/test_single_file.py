"""Single files of A1111's models folder: told apart by their names, read without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from visuals.checkpoints import load, reference_configs
from visuals.checkpoints.identify.tensor_names import checkpoint_family


def test_a_single_file_is_the_model_that_was_written(
    a1111: Any, family: str, tmp_path: Path
) -> None:
    pipe = a1111.random(family, tmp_path / "config")
    file = tmp_path / "my-model.safetensors"
    # NoobAI's files of SDXL say so that they predict velocities, from pure noise on.
    marks = {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])} if family == "sdxl" else {}
    save_file(a1111.weights_of(pipe) | marks, file)
    assert checkpoint_family(file) == family
    read = load.load_text_to_image(file)
    assert type(read) is type(pipe)
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if not hasattr(pipe, name):
            continue
        old, new = (getattr(p, name).state_dict() for p in (pipe, read))
        assert old.keys() == new.keys(), name
        for key, value in old.items():
            assert torch.equal(value, new[key]), f"{name}.{key}"
    config = read.scheduler.config
    assert config.beta_schedule == "scaled_linear"
    expected = ("v_prediction", True) if marks else ("epsilon", None)
    found = (config.get("prediction_type"), config.get("rescale_betas_zero_snr"))
    assert found == expected
    options = {"num_inference_steps": 1, "width": 64, "height": 64, "output_type": "latent"}
    assert torch.isfinite(read("a cat", **options).images).all()


def test_the_tokenizer_is_clips(tmp_path: Path) -> None:
    """Numbers as OpenAI's tokenizer gives them; SDXL's second one pads with "!"."""
    from transformers import CLIPTokenizer

    reference_configs.write("sdxl", tmp_path)
    one, two = (CLIPTokenizer.from_pretrained(tmp_path / n) for n in ("tokenizer", "tokenizer_2"))
    assert len(one) == 49408
    assert one("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert one("hello world").input_ids == [49406, 3306, 1002, 49407]
    padded = [t("cat", padding="max_length", max_length=5).input_ids for t in (one, two)]
    assert padded == [[49406, 2368, 49407, 49407, 49407], [49406, 2368, 49407, 0, 0]]


FIRST = "model.diffusion_model.input_blocks.0.0.weight"
TEXT = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"lora_unet_x.lora_up.weight": (2, 2)}, "it is a LoRA, .*; expected a text-to-image"),
        ({"x": (2, 2)}, "expected the weights of Stable Diffusion 1.x"),
        (
            {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (2, 2)},
            "a FLUX model as one file is not read; expected a folder",
        ),
        ({"model.diffusion_model.cap_embedder.1.weight": (2, 2)}, "a Z-Image as one file"),
        ({FIRST: (8, 9, 3, 3), TEXT: (8, 768)}, "an inpainting model of Stable Diffusion"),
        ({FIRST: (8, 9, 3, 3), "cond_stage_model.transformer.x": (1,)}, "an inpainting model"),
        ({FIRST: (8, 4, 3, 3), "cond_stage_model.model.x": (1,)}, "a Stable Diffusion 2 model"),
        ({FIRST: (8, 4, 3, 3), TEXT: (8, 1280)}, r"refiner\.model"),
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


@pytest.mark.parametrize(
    ("name", "said"),
    [("x.onnx", "expected .safetensors, .ckpt"), ("x.safetensors", "download it again")],
)
def test_what_is_no_file_of_weights_is_not_read(name: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80\x04not weights")
    with pytest.raises(load.CheckpointError, match=said):
        load.load_text_to_image(file)
