"""Runs sam_vit_{b,l,h}_*.pth by the code of the package segment-anything itself.

The model has the interface of SamModel of transformers and can be used in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ...configs.errors import MissingDependencyError
from . import sam_pth
from .pickles import PickleError


class SegmentAnything(torch.nn.Module):
    """Wraps a Sam of segment-anything in the interface of transformers' SamModel.

    Args:
        sam: The original model.
    """

    def __init__(self, sam: Any) -> None:
        super().__init__()
        self.sam = sam

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        device: torch.device = self.sam.device
        return device

    def forward(
        self, pixel_values: torch.Tensor, input_boxes: torch.Tensor, multimask_output: bool
    ) -> SimpleNamespace:
        """Return a mask, or three, for each box of each picture.

        Args:
            pixel_values: (N, 3, side, side), from SamProcessor.
            input_boxes: (N, boxes, 4), xyxy in pixels of `pixel_values`.
            multimask_output: Return three masks for each box, not one.

        Returns:
            `pred_masks`, logits (N, boxes, masks, h, w), and `iou_scores` (N, boxes, masks).
        """
        masks, scores = [], []
        for features, boxes in zip(self.sam.image_encoder(pixel_values), input_boxes, strict=True):
            sparse, dense = self.sam.prompt_encoder(points=None, boxes=boxes, masks=None)
            logits, quality = self.sam.mask_decoder(
                image_embeddings=features[None],
                image_pe=self.sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask_output,
            )
            masks.append(logits)
            scores.append(quality)
        return SimpleNamespace(pred_masks=torch.stack(masks), iou_scores=torch.stack(scores))


def load(state: Mapping[str, torch.Tensor], path: str | Path) -> tuple[Any, Any]:
    """Load (SegmentAnything, SamProcessor) from an original state dict; `path` is for messages.

    Raises:
        PickleError: It is of another layout.
        MissingDependencyError: segment-anything is not installed.
    """
    config, processor = sam_pth.describe(state, path)
    sam = build(config)
    try:
        sam.load_state_dict(dict(state))
    except RuntimeError as error:
        raise PickleError(f"{path}: {str(error).splitlines()[1].strip()[:200]}") from None
    return SegmentAnything(sam), processor


def build(config: Any) -> Any:
    """Build the original Sam of the sizes of a SamConfig, with random weights."""
    try:
        from segment_anything import modeling
    except ImportError:
        raise MissingDependencyError("segment-anything", "originals") from None

    vision, prompt, decoder = (
        config.vision_config,
        config.prompt_encoder_config,
        config.mask_decoder_config,
    )
    side = vision.image_size // vision.patch_size
    return modeling.Sam(
        modeling.ImageEncoderViT(
            img_size=vision.image_size,
            patch_size=vision.patch_size,
            embed_dim=vision.hidden_size,
            depth=vision.num_hidden_layers,
            num_heads=vision.num_attention_heads,
            mlp_ratio=vision.mlp_dim / vision.hidden_size,
            out_chans=vision.output_channels,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=vision.window_size,
            global_attn_indexes=tuple(vision.global_attn_indexes),
        ),
        modeling.PromptEncoder(
            embed_dim=prompt.hidden_size,
            image_embedding_size=(side, side),
            input_image_size=(vision.image_size, vision.image_size),
            mask_in_chans=prompt.mask_input_channels,
        ),
        modeling.MaskDecoder(
            transformer_dim=decoder.hidden_size,
            transformer=modeling.TwoWayTransformer(
                depth=decoder.num_hidden_layers,
                embedding_dim=decoder.hidden_size,
                num_heads=decoder.num_attention_heads,
                mlp_dim=decoder.mlp_dim,
                attention_downsample_rate=decoder.attention_downsample_rate,
            ),
            num_multimask_outputs=decoder.num_multimask_outputs,
            iou_head_depth=decoder.iou_head_depth,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
    )
