"""Converts sam_vit_{b,l,h}_*.pth of segment-anything to SamModel.

All sizes come from the shapes of the tensors, so that a model of any size loads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pickles import PickleError, fitted

if TYPE_CHECKING:
    import torch

POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
MARK = "image_encoder.patch_embed.proj.weight"
"""Tensor name that only this layout has."""

RENAMES = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
        (r"^image_encoder\.", "vision_encoder."),
        (r"patch_embed\.proj\.", "patch_embed.projection."),
        (r"\.neck\.0\.", ".neck.conv1."),
        (r"\.neck\.1\.", ".neck.layer_norm1."),
        (r"\.neck\.2\.", ".neck.conv2."),
        (r"\.neck\.3\.", ".neck.layer_norm2."),
        (r"\.point_embeddings\.", ".point_embed."),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
        (r"\.norm(\d)\.", r".layer_norm\1."),
        (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    )
)
HEAD = re.compile(r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.")
HEAD_LAYER = re.compile(HEAD.pattern + r"layers\.(\d+)\.(.+)$")


def convert(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename a state dict of segment-anything to that of SamModel."""
    out: dict[str, torch.Tensor] = {}
    depth = head_depths(state)
    for name, tensor in state.items():
        if name in ("pixel_mean", "pixel_std"):
            continue  # the processor's
        if name == POSITIONS:
            out["shared_image_embedding.positional_embedding"] = tensor
            out["prompt_encoder.shared_embedding.positional_embedding"] = tensor
        elif match := HEAD_LAYER.match(name):
            head, layer, rest = match[1], int(match[2]), match[3]
            place = {0: "proj_in", depth[head] - 1: "proj_out"}.get(layer, f"layers.{layer - 1}")
            out[f"{head}.{place}.{rest}"] = tensor
        else:
            for old, new in RENAMES:
                name = old.sub(new, name)
            out[name] = tensor
    return out


def head_depths(state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Count the layers of each perceptron of the mask decoder."""
    depths: dict[str, int] = {}
    for name in state:
        if match := HEAD_LAYER.match(name):
            depths[match[1]] = max(depths.get(match[1], 0), int(match[2]) + 1)
    return depths


def configuration(state: Mapping[str, torch.Tensor]) -> Any:
    """Derive the SamConfig from the shapes of an original state dict."""
    from transformers import SamConfig

    hidden, _, patch, _ = state[MARK].shape
    side = int(state["image_encoder.pos_embed"].shape[1])
    layers = _count(state, r"image_encoder\.blocks\.(\d+)\.")
    lengths = [
        int(state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape[0]) for i in range(layers)
    ]
    head = int(state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1])
    # a global block's table spans the picture, 2·side - 1; a window's is shorter
    spans = [i for i, length in enumerate(lengths) if length == 2 * side - 1]
    windows = [length for i, length in enumerate(lengths) if i not in spans]
    mlp, width = state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape
    inner = int(
        state["mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight"].shape[0]
    )
    iou = state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0]
    return SamConfig(
        vision_config={
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // head,
            "mlp_dim": int(state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0]),
            "image_size": side * patch,
            "patch_size": patch,
            "output_channels": int(state["image_encoder.neck.0.weight"].shape[0]),
            "window_size": (windows[0] + 1) // 2 if windows else side,
            "global_attn_indexes": spans,
            "num_pos_feats": int(state[POSITIONS].shape[1]),
        },
        prompt_encoder_config={
            "hidden_size": width,
            "image_size": side * patch,
            "patch_size": patch,
            "mask_input_channels": int(state["prompt_encoder.mask_downscaling.3.weight"].shape[0]),
        },
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": mlp,
            "num_hidden_layers": _count(state, r"mask_decoder\.transformer\.layers\.(\d+)\."),
            "attention_downsample_rate": width // inner,
            "num_multimask_outputs": int(state["mask_decoder.mask_tokens.weight"].shape[0]) - 1,
            "iou_head_depth": head_depths(state)["mask_decoder.iou_prediction_head"],
            "iou_head_hidden_dim": int(iou),
            # segment-anything's two-way transformer uses torch's own, not SamConfig's 1e-6
            "layer_norm_eps": 1e-5,
        },
    )


def load(state: Mapping[str, torch.Tensor], path: str | Path) -> tuple[Any, Any]:
    """Load (SamModel, SamProcessor) from an original state dict; `path` is for messages."""
    from transformers import SamModel

    config, processor = describe(state, path)
    return fitted(SamModel, config, convert(state), path), processor


def describe(state: Mapping[str, torch.Tensor], path: str | Path) -> tuple[Any, Any]:
    """Derive (SamConfig, SamProcessor) from an original state dict; `path` is for messages.

    Raises:
        PickleError: It is of another layout.
    """
    from transformers import SamImageProcessor, SamProcessor

    if MARK not in state or POSITIONS not in state:
        raise PickleError(
            f"{path}: no {MARK} in it: expected the layout of sam_vit_b_01ec64.pth (SAM, ViT-B, L "
            "or H); name such a file, or a folder or hub repository of transformers"
        )
    config = configuration(state)
    side = config.vision_config.image_size
    images = SamImageProcessor(
        size={"longest_edge": side}, pad_size={"height": side, "width": side}
    )
    return config, SamProcessor(images)


def _count(state: Mapping[str, Any], pattern: str) -> int:
    """Count the different numbers that the group of `pattern` matches."""
    numbers = (re.match(pattern, name) for name in state)
    return len({m[1] for m in numbers if m})
