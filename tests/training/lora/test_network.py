"""Which modules get a LoRA, by which names it is saved, and that every reader reads the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.small_trainings import small, write_photos
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from visuals.checkpoints.load import load_text_to_image
from visuals.checkpoints.lora.search import in_folders
from visuals.stages.diffusion import lora_adapters
from visuals.stages.prompts.lora_tags import LoraTag
from visuals.training.lora import network as lora_network
from visuals.training.lora import save as lora_save
from visuals.training.train_lora import Trained, train_lora

STEPS = {"max_train_steps": 6, "conv_dim": 3, "conv_alpha": 1}


@pytest.fixture(scope="module")
def trained(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    data = write_photos(tmp_path_factory.mktemp("data") / "2_ppzlook")
    out = tmp_path_factory.mktemp("out")
    changes = {**STEPS, "text_encoder_lr": 2e-3, "learning_rate": 1e-2, "clip_skip": 1}
    return train_lora(small(data.parent, out, **changes))


def stable_diffusion_15() -> Any:
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return UNet2DConditionModel(cross_attention_dim=768)


def test_the_modules_of_stable_diffusion_are_kohyas() -> None:
    """sd-scripts logs "create LoRA for U-Net: 192 modules", "for Text Encoder: 72 modules"."""
    from transformers import CLIPTextConfig, CLIPTextModel

    unet = stable_diffusion_15()
    names = lora_network.targets(unet)
    assert len(names) == 192 and not any(names.values())
    place = "down_blocks.0.attentions.0"
    assert {f"{place}.proj_in", f"{place}.transformer_blocks.0.ff.net.0.proj"} <= set(names)
    assert f"{place}.transformer_blocks.0.attn1.to_out.0" in names
    with torch.device("meta"):
        text = CLIPTextModel(CLIPTextConfig())
    assert len(lora_network.targets(text)) == 72
    conv = lora_network.targets(unet, conv=True)
    assert conv["down_blocks.0.resnets.0.conv1"] and conv["up_blocks.0.upsamplers.0.conv"]
    assert not conv["down_blocks.0.resnets.0.time_emb_proj"]
    assert "conv_in" not in conv and "time_embedding.linear_1" not in conv
    assert set(lora_network.targets(unet, only=["attn2.to_q"])) == {
        n for n in names if n.endswith("attn2.to_q")
    }
    with pytest.raises(lora_network.NetworkError, match=r"'to_z': no such layer; expected some of"):
        lora_network.targets(unet, only=["to_z"])


def weights(pipe: Any) -> dict[str, torch.Tensor]:
    """UNet and text encoder with their LoRAs worked in, by the plain names of the modules."""
    pipe.fuse_lora()
    out = {}
    for part in ("unet", "text_encoder"):
        for name, value in getattr(pipe, part).state_dict().items():
            if "lora_" not in name:
                out[f"{part}.{name.replace('.base_layer', '')}"] = value.clone()
    return out


def by_hand(path: Path) -> dict[str, torch.Tensor]:
    """W + alpha / rank · up · down, from the keys alone."""
    pipe = load_text_to_image("mini/sd")
    file = load_file(path)
    used = set()
    out = {}
    for part, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        for name, value in getattr(pipe, part).state_dict().items():
            plain = name.removeprefix("text_model.").removesuffix(".weight").replace(".", "_")
            key = f"{prefix}{plain}"
            if f"{key}.alpha" in file and name.endswith(".weight"):
                down, up = file[f"{key}.lora_down.weight"], file[f"{key}.lora_up.weight"]
                scale = file[f"{key}.alpha"] / down.shape[0]
                value = value + scale * (up.flatten(1) @ down.flatten(1)).view(value.shape)
                used.add(key)
            out[f"{part}.{name}"] = value
    assert used == {key.split(".")[0] for key in file}
    return out


def test_every_reader_gets_the_same_weights(trained: Trained) -> None:
    expected = by_hand(trained.lora)
    base = load_text_to_image("mini/sd").unet.state_dict()
    wide = "down_blocks.0.resnets.0.conv1.weight"
    assert not torch.equal(expected[f"unet.{wide}"], base[wide])
    readers: dict[str, dict[str, torch.Tensor]] = {}
    pipe = load_text_to_image("mini/sd")
    lora_adapters.attach(pipe, [LoraTag("look", 1.0, 1.0)], in_folders([trained.folder]))
    readers["visuals run"] = weights(pipe)
    for file in (trained.lora, trained.diffusers):
        pipe = load_text_to_image("mini/sd")
        pipe.load_lora_weights(str(file.parent), weight_name=file.name)
        readers[file.name] = weights(pipe)
    for name, got in readers.items():
        assert got.keys() == expected.keys(), name
        for key, value in expected.items():
            torch.testing.assert_close(got[key], value, rtol=1e-5, atol=1e-6, msg=f"{name} {key}")


def test_names_and_labels_are_kohyas(trained: Trained) -> None:
    files = sorted(p.name for p in trained.folder.glob("look*.safetensors"))
    assert files == ["look-000001.safetensors", "look.safetensors"]
    with safe_open(trained.lora, "pt") as file:
        keys, metadata = set(file.keys()), file.metadata()
    place = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    assert {f"{place}.lora_down.weight", f"{place}.lora_up.weight", f"{place}.alpha"} <= keys
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha" in keys
    assert all(k.startswith(("lora_unet_", "lora_te_text_model_")) for k in keys)
    assert metadata["ss_network_dim"] == "2" and metadata["ss_network_alpha"] == "1"
    assert metadata["ss_output_name"] == "look" and metadata["ss_base_model_version"] == "sd_v1"
    assert json.loads(metadata["ss_tag_frequency"])["2_ppzlook"]["ppzlook"] == 5
    assert json.loads(metadata["ss_dataset_dirs"]) == {
        "2_ppzlook": {"n_repeats": 2, "img_count": 5}
    }
    assert json.loads(metadata["ss_network_args"]) == {"conv_dim": "3", "conv_alpha": "1"}
    assert metadata["ss_num_train_images"] == "10" and metadata["ss_steps"] == "6"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["modelspec.implementation"] == "diffusers"  # kohya's, for SD 1.5
    assert metadata["modelspec.trigger_phrase"] == "ppzlook"
    with safe_open(trained.diffusers, "pt") as file:
        names = set(file.keys())
    assert any(n.startswith("text_encoder.text_model.encoder.layers.0.") for n in names)
    assert all(n.startswith(("unet.", "text_encoder.text_model.")) for n in names)


def test_the_hash_is_that_of_the_tensors(trained: Trained) -> None:
    """As A1111 computes it: SHA-256 of what follows the header."""
    import hashlib
    import struct

    data = trained.lora.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    with safe_open(trained.lora, "pt") as file:
        told = file.metadata()["sshs_model_hash"]
    assert hashlib.sha256(data[8 + header :]).hexdigest() == told


def test_the_old_hash_is_that_of_a_file_with_kohyas_metadata_only(tmp_path: Path) -> None:
    """kohya's precalculate_safetensors_hashes: 64 KiB from 1 MiB on, of a file with `ss_*` only."""
    import hashlib

    tensors = {"lora_unet_x.lora_down.weight": torch.randn(600, 1000)}
    metadata = {"ss_network_dim": "600", "modelspec.title": "a title"}
    lora_save.write(tmp_path / "x.safetensors", tensors, metadata)
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        found = file.metadata()["sshs_legacy_hash"]
    save_file(tensors, tmp_path / "y.safetensors", {"ss_network_dim": "600"})
    with open(tmp_path / "y.safetensors", "rb") as plain:
        plain.seek(0x100000)
        assert found == hashlib.sha256(plain.read(0x10000)).hexdigest()[:8]
