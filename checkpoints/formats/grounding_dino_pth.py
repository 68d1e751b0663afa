"""Converts groundingdino_{swint_ogc,swinb_cogcoor}.pth to GroundingDinoForObjectDetection.

All sizes come from the shapes of the tensors, except those that the shapes do not show (HEADS,
POINTS).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .pickles import PickleError, fitted

if TYPE_CHECKING:
    import torch

HEADS, POINTS = 8, 4
"""Attention heads, and sampling points a level, in groundingdino/config of both releases."""
BERT_HEAD = 64
"""Width of a head in every BERT (Devlin et al. 2018, table of sizes)."""
MARK = "transformer.level_embed"
"""Tensor name that only this layout has."""
DROPPED = ("bert.pooler.", "bert.embeddings.position_ids", "label_enc.")
"""Weights that inference does not use."""
DROPPED_ENDS = (".relative_position_index", ".attn_mask")
"""Tables that transformers computes itself."""

_SWIN = "model.backbone.conv_encoder.model."
RENAMES = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^bert\.", "model.text_backbone."),
        (r"^feat_map\.", "model.text_projection."),
        (r"^input_proj\.", "model.input_proj_vision."),
        (r"^transformer\.level_embed$", "model.level_embed"),
        (r"^transformer\.tgt_embed\.", "model.query_position_embeddings."),
        (r"^transformer\.enc_out_bbox_embed\.", "model.encoder_output_bbox_embed."),
        (r"^transformer\.(enc_output(?:_norm)?)\.", r"model.\1."),
        # the encoder: fusion, text and deformable layers, side by side
        (
            r"^transformer\.encoder\.fusion_layers\.(\d+)\.",
            r"model.encoder.layers.\1.fusion_layer.",
        ),
        (r"\.gamma_v$", ".vision_param"),
        (r"\.gamma_l$", ".text_param"),
        (r"\.layer_norm_v\.", ".layer_norm_vision."),
        (r"\.layer_norm_l\.", ".layer_norm_text."),
        (r"(fusion_layer\.attn\.(?:values_|out_)?)v_proj\.", r"\1vision_proj."),
        (r"(fusion_layer\.attn\.(?:values_|out_)?)l_proj\.", r"\1text_proj."),
        (
            r"^transformer\.encoder\.text_layers\.(\d+)\.",
            r"model.encoder.layers.\1.text_enhancer_layer.",
        ),
        (r"text_enhancer_layer\.norm1\.", "text_enhancer_layer.layer_norm_before."),
        (r"text_enhancer_layer\.norm2\.", "text_enhancer_layer.layer_norm_after."),
        (r"^transformer\.encoder\.layers\.(\d+)\.", r"model.encoder.layers.\1.deformable_layer."),
        (r"deformable_layer\.norm1\.", "deformable_layer.self_attn_layer_norm."),
        (r"deformable_layer\.norm2\.", "deformable_layer.final_layer_norm."),
        # the decoder: its first norm follows the deformable attention, its second the self one
        (r"^transformer\.decoder\.norm\.", "model.decoder.layer_norm."),
        (r"^transformer\.decoder\.ref_point_head\.", "model.decoder.reference_points_head."),
        (r"^transformer\.decoder\.", "model.decoder."),
        (r"(decoder\.layers\.\d+)\.cross_attn\.", r"\1.encoder_attn."),
        (r"(decoder\.layers\.\d+)\.norm1\.", r"\1.encoder_attn_layer_norm."),
        (r"(decoder\.layers\.\d+)\.norm2\.", r"\1.self_attn_layer_norm."),
        (r"(decoder\.layers\.\d+)\.norm3\.", r"\1.final_layer_norm."),
        (r"(decoder\.layers\.\d+)\.ca_text\.", r"\1.encoder_attn_text."),
        (r"(decoder\.layers\.\d+)\.catext_norm\.", r"\1.encoder_attn_text_layer_norm."),
        (r"^(model\..*)\.linear(\d)\.", r"\1.fc\2."),
        # Swin, named as in the published safetensors
        (r"^backbone\.0\.patch_embed\.proj\.", _SWIN + "embeddings.patch_embeddings.projection."),
        (r"^backbone\.0\.patch_embed\.norm\.", _SWIN + "embeddings.norm."),
        (r"^backbone\.0\.layers\.", _SWIN + "encoder.layers."),
        (r"(blocks\.\d+)\.norm1\.", r"\1.layernorm_before."),
        (r"(blocks\.\d+)\.norm2\.", r"\1.layernorm_after."),
        (r"(blocks\.\d+)\.attn\.relative", r"\1.attention.self.relative"),
        (r"(blocks\.\d+)\.attn\.qkv\.", r"\1.attention.self.qkv."),
        (r"(blocks\.\d+)\.attn\.proj\.", r"\1.attention.output.dense."),
        (r"(blocks\.\d+)\.mlp\.fc1\.", r"\1.intermediate.dense."),
        (r"(blocks\.\d+)\.mlp\.fc2\.", r"\1.output.dense."),
    )
)
STAGE_NORM = re.compile(r"^backbone\.0\.norm(\d)\.(.+)$")
FUSED = re.compile(r"^(.+\.)(?:in_proj_|qkv\.)(weight|bias)$")


def convert(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename a state dict of groundingdino as in IDEA-Research/grounding-dino-* safetensors."""
    out: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if name.startswith(DROPPED) or name.endswith(DROPPED_ENDS):
            continue
        if match := STAGE_NORM.match(name):
            out[f"{_SWIN}hidden_states_norms.stage{int(match[1]) + 1}.{match[2]}"] = tensor
            continue
        for old, new in RENAMES:
            name = old.sub(new, name)
        if match := FUSED.match(name):
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                out[f"{match[1]}{part}.{match[2]}"] = third.clone()
        else:
            out[name] = tensor
    return out


