"""The small BLIP: its sentences, its tokenizer, and that what it learns is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from visuals.checkpoints.recipe.diffusion.vae import to_tensor
from visuals.checkpoints.recipe.recognition import blip, caption_grammar


def test_the_sentence_of_a_picture() -> None:
    instances = np.zeros((32, 32), np.uint8)
    instances[4:20, 20:30] = 1
    instances[4:20, 2:12] = 2
    products = [
        {"label": "mug", "colour": "orange", "instance": 1},
        {"label": "car", "colour": "red", "instance": 2},
        {"label": "lamp", "colour": "blue", "instance": 3},
    ]
    meta = {"products": products, "others": ["books"], "scene": "street"}
    said = caption_grammar.caption(meta, instances)
    assert said == "a red car and an orange mug and books on a street"
    assert (
        caption_grammar.caption({**meta, "others": []}, np.zeros_like(instances))
        == "an empty street"
    )
    # mirrored, the other one comes first; the lamp is not seen
    assert caption_grammar.caption(meta, instances[:, ::-1]).startswith(
        "an orange mug and a red car"
    )


def test_every_word_of_a_sentence_is_known() -> None:
    from visuals.samples import vocabulary

    tok = caption_grammar.tokenizer()
    everything = np.ones((16, 16), np.uint8)
    for name in vocabulary.CLASSES:
        for colour in vocabulary.COLOURS:
            product = {"label": name, "colour": colour, "instance": 1}
            for scene in vocabulary.words()["scenes"]:  # type: ignore[attr-defined]
                meta = {"products": [product], "others": [*vocabulary.OTHERS], "scene": scene}
                text = caption_grammar.caption(meta, everything)
                assert f"{colour} {name}" in text and scene in text
                assert tok.unk_token_id not in tok(text).input_ids, text
    assert tok.unk_token_id not in tok("an empty street").input_ids


def test_what_is_learned_is_what_is_said(tmp_path: Path) -> None:
    """Two pictures by heart, exported in half precision, captioned by the program."""
    from PIL import Image

    from visuals.checkpoints import load
    from visuals.training.captioning.blip_captioner import Captioner

    torch.manual_seed(0)
    tok = caption_grammar.tokenizer()
    model = blip.build(len(tok), width=32, layers=1, size=64)
    pictures = np.zeros((2, 64, 64, 3), np.uint8)
    pictures[0, ..., 0], pictures[1, 16:48, ..., 2] = 220, 220
    texts = ["a red mug on a shelf", "a blue car and a white lamp on a wooden table"]
    batch = caption_grammar.encode(tok, texts, model.config.text_config.bos_token_id)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = model(pixel_values=to_tensor(pictures), **batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    blip.export(model, tmp_path / "blip", size=64)
    captioner = Captioner(*load.load_captioner(tmp_path / "blip"), min_tokens=3, batch_size=1)
    assert captioner([Image.fromarray(p) for p in pictures]) == texts


def test_naming_is_counted() -> None:
    meta = {"products": [{"label": "mug", "colour": "red"}], "scene": "red background"}
    assert all(caption_grammar.named("a red mug on a red background", meta).values())
    assert caption_grammar.named("a blue mug on a red background", meta)["colour"] is False
    assert caption_grammar.named("a red mug on a shelf", meta)["scene"] is False


def test_whitened_patches_start_alike_and_uncorrelated() -> None:
    torch.manual_seed(0)
    model = blip.build(len(caption_grammar.tokenizer()), width=32, layers=1, size=64)
    grain = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), np.uint8)
    images = np.repeat(np.repeat(grain, 2, 1), 2, 2)
    blip.whiten(model, images)
    with torch.no_grad():
        x = model.vision_model.embeddings.patch_embedding(to_tensor(images))
    x = x.flatten(2).transpose(1, 2).flatten(0, 1)
    assert x.mean(0).abs().max() < 1e-3
    assert torch.allclose(x.T @ x / len(x), 0.25 * torch.eye(32), atol=0.02)


def test_a_patch_is_what_covers_it() -> None:
    instances = np.zeros((32, 32), np.uint8)
    instances[:16, :16], instances[16:, 16:20], instances[16:, 20:] = 1, 2, 3
    instances[16:18, :16] = 1  # an eighth of its patch
    products = [
        {"label": label, "colour": colour, "instance": k}
        for k, (label, colour) in enumerate((("car", "red"), ("mug", "teal"), ("lamp", "gray")), 1)
    ]
    labels = blip.patch_labels({"products": products}, instances, 2)
    assert labels.tolist() == [[6, 1], [0, 0], [0, 0], [8, 12]]
