"""Z-Image is trained: the loss falls, a resumed training is the one that was not interrupted, and
its files move what the family draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_zimage
from helpers.family_runs import drawn
from helpers.small_trainings import small, write_photos
from safetensors import safe_open
from safetensors.torch import load_file

from visuals.checkpoints.load import load_text_to_image
from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora.search import in_folders
from visuals.configs.errors import UsageError
from visuals.training.datasets.training_set import read_training_set
from visuals.training.loop.batches import BatchLoader
from visuals.training.models import load_models
from visuals.training.train_lora import train_lora


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("zimage")
    tiny_zimage.write(place)
    write_photos(place / "photos")
    return place


def settings(folder: Path, out: Path, **changes: Any) -> Any:
    return small(folder / "photos", out, **{"model": str(folder / "base"), **changes})


def test_the_loss_falls_and_the_files_move_the_picture(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    changes = {
        "max_train_steps": 24, "learning_rate": 2e-2, "rank": 4, "lora_alpha": 4,
        "validation_split": 0.2, "validation_prompts": ["a mug"], "validation_epochs": 100,
        "validation_inference_steps": 2, "validation_weights": [0.0, 1.0],
        "validation_cfg_scale": 1, "save_every_n_epochs": None,
    }  # fmt: skip
    done = train_lora(settings(folder, out, **changes))
    held_out = [loss for _, loss in done.held_out]
    assert held_out[-1] < 0.95 * held_out[0], held_out
    assert done.grid is not None
    with safe_open(done.lora, "pt") as file:
        keys, metadata = set(file.keys()), file.metadata()
    blocks = {key.split(".")[0] for key in keys}
    assert "lora_unet_layers_1_attention_to_out_0" in blocks
    assert "lora_unet_context_refiner_0_feed_forward_w2" in blocks
    assert metadata["modelspec.prediction_type"] == "flow"
    assert metadata["ss_base_model_version"] == "zimage"
    read = lora_file.read(done.lora)
    assert str(read.base) == "Z-Image" and read.modules == {"transformer": len(blocks)}
    pipe = load_text_to_image(folder / "base")
    (plain,) = drawn(pipe, "a mug", cfg_scale=1)
    moved = []
    for file in (done.lora, done.diffusers):
        (picture,) = drawn(
            pipe, f"a mug <lora:{lora_file.read(file).name}:1>", cfg_scale=1,
            find_lora=in_folders([file.parent]),
        )  # fmt: skip
        assert (picture != plain).any()
        moved.append(picture.astype(int))
    assert abs(moved[0] - moved[1]).max() <= 1


def test_a_resumed_training_is_the_training_that_was_not_interrupted(
    folder: Path, tmp_path: Path
) -> None:
    chance = {"lora_dropout": 0.2, "random_flip": True, "shuffle_caption": True}
    whole = train_lora(settings(folder, tmp_path / "whole", max_train_steps=4, **chance))
    parts: dict[str, Any] = {**chance, "checkpointing_steps": 2}
    train_lora(settings(folder, tmp_path / "parts", max_train_steps=2, **parts))
    resumed = train_lora(
        settings(
            folder, tmp_path / "parts", max_train_steps=4, **parts, resume_from_checkpoint="latest"
        )
    )
    one, other = load_file(whole.diffusers), load_file(resumed.diffusers)
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_the_prediction_of_the_trained_model_is_what_the_pipeline_follows(folder: Path) -> None:
    """From all noise, one step of the pipeline goes along the prediction; from any level the target
    leads to the same latents."""
    made = settings(folder, folder / "unused")
    models = load_models.load(made, torch.device("cpu"))
    data = read_training_set(made)
    loader = BatchLoader(made, models, data)
    chosen = data.learned[:1]
    moments = loader.latents.moments([(chosen[0], False)])

    def batch(level: float) -> dict[str, Any]:
        draws = [torch.Generator().manual_seed(1)]
        return loader.tensors(chosen, [False], ["a mug"], draws, moments, torch.tensor([level]))

    noise, half = batch(1.0), batch(0.5)
    ends = [b["noisy"] - b["times"] * b["target"] for b in (noise, half)]
    assert torch.allclose(*ends, atol=1e-5)
    with torch.no_grad():
        prediction = models.prediction(models.denoiser, noise)
        drawn = models.pipe(
            prompt="a mug", latents=noise["noisy"], num_inference_steps=1, guidance_scale=0.0,
            width=64, height=64, output_type="latent",
        ).images  # fmt: skip
    assert torch.allclose(noise["noisy"] - prediction, drawn, atol=1e-4)


def test_noise_levels_are_logit_normal_and_shifted(folder: Path) -> None:
    def levels(**changes: Any) -> torch.Tensor:
        made = settings(folder, folder / "unused", **changes)
        models = load_models.ZImageModels.of(load_text_to_image(folder / "base"), made)
        draws = [torch.Generator().manual_seed(k) for k in range(2000)]
        return models.draw_times(draws, made).double()

    usual, plain = levels(), levels(timestep_shift=1)
    assert torch.allclose(usual, 3 * plain / (1 + 2 * plain), atol=1e-6)  # its scheduler's shift
    assert abs(plain.logit().mean()) < 0.1 and abs(plain.logit().std() - 1) < 0.1
    even = levels(timestep_shift=1, timestep_sampling="uniform", min_timestep=500)
    assert even.min() >= 0.5 and abs(even.mean() - 0.75) < 0.02


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"text_encoder_lr": 1e-4}, "language model is not trained"),
        ({"max_token_length": 150}, "reads 512 tokens"),
        ({"resolution": 72}, "resolution 72: expected a multiple of 16, .* as in 64"),
        ({"conv_dim": 4}, "no convolutions"),
        ({"snr_gamma": 5}, "for noise prediction"),
        ({"model": "mini/sd", "timestep_shift": 3}, "for flow-matching families"),
    ],
)
def test_settings_that_a_family_cannot_follow_are_refused(
    folder: Path, tmp_path: Path, mini: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        train_lora(settings(folder, tmp_path / "out", **changes))


def test_other_families_are_refused_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(UsageError, match=r"is a FLUX.1: .* for SDXL, .* and Z-Image"):
        train_lora(settings(folder, tmp_path / "out", model=str(tmp_path / "model")))