def configuration(state: Mapping[str, torch.Tensor]) -> Any:
    """Derive the GroundingDinoConfig from the shapes of an original state dict."""
    from transformers import BertConfig, GroundingDinoConfig, SwinConfig

    def size(name: str, axis: int = 0) -> int:
        return int(state[name].shape[axis])

    def count(pattern: str) -> int:
        return len({m[1] for m in (re.match(pattern, name) for name in state) if m})

    stages = count(r"backbone\.0\.layers\.(\d+)\.")
    tables = [
        f"backbone.0.layers.{i}.blocks.0.attn.relative_position_bias_table" for i in range(stages)
    ]
    window = (round(size(tables[0]) ** 0.5) + 1) // 2
    outputs = sorted(int(m[1]) for m in map(STAGE_NORM.match, state) if m)
    swin = SwinConfig(
        embed_dim=size("backbone.0.patch_embed.proj.weight"),
        patch_size=size("backbone.0.patch_embed.proj.weight", 2),
        depths=[count(rf"backbone\.0\.layers\.{i}\.blocks\.(\d+)\.") for i in range(stages)],
        num_heads=[size(table, 1) for table in tables],
        window_size=window,
        image_size=32 * window,
        out_indices=sorted({i + 1 for i in outputs}),
    )
    hidden = size("bert.embeddings.word_embeddings.weight", 1)
    bert = BertConfig(
        vocab_size=size("bert.embeddings.word_embeddings.weight"),
        hidden_size=hidden,
        num_hidden_layers=count(r"bert\.encoder\.layer\.(\d+)\."),
        num_attention_heads=max(1, hidden // BERT_HEAD),
        intermediate_size=size("bert.encoder.layer.0.intermediate.dense.weight"),
        max_position_embeddings=size("bert.embeddings.position_embeddings.weight"),
    )
    return GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=size("feat_map.weight"),
        num_queries=size("transformer.tgt_embed.weight"),
        encoder_layers=count(r"transformer\.encoder\.layers\.(\d+)\."),
        decoder_layers=count(r"transformer\.decoder\.layers\.(\d+)\."),
        encoder_ffn_dim=size("transformer.encoder.layers.0.linear1.weight"),
        decoder_ffn_dim=size("transformer.decoder.layers.0.linear1.weight"),
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_n_points=POINTS,
        decoder_n_points=POINTS,
        num_feature_levels=size("transformer.level_embed"),
        disable_custom_kernels=True,
        dropout=0.0,
    )


def load(state: Mapping[str, torch.Tensor], path: str | Path) -> tuple[Any, Any]:
    """Load (model, GroundingDinoProcessor) from an original state dict; `path` is its file.

    The tokenizer is the folder `tokenizer/` beside the file, else bert-base-uncased of the hub.
    """
    from transformers import (
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    if MARK not in state:
        raise PickleError(
            f"{path}: no {MARK} in it: expected the layout of groundingdino_swint_ogc.pth; name "
            "such a file, or a folder or hub repository of transformers"
        )
    words = tokenizer(Path(path).parent)
    model = fitted(GroundingDinoForObjectDetection, configuration(state), convert(state), path)
    images = GroundingDinoImageProcessor(size={"shortest_edge": 800, "longest_edge": 1333})
    return model, GroundingDinoProcessor(images, words)


def tokenizer(folder: Path) -> Any:
    """Load BERT's tokenizer from `tokenizer/` in the folder, else from the cache or the hub."""
    from transformers import AutoTokenizer

    local = folder / "tokenizer"
    name = str(local) if local.is_dir() else "google-bert/bert-base-uncased"
    try:
        return AutoTokenizer.from_pretrained(name, local_files_only=local.is_dir())
    except (OSError, ValueError) as error:
        raise PickleError(
            f"no tokenizer of bert-base-uncased: it is neither in {local} nor in the cache and the "
            "hub was not reached; put its files (vocab.txt, tokenizer_config.json) into that folder"
        ) from error
