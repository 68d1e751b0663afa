"""Original .pth files: which are read, which are refused, and that every weight finds its place.

That the converted models compute what the originals do is tested in test_convert_parity.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from visuals.checkpoints import load
from visuals.checkpoints.formats import grounding_dino_pth, pickles, sam_pth
from visuals.stages.segment import Segmenter
from visuals.stages.shot import Detection, FileInput, Shot

BACK = (
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"neck\.conv1\.", "neck.0."),
    (r"neck\.layer_norm1\.", "neck.1."),
    (r"neck\.conv2\.", "neck.2."),
    (r"neck\.layer_norm2\.", "neck.3."),
    (r"point_embed\.(\d)", r"point_embeddings.\1"),
    (r"mask_embed\.conv1\.", "mask_downscaling.0."),
    (r"mask_embed\.layer_norm1\.", "mask_downscaling.1."),
    (r"mask_embed\.conv2\.", "mask_downscaling.3."),
    (r"mask_embed\.layer_norm2\.", "mask_downscaling.4."),
    (r"mask_embed\.conv3\.", "mask_downscaling.6."),
    (r"upscale_conv1\.", "output_upscaling.0."),
    (r"upscale_layer_norm\.", "output_upscaling.1."),
    (r"upscale_conv2\.", "output_upscaling.3."),
    (r"proj_in\.", "layers.0."),
    (r"((?:mlps\.\d|prediction_head)\.)layers\.0\.(?=.*mid)", r"\1layers.1."),
    (r"proj_out\.", "layers.2."),
    (r"layer_norm_final_attn\.", "norm_final_attn."),
    (r"layer_norm(\d)\.", r"norm\1."),
)
"""From SamModel's names to segment-anything's: its perceptrons are layers.0 to layers.2."""


def original(model: Any) -> dict[str, torch.Tensor]:
    """A SamModel's weights in the layout of sam_vit_*.pth."""
    out = {}
    for name, tensor in model.state_dict().items():
        if name == "shared_image_embedding.positional_embedding":
            out[sam_pth.POSITIONS] = tensor
        elif "shared_embedding" not in name:
            inner = re.match(r"^mask_decoder\.(output_hyper|iou_prediction).*\.layers\.0\.", name)
            name = name.replace(".layers.0.", ".layers.1.") if inner else name
            for old, new in BACK:
                name = re.sub(old, new, name)
            out[name] = tensor.clone()
    return out


def small_sam() -> Any:
    from transformers import SamConfig, SamModel

    torch.manual_seed(0)
    vision: dict[str, Any] = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "mlp_dim": 64,
    }
    vision |= {"num_attention_heads": 2, "image_size": 64, "patch_size": 16, "window_size": 2}
    vision |= {"global_attn_indexes": [1], "num_pos_feats": 16, "initializer_range": 0.02}
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 8}
    masks = {"hidden_size": 32, "mlp_dim": 48, "iou_head_hidden_dim": 40, "layer_norm_eps": 1e-5}
    config = SamConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=masks
    )
    model = SamModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model.eval()


def test_a_sam_file_gives_the_model_with_the_same_weights_and_configuration(
    tmp_path: Path,
) -> None:
    made, file = small_sam(), tmp_path / "sam_vit_small.pth"
    torch.save(original(made), file)
    model, processor = load.load_segmenter(file, allow_pickle=True)
    for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config"):
        ours, theirs = getattr(model.config, part), getattr(made.config, part)
        for key in ("hidden_size", "image_size", "patch_size", "mlp_dim", "window_size"):
            assert getattr(ours, key, None) == getattr(theirs, key, None), (part, key)
    weights = model.state_dict()
    assert set(weights) == set(made.state_dict())
    for name, tensor in made.state_dict().items():
        assert torch.equal(weights[name], tensor), name
    image = np.random.default_rng(0).integers(0, 255, (40, 90, 3), np.uint8)
    box = (Detection((10.0, 5.0, 60.0, 35.0), 0.9, "mug"),)
    shot = Shot("a", FileInput("a.png", 1), ("mug",), image=image, detections=box)
    done = Segmenter(model, processor, min_ratio=0.0)([shot])[0]
    mask = done.detections[0].mask
    assert mask is not None and mask.shape == (40, 90) and mask.dtype == bool


