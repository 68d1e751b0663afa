"""Textual inversions: every format, found by name, and what is none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from visuals.checkpoints import textual_inversion
from visuals.checkpoints.formats.pickles import PickleError
from visuals.checkpoints.textual_inversion import EmbeddingFileError, EmbeddingLibrary, read

TWO = torch.arange(16.0).reshape(2, 8)
OLD = torch.nn.ParameterDict({"*": torch.nn.Parameter(TWO)})


@pytest.mark.parametrize(
    ("file", "held", "expected"),
    [
        ("kohya.safetensors", {"emb_params": TWO.half()}, {"": TWO}),
        ("diffusers.safetensors", {"<cat>": TWO[0].clone()}, {"": TWO[:1]}),
        ("xl.SAFETENSORS", {"clip_l": TWO, "clip_g": TWO + 1}, {"clip_l": TWO, "clip_g": TWO + 1}),
        ("a1111.pt", {"string_to_param": {"*": TWO}, "name": "x", "step": 9}, {"": TWO}),
        ("first.pt", {"string_to_token": {"*": 265}, "string_to_param": OLD}, {"": TWO}),
        ("xl.pt", {"clip_l": TWO, "clip_g": TWO}, {"clip_l": TWO, "clip_g": TWO}),
        ("learned_embeds.bin", {"<cat>": TWO[0]}, {"": TWO[:1]}),
    ],
)
def test_every_format_is_read(
    file: str, held: dict[str, Any], expected: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / file
    is_pickle = path.suffix in (".pt", ".bin")
    (torch.save if is_pickle else save_file)(held, path)
    found = read(path, allow_pickle=is_pickle)
    assert found.vectors.keys() == expected.keys() and found.count == len(expected.popitem()[1])
    assert all(v.dtype == torch.float32 for v in found.vectors.values())
    for name, vectors in expected.items():
        assert torch.equal(found.vectors[name], vectors)
    if is_pickle:
        with pytest.raises(PickleError, match="--allow-pickle"):
            read(path)


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"emb_params": TWO * torch.nan}, "NaN"),
        ({"emb_params": TWO.long()}, "integers"),
        ({"emb_params": torch.tensor(1.0)}, r"shape \[\]"),
        ({"emb_params": torch.zeros(0, 8)}, r"shape \[0, 8\]"),
        ({"emb_params": torch.zeros(76, 8)}, "1 to 75 vectors"),
        ({"emb_params": torch.zeros(2, 2, 8)}, "1 to 75 vectors"),
        ({"a": TWO, "b": TWO + 1}, "holds 2 tensors"),
        ({"clip_l": TWO, "clip_g": TWO[:1].clone()}, "different numbers"),
        (b"\x80\x04junk", "not a complete"),
    ],
)
def test_a_file_that_is_no_embedding_is_a_sentence(held: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    if isinstance(held, bytes):
        path.write_bytes(held)
    else:
        save_file(held, path)
    with pytest.raises(EmbeddingFileError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("held", [[1, 2], {"string_to_param": 3}, {"x": {"y": TWO}}, "junk"])
def test_a_pickle_that_is_no_embedding_is_a_sentence(held: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(held, path)
    with pytest.raises(EmbeddingFileError, match="holds 0 tensors"):
        read(path, allow_pickle=True)


def test_names_are_stems_in_any_case_and_the_first_of_a_name_counts(tmp_path: Path) -> None:
    files = [
        "b/Easy.safetensors",
        "b/easy.pt",
        "a/EASY.pt",
        "a/learned_embeds.safetensors",
        "a/x.md",
    ]
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_file({"emb_params": TWO}, tmp_path / name)
    library = EmbeddingLibrary([tmp_path / "b", tmp_path])
    assert list(library.files) == ["Easy", "a"]
    assert library.files["Easy"].name == "Easy.safetensors"
    assert library.find("EASY").name == "Easy"
    with pytest.raises(EmbeddingFileError, match="did you mean 'Easy'"):
        library.find("Eazy")


@pytest.mark.parametrize(
    ("width", "base"), [(768, "SD 1.x"), (1024, "SD 2.x"), (8, "cross-attention 8")]
)
def test_the_base_is_told_by_the_width(width: int, base: str, tmp_path: Path) -> None:
    save_file({"emb_params": torch.zeros(1, width)}, tmp_path / "x.safetensors")
    assert str(textual_inversion.read(tmp_path / "x.safetensors").base) == base
