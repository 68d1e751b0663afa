"""Textual inversions in prompts: where A1111 finds their names, and what the encoders make of them
against diffusers' own loader."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_xl
from safetensors.torch import save_file

from visuals.checkpoints import load
from visuals.checkpoints.textual_inversion import EmbeddingLibrary
from visuals.stages.families import clip_embeddings as embeddings
from visuals.stages.prompts import textual_inversions, token_chunks
from visuals.stages.prompts.textual_inversions import Name, Vector


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("a mug", ["a mug"]),
        ("EasyNegative", [Name("EasyNegative")]),
        ("a, easynegative, b", ["a, ", Name("EasyNegative"), ", b"]),
        ("EASYNEGATIVE bad-hands-5", [Name("EasyNegative"), " ", Name("bad-hands-5")]),
        ("bad - hands-5", [Name("bad-hands-5")]),  # A1111 compares tokens, which have no spaces
        ("bad hands 5, noteasynegative", ["bad hands 5, noteasynegative"]),
        ("EasyNegativeV2", ["EasyNegativeV2"]),
        ("easynegative 2 x", [Name("EasyNegative2"), " x"]),
        ("a <cat>, b", ["a ", Name("<cat>"), ", b"]),
    ],
)
def test_names_are_found_as_in_a1111(text: str, expected: list[Any]) -> None:
    names = ["EasyNegative", "EasyNegative2", "bad-hands-5", "<cat>"]
    assert list(textual_inversions.split(text, names)) == expected


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory, mini: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("xl")
    tiny_xl.write(folder)
    xl = load.load_text_to_image(folder / "base")
    for encoder in (xl.text_encoder, xl.text_encoder_2):  # as published since transformers 4.31
        encoder.config.eos_token_id = xl.tokenizer.eos_token_id
    return {"sd": load.load_text_to_image("mini/sd"), "xl": xl}


def width(encoder: Any) -> int:
    return int(encoder.get_input_embeddings().weight.shape[1])


def written(folder: Path, pipe: Any, name: str, count: int) -> dict[str, torch.Tensor]:
    """A file of random vectors for a pipeline's encoders."""
    random = torch.Generator().manual_seed(count)
    widths = {"emb_params": width(pipe.text_encoder)}
    if hasattr(pipe, "text_encoder_2"):
        widths = {"clip_l": width(pipe.text_encoder), "clip_g": width(pipe.text_encoder_2)}
    held = {key: torch.randn(count, size, generator=random) for key, size in widths.items()}
    save_file(held, folder / f"{name}.safetensors")
    return held


@pytest.mark.parametrize("family", ["sd", "xl"])
@pytest.mark.parametrize("count", [1, 3])
def test_embeddings_are_those_of_diffusers_own_loader(
    family: str, count: int, pipes: dict[str, Any], tmp_path: Path
) -> None:
    pipe = pipes[family]
    held = written(tmp_path, pipe, "EasyNegative", count)
    theirs = copy.copy(pipe)
    pairs = [("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")]
    for (words, encoder), vectors in zip(pairs, held.values(), strict=False):
        parts = {n: copy.deepcopy(getattr(pipe, n)) for n in (words, encoder)}
        for name, part in parts.items():
            setattr(theirs, name, part)
        theirs.load_textual_inversion(
            {"<easy>": vectors}, text_encoder=parts[encoder], tokenizer=parts[words]
        )
    before = {k: v.clone() for k, v in pipe.text_encoder.state_dict().items()}
    library = EmbeddingLibrary([tmp_path])
    with torch.inference_mode():
        mine = embeddings.encode(pipe, ["red mug"], ["blue easynegative, car"], library=library)
        expected = theirs.encode_prompt(
            "red mug", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True,
            negative_prompt="blue <easy>, car",
        )  # fmt: skip
        plain = embeddings.encode(pipe, ["red mug"], ["blue easynegative, car"])
    for a, b in zip(mine.values(), expected, strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(mine["negative_prompt_embeds"], plain["negative_prompt_embeds"])
    assert all(torch.equal(v, before[k]) for k, v in pipe.text_encoder.state_dict().items())
    assert not pipe.text_encoder.get_input_embeddings()._forward_hooks


def test_a_weight_is_that_of_each_of_its_vectors(pipes: dict[str, Any], tmp_path: Path) -> None:
    written(tmp_path, pipes["sd"], "x", 2)
    (chunk,) = token_chunks.split("red (X:1.5) mug", pipes["sd"].tokenizer, {"x": 2})
    assert chunk.ids[1:3] == (Vector("x", 0), Vector("x", 1))
    assert chunk.weights == (1, 1.5, 1.5, 1)


def test_an_embedding_is_not_cut_across_chunks(pipes: dict[str, Any]) -> None:
    tokenizer = pipes["sd"].tokenizer

    def sizes(text: str, count: int) -> list[int]:
        return [len(chunk.ids) for chunk in token_chunks.split(text, tokenizer, {"x": count})]

    assert sizes("mug " * 70 + "x", 5) == [75]
    assert sizes("mug " * 70 + "x mug", 6) == [70, 7]
    assert sizes("mug " * 60 + ", " + "mug " * 14 + "x", 2) == [61, 16], "behind the comma"
    assert sizes("mug " * 60 + ", " + "mug " * 14 + "x", 70) == [61, 14, 70]
    assert sizes("x x", 75) == [75, 75]


def test_another_bases_embedding_is_named_and_read_as_words(
    pipes: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for family, other in (("sd", "xl"), ("xl", "sd")):
        folder = tmp_path / family
        folder.mkdir()
        written(folder, pipes[other], f"of{other}", 2)
        texts = ["red mug"], [f"of{other}"]
        with torch.inference_mode():
            plain = embeddings.encode(pipes[family], *texts)
            mine = embeddings.encode(pipes[family], *texts, library=EmbeddingLibrary([folder]))
        assert all(torch.equal(mine[name], plain[name]) for name in plain)
        assert f"textual inversion 'of{other}' was made for another base" in caplog.text