def test_a_pickle_is_read_only_where_it_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "sam_vit_b.pth"
    torch.save({"a": torch.zeros(1)}, file)
    for loader in (load.load_segmenter, load.load_detector):
        with pytest.raises(pickles.PickleError, match=r"sam_vit_b\.pth: a pickle.*--allow-pickle"):
            loader(file)


class Code:
    """Pickles as a call, as an attack would."""

    def __reduce__(self) -> Any:
        return (print, ("run!",))


def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.pth"
    torch.save({"a": Code()}, file)
    with pytest.raises(pickles.PickleError, match="not a file of plain weights"):
        load.load_segmenter(file, allow_pickle=True)
    assert "run!" not in capsys.readouterr().out


def test_files_of_other_things_are_one_sentence_each(tmp_path: Path) -> None:
    torn, other, listed = (tmp_path / n for n in ("torn.pth", "other.pth", "list.pt"))
    torn.write_bytes(b"PK\x03\x04 and no more")
    torch.save({"model": {"conv.weight": torch.zeros(3)}}, other)
    torch.save([1, 2], listed)
    said = {}
    for file in (torn, other, listed):
        for loader in (load.load_segmenter, load.load_detector):
            with pytest.raises(pickles.PickleError) as caught:
                loader(file, allow_pickle=True)
            said[file.name, loader] = str(caught.value)
            assert str(file) in said[file.name, loader] and "\n" not in said[file.name, loader]
    assert "expected the layout of sam_vit_b" in said["other.pth", load.load_segmenter]
    assert "layout of groundingdino_swint" in said["other.pth", load.load_detector]
    assert "holds a list" in said["list.pt", load.load_segmenter]


def test_a_fine_tune_that_changed_the_model_names_the_weight(tmp_path: Path) -> None:
    state = original(small_sam())
    state["image_encoder.adapter.weight"] = torch.zeros(2)
    with pytest.raises(pickles.PickleError, match=r"1 unexpected weights, .*adapter\.weight"):
        sam_pth.load(state, "tuned.pth")


def test_wrappers_that_trainers_put_round_the_weights_come_off(tmp_path: Path) -> None:
    file = tmp_path / "wrapped.pth"
    torch.save({"model": {"module.bert.a": torch.ones(1)}, "epoch": 3}, file)
    assert list(pickles.read(file, allowed=True)) == ["bert.a"]


def test_names_and_fused_weights_of_grounding_dino() -> None:
    fused = torch.arange(12.0).reshape(6, 2)
    out = grounding_dino_pth.convert(
        {
            "transformer.decoder.layers.3.self_attn.in_proj_weight": fused,
            "transformer.decoder.layers.3.norm1.weight": torch.ones(1),
            "transformer.encoder.fusion_layers.0.gamma_v": torch.ones(2),
            "backbone.0.norm1.bias": torch.ones(3),
            "bert.pooler.dense.weight": torch.ones(4),
        }
    )
    decoder = "model.decoder.layers.3"
    assert torch.equal(out[f"{decoder}.self_attn.key.weight"], fused[2:4])
    assert f"{decoder}.encoder_attn_layer_norm.weight" in out
    assert "model.encoder.layers.0.fusion_layer.vision_param" in out
    assert "model.backbone.conv_encoder.model.hidden_states_norms.stage2.bias" in out
    assert not [name for name in out if "pooler" in name]


def test_a_missing_tokenizer_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(pickles.PickleError, match="no tokenizer of bert-base-uncased"):
        grounding_dino_pth.tokenizer(tmp_path)
