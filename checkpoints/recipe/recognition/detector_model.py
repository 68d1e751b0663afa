"""A small Grounding DINO from scratch: configuration, tokenizer, initialisation, export."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ....samples import vocabulary

if TYPE_CHECKING:
    from transformers import BertTokenizerFast, GroundingDinoForObjectDetection

SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}
SPECIAL |= {",": 1010, ".": 1012, "?": 1029}
"""Ids that transformers' Grounding DINO takes for granted: those of BERT."""
FIRST_WORD = 1030


def words() -> list[str]:
    """Every single word that the detector knows, in the order of their ids."""
    out = [*vocabulary.CLASSES]
    out += [s for names in vocabulary.SYNONYMS.values() for s in names]
    out += [*vocabulary.OTHERS, "book", *vocabulary.COLOURS, *vocabulary.MATERIALS]
    out += ["wooden", "table", "shelf", "street", "background", "a", "the"]
    return list(dict.fromkeys(out))


def tokenizer() -> BertTokenizerFast:
    """A BERT tokenizer over `words()`; any other word is [UNK]."""
    from transformers import BertTokenizerFast

    known = words()
    lines = [f"[unused{i}]" for i in range(FIRST_WORD)] + known
    for word, i in SPECIAL.items():
        lines[i] = word
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.txt")
        path.write_text("\n".join(lines) + "\n")
        return BertTokenizerFast.from_pretrained(folder, do_lower_case=True)


def build(
    vocab_size: int, width: int = 96, image_size: int = 128
) -> GroundingDinoForObjectDetection:
    """A fresh model of about 3 M parameters.

    The two norms scaled by 0.2 bring the contrastive logits, a product of two sets of features,
    from +-22 to about +-4: without it nothing is learned from scratch.
    """
    from transformers import (
        BertConfig,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        SwinConfig,
    )

    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=image_size,
            patch_size=4,
            embed_dim=32,
            depths=[1, 1, 2, 1],
            num_heads=[2, 4, 4, 8],
            window_size=4,
            drop_path_rate=0.0,
            out_indices=[2, 3, 4],
        ),
        text_config=BertConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=2 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            max_position_embeddings=256,
        ),
        num_queries=24,
        encoder_layers=2,
        encoder_ffn_dim=2 * width,
        encoder_attention_heads=4,
        decoder_layers=1,  # a second one gets its references from a head that never saw them
        decoder_bbox_embed_share=False,
        decoder_ffn_dim=2 * width,
        decoder_attention_heads=4,
        d_model=width,
        dropout=0.0,
        fusion_droppath=0.0,
        num_feature_levels=3,
        disable_custom_kernels=True,
    )
    model = GroundingDinoForObjectDetection(config)
    with torch.no_grad():
        model.model.decoder.layer_norm.weight.mul_(0.2)
        model.model.enc_output_norm.weight.mul_(0.2)
        # proposals start as boxes of 0.05 to 0.2 of the picture; products fill about half of it
        model.model.encoder_output_bbox_embed.layers[-1].bias.copy_(torch.tensor([0, 0, 2.2, 2.2]))
    return model


def more_queries(model: GroundingDinoForObjectDetection, count: int = 96) -> None:
    """Its learned queries again and again, up to `count`.

    The decoder takes the best-scored places of the picture. With the 24 that it learned with, a
    large product may take them all, and a small one of the same class beside it is not found.
    """
    learned = model.model.query_position_embeddings
    if model.config.num_queries >= count:
        return
    rows = torch.arange(count, device=learned.weight.device) % learned.num_embeddings
    model.model.query_position_embeddings = torch.nn.Embedding.from_pretrained(
        learned.weight.detach()[rows].clone(), freeze=False
    )
    model.config.num_queries = count


def export(model: GroundingDinoForObjectDetection, folder: Path, image_size: int = 128) -> None:
    """Write model (fp16), tokenizer and image processor as the hub lays them out."""
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessor(
            size={"shortest_edge": image_size, "longest_edge": image_size * 5 // 3},
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        ),
        tokenizer(),
    )
    model.half().save_pretrained(folder)
    model.float()
    processor.save_pretrained(folder)
