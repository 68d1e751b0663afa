"""Writes small random detectors and segmenters of each family, as the hub lays them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SIDE = 64
SMALL = {"hidden_size": 32, "num_attention_heads": 2}
PROMPTS = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 8}
MASKS = {**SMALL, "mlp_dim": 32, "iou_head_hidden_dim": 32}


def _clip_tokenizer() -> Any:
    from visuals.checkpoints.recipe.diffusion import denoiser

    return denoiser.tokenizer(["a photo of a mug", "a photo of a car and a boot"], 620)


def _text(words: Any, length: int) -> dict[str, Any]:
    return {
        **SMALL,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "vocab_size": len(words),
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "max_position_embeddings": length,
    }


def mm_grounding_dino(folder: Path) -> None:
    """An MM-Grounding-DINO with 12 queries."""
    from transformers import (
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        MMGroundingDinoConfig,
        MMGroundingDinoForObjectDetection,
    )

    from visuals.checkpoints.recipe.recognition import detector_model

    words = detector_model.tokenizer()
    shape = detector_model.build(len(words), 32).config.to_dict()
    kept: tuple[str, ...] = (
        "backbone_config",
        "text_config",
        "d_model",
        "encoder_layers",
        "decoder_layers",
    )
    kept += ("encoder_ffn_dim", "decoder_ffn_dim", "num_feature_levels", "disable_custom_kernels")
    shape["decoder_layers"] = 2
    kept += ("encoder_attention_heads", "decoder_attention_heads")
    config = MMGroundingDinoConfig(**{k: shape[k] for k in kept}, num_queries=12)
    MMGroundingDinoForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": SIDE, "longest_edge": 2 * SIDE}
    GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), words).save_pretrained(folder)


def owlv2(folder: Path) -> None:
    """An OWLv2 of 4 x 4 patches; its queries are the patches."""
    from transformers import (
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    words = _clip_tokenizer()
    words.model_max_length = 16
    vision = {**SMALL, "intermediate_size": 64, "num_hidden_layers": 1}
    config = Owlv2Config(
        text_config=_text(words, 16),
        vision_config={**vision, "image_size": SIDE, "patch_size": 16},
        projection_dim=32,
    )
    Owlv2ForObjectDetection(config).save_pretrained(folder)
    images = Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE})
    Owlv2Processor(images, words).save_pretrained(folder)


def _sam3_vision() -> dict[str, Any]:
    backbone: dict[str, Any] = {**SMALL, "model_type": "sam3_vit_model", "intermediate_size": 64}
    backbone |= {"num_hidden_layers": 2, "window_size": 2, "global_attn_indexes": [1]}
    backbone |= {"image_size": 56, "pretrain_image_size": 28}
    sizes = [[16, 16], [8, 8], [4, 4]]
    return {"backbone_config": backbone, "fpn_hidden_size": 32, "backbone_feature_sizes": sizes}


def sam3(folder: Path) -> None:
    """A SAM 3 with 6 queries: text to boxes and masks."""
    from transformers import Sam3Config, Sam3ImageProcessor, Sam3Model, Sam3Processor

    words = _clip_tokenizer()
    layers = {**SMALL, "intermediate_size": 64, "num_layers": 1}
    config = Sam3Config(
        vision_config=_sam3_vision(),
        text_config={**_text(words, 32), "projection_dim": 32},
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 6},
        mask_decoder_config=SMALL,
    )
    Sam3Model(config).save_pretrained(folder)
    images = Sam3ImageProcessor(size={"height": 56, "width": 56})
    Sam3Processor(images, words).save_pretrained(folder)


def sam3_tracker(folder: Path) -> None:
    """The part of SAM 3 that takes boxes."""
    from transformers import (
        Sam3ImageProcessor,
        Sam3TrackerConfig,
        Sam3TrackerModel,
        Sam3TrackerProcessor,
    )

    config = Sam3TrackerConfig(
        vision_config=_sam3_vision(),
        prompt_encoder_config={**PROMPTS, "image_size": 56, "patch_size": 14},
        mask_decoder_config=MASKS,
    )
    Sam3TrackerModel(config).save_pretrained(folder)
    images = Sam3ImageProcessor(size={"height": 56, "width": 56})
    Sam3TrackerProcessor(images).save_pretrained(folder)


def sam2(folder: Path) -> None:
    """A SAM 2 with a Hiera of five blocks."""
    from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor

    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 16,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 4],
        "window_size_per_stage": [4, 2, 4, 2],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    }
    config = Sam2Config(
        vision_config={
            "backbone_config": hiera,
            "backbone_channel_list": [128, 64, 32, 16],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config=PROMPTS,
        mask_decoder_config=MASKS,
    )
    Sam2Model(config).save_pretrained(folder)
    images = Sam2ImageProcessor(size={"height": SIDE, "width": SIDE})
    Sam2Processor(images).save_pretrained(folder)


def sam_hq(folder: Path) -> None:
    """A SAM-HQ with a ViT of two layers."""
    from transformers import SamHQConfig, SamHQModel, SamHQProcessor, SamImageProcessor

    vision: dict[str, Any] = {
        **SMALL,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "image_size": SIDE,
    }
    vision |= {"window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 16, "mlp_dim": 64}
    config = SamHQConfig(
        vision_config={**vision, "initializer_range": 0.02},
        prompt_encoder_config=PROMPTS,
        mask_decoder_config={**MASKS, "vit_dim": 32},
    )
    SamHQModel(config).save_pretrained(folder)
    images = SamImageProcessor(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
    )
    SamHQProcessor(images).save_pretrained(folder)


DETECTORS: dict[str, Callable[[Path], None]] = {
    "mm-grounding-dino": mm_grounding_dino,
    "owlv2": owlv2,
    "sam3": sam3,
}
SEGMENTERS: dict[str, Callable[[Path], None]] = {
    "sam_hq": sam_hq,
    "sam2": sam2,
    "sam3_tracker": sam3_tracker,
}


def write(name: str, folder: Path) -> Path:
    """Write the small model of a family, seeded, into a new folder."""
    torch.manual_seed(0)
    ({**DETECTORS, **SEGMENTERS}[name])(folder)
    return folder
