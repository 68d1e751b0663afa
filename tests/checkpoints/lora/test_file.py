"""What LoRA files say of themselves: headers as the trainers write them, and folders of files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from visuals.checkpoints.formats import safetensors_header
from visuals.checkpoints.identify import base_family
from visuals.checkpoints.identify.base_family import Base
from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora import search as lora_search

SGM = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
OURS = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
DOTTED = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = {
    "ss_base_model_version": "sd_v1",
    "ss_network_dim": "16",
    "ss_network_alpha": "8",
    "ss_output_name": "ppzocketv2-000010",
    "ss_clip_skip": "2",
    "ss_resolution": "(768, 640)",
    "ss_tag_frequency": json.dumps({"6_cup": {"ppzocketv2": 65, "a cup": 12, "a table": 9}}),
    "sshs_model_hash": "ab" * 32,
}


def pair(module: str, width: int, rank: int = 4) -> dict[str, np.ndarray]:
    """kohya's halves of a linear layer that reads `width` numbers."""
    return {
        f"{module}.lora_down.weight": np.ones((rank, width), np.float16),
        f"{module}.lora_up.weight": np.ones((8, rank), np.float16),
    }


def peft(module: str, width: int) -> dict[str, np.ndarray]:
    return {
        f"{module}.lora_A.weight": np.ones((4, width), np.float16),
        f"{module}.lora_B.weight": np.ones((8, 4), np.float16),
    }


def put(path: Path, tensors: dict[str, np.ndarray], meta: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=meta)
    return path


CONV = {
    "lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight": np.ones((4, 8, 3, 3), np.float16),
    "lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight": np.ones((8, 4, 1, 1), np.float16),
}
TEXT = "lora_te_text_model_encoder_layers_0_mlp_fc1"


@pytest.mark.parametrize(
    ("tensors", "meta", "form", "base"),
    [
        (pair(OURS, 768), {}, "kohya", "SD 1.x"),
        (pair(OURS, 1024), {}, "kohya", "SD 2.x"),
        (pair(OURS, 768), {"ss_base_model_version": "sdxl_base_v1-0"}, "kohya", "SD 1.x"),
        (pair(SGM, 2048), {}, "kohya", "SDXL"),
        (pair(SGM.replace("attn2", "attn1"), 640), {}, "kohya", "SDXL"),
        (pair("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280), {}, "kohya", "SDXL"),
        ({**pair(OURS, 768), **CONV}, {}, "LoCon", "SD 1.x"),
        (peft(DOTTED, 2048), {}, "diffusers", "SDXL"),
        (peft(DOTTED.replace("unet.", "base_model.model."), 768), {}, "PEFT", "SD 1.x"),
        (pair(TEXT, 768), {"ss_base_model_version": "sd_v1"}, "kohya", "SD 1.x"),
        (pair(TEXT, 768), {"ss_v2": "True"}, "kohya", "SD 2.x"),
        (
            pair(TEXT, 768),
            {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
            "kohya",
            "SDXL",
        ),
        (pair(TEXT, 768), {}, "kohya", "unknown"),
        (pair("lora_unet_layers_0_attention_qkv", 3840), {}, "kohya", "Z-Image"),
        (peft("diffusion_model.layers.0.attention.to_q", 3840), {}, "diffusers", "Z-Image"),
        (pair("lora_unet_joint_blocks_0_context_block_attn_qkv", 1536), {}, "kohya", "SD 3"),
        (pair("lora_unet_double_blocks_0_img_attn_qkv", 3072), {}, "kohya", "Flux"),
        (
            peft("transformer.transformer_blocks.0.attn.to_q", 3072),
            {},
            "diffusers",
            "a transformer",
        ),
    ],
)
def test_format_and_base_by_shapes_names_and_metadata(
    tensors: dict[str, np.ndarray], meta: dict[str, str], form: str, base: str, tmp_path: Path
) -> None:
    file = lora_file.read(put(tmp_path / "x.safetensors", tensors, meta))
    assert (file.format, str(file.base)) == (form, base)


def test_what_kohya_writes_is_read(tmp_path: Path) -> None:
    alphas = {f"{OURS}.alpha": np.array(8, np.float32), f"{TEXT}.alpha": np.array(0, np.float32)}
    tensors = {**pair(OURS, 768, 16), **pair(TEXT, 768, 4), **alphas}
    file = lora_file.read(put(tmp_path / "cup-000010.safetensors", tensors, KOHYA))
    assert (file.ranks, file.alphas) == ((4, 16), (4.0, 8.0))
    assert file.modules == {"unet": 1, "text_encoder": 1}
    assert (file.resolution, file.clip_skip) == ((768, 640), 2)
    assert file.trigger == ("ppzocketv2", "ss_tag_frequency")
    assert file.tags == ("ppzocketv2", "a cup", "a table")
    assert file.model_hash == "ab" * 32
    assert (file.name, file.output_name) == ("cup-000010", "ppzocketv2-000010")


@pytest.mark.parametrize(
    ("meta", "trigger"),
    [
        ({"modelspec.trigger_phrase": "ppz look", **KOHYA}, "ppz look"),
        ({"ss_output_name": "ppz-000004"}, "ppz"),
        ({"ss_tag_frequency": "not json", "ss_output_name": "ppz"}, "ppz"),
        (
            {
                **KOHYA,
                "ss_dataset_dirs": '{"6_cup": {"n_repeats": 6, "img_count": 200}}',
                "ss_output_name": "cups",
            },
            "cups",
        ),
        ({"ss_output_name": "None"}, None),
        ({}, None),
    ],
)
def test_the_trigger_word(meta: dict[str, str], trigger: str | None, tmp_path: Path) -> None:
    file = lora_file.read(put(tmp_path / "x.safetensors", pair(OURS, 768), meta))
    assert (file.trigger[0] if file.trigger else None) == trigger


@pytest.mark.parametrize(
    ("meta", "size", "skip"),
    [
        ({"ss_resolution": "512", "ss_clip_skip": "None"}, (512, 512), None),
        ({"ss_resolution": "None", "modelspec.resolution": "1024x768"}, (1024, 768), None),
        ({"ss_datasets": '[{"resolution": [640, 512]}]', "ss_clip_skip": "1"}, (640, 512), 1),
        ({"ss_resolution": "9" * 5000, "ss_clip_skip": "9" * 5000}, None, None),
        ({"ss_resolution": "0,512", "ss_clip_skip": "\u00b2"}, None, None),
        ({"ss_resolution": "5120", "ss_clip_skip": "13"}, None, None),
        *(({"ss_datasets": text}, None, None) for text in ("5", "true", '"x"', "{}", "[5, null]")),
        ({}, None, None),
    ],
)
def test_resolution_and_clip_skip(
    meta: dict[str, str], size: tuple[int, int] | None, skip: int | None, tmp_path: Path
) -> None:
    file = lora_file.read(put(tmp_path / "x.safetensors", pair(OURS, 768), meta))
    assert (file.resolution, file.clip_skip) == (size, skip)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{OURS}.a1.weight", "is a GLoRA"),
        (f"{OURS}.oft_diag", "is a BOFT"),
        ("diffusion_model.blocks.0.lora_A.weight", "no LoRA of a known family"),
        ("transformer.single_blocks.0.lora_A.weight", "no LoRA of a known family"),
        ("model.diffusion_model.out.2.weight", "no LoRA of a known family"),
    ],
)
def test_other_formats_are_refused_by_name(name: str, said: str, tmp_path: Path) -> None:
    path = put(tmp_path / "x.safetensors", {name: np.ones((4, 4), np.float32)})
    with pytest.raises(lora_file.LoraFileError, match=said):
        lora_file.read(path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (f"{OURS}.lora_down.weight", np.ones(4, np.float16), "F16 of shape [4]; expected a matrix"),
        (f"{OURS}.lora_down.weight", np.ones((), np.float16), "F16 of shape []; expected a matrix"),
        (f"{OURS}.lora_down.weight", np.ones((0, 768)), "F64 of shape [0, 768]; expected a matrix"),
        (f"{OURS}.hada_w1_b", np.ones(4), "F64 of shape [4]; expected a matrix"),
        (f"{OURS}.lokr_w1", np.ones((0, 0)), "F64 of shape [0, 0]; expected a matrix"),
        (f"{OURS}.lora_up.weight", np.ones((8, 4), complex), "C64"),
        (f"{OURS}.alpha", np.ones(2), "F64 of shape [2]; expected one number"),
        (f"{OURS}.alpha", np.ones(0), "F64 of shape [0]; expected one number"),
        (f"{OURS}.alpha", np.array(np.nan), "alpha is NaN or infinity"),
        (f"{OURS}.alpha", np.array(np.inf), "alpha is NaN or infinity"),
    ],
)
def test_tensors_that_no_lora_has_are_refused(
    name: str, value: np.ndarray, said: str, tmp_path: Path
) -> None:
    if value.dtype == complex:
        value = value.astype(np.complex64)
    path = put(tmp_path / "x.safetensors", {**pair(OURS, 768), name: value})
    with pytest.raises(lora_file.LoraFileError, match=re.escape(said)):
        lora_file.read(path)


@pytest.mark.parametrize(
    "kind", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float16", "float64", "int8"]
)
def test_an_alpha_of_any_type_and_shape_is_read(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    halves = {k: torch.ones(v.shape).to(getattr(torch, kind)) for k, v in pair(OURS, 768).items()}
    for alpha in (torch.tensor(2.0), torch.tensor([2.0])):
        save_torch(
            {**halves, f"{OURS}.alpha": alpha.to(getattr(torch, kind))}, tmp_path / "x.safetensors"
        )
        assert lora_file.read(tmp_path / "x.safetensors").alphas == (2.0,)


@pytest.mark.parametrize(
    "config",
    ["5", "[1]", "null", "{", '{"unet.lora_alpha": "x"}', '{"unet.lora_alpha": [1]}',
     '{"unet.lora_alpha": NaN}', '{"unet.lora_alpha": 1' + "0" * 400 + "}",
     '{"unet.alpha_pattern": [1]}', '{"unet.alpha_pattern": {"x": "y"}}'],
)  # fmt: skip
def test_a_configuration_of_other_types_is_refused(config: str, tmp_path: Path) -> None:
    path = put(tmp_path / "x.safetensors", peft(DOTTED, 768), {"lora_adapter_metadata": config})
    with pytest.raises(lora_file.LoraFileError, match="its configuration: ") as caught:
        lora_file.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("data", [b"", b"\x10\0\0", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]"])
def test_what_is_no_safetensors_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(data)
    with pytest.raises(lora_file.LoraFileError, match=r"torn\.safetensors.*download it again"):
        lora_file.read(tmp_path / "torn.safetensors")


@pytest.mark.parametrize("ending", ["pt", "ckpt", "bin"])
def test_a_pickle_is_to_be_converted(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"x.{ending}").write_bytes(b"\x80\x02}q\0." * 9)
    with pytest.raises(lora_file.LoraFileError, match=r"convert it to \.safetensors"):
        lora_file.read(tmp_path / f"x.{ending}")


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "x.safetensors", pair(OURS, 768))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(safetensors_header.HeaderError, match=r"not a complete \.safetensors file"):
        safetensors_header.read(path)


def test_bases_fit_by_what_is_known_of_both() -> None:
    assert Base("SDXL", 2048).fits(Base()) and Base("SDXL").fits(Base("SDXL", 2048))
    assert not Base("SDXL").fits(Base("SD 1.x", 768))
    assert not Base(None, 128).fits(Base("SD 1.x", 768))


def test_the_base_of_a_checkpoint_is_read_from_its_files(tmp_path: Path) -> None:
    (tmp_path / "sdxl" / "unet").mkdir(parents=True)
    (tmp_path / "sdxl" / "model_index.json").write_text(
        '{"_class_name": "StableDiffusionXLPipeline"}'
    )
    config = tmp_path / "sdxl" / "unet" / "config.json"
    config.write_text('{"cross_attention_dim": 2048}')
    assert base_family.base_of_checkpoint(tmp_path / "sdxl") == Base("SDXL", 2048)
    one = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    single = put(tmp_path / "v1.safetensors", {one: np.ones((320, 768), np.float16)})
    assert base_family.base_of_checkpoint(single) == Base("SD 1.x", 768)
    assert base_family.base_of_checkpoint("owner/nothing-cached") == Base()


def test_a_lora_is_found_by_stem_folder_or_output_name(tmp_path: Path) -> None:
    a = put(tmp_path / "one" / "deep" / "cup.safetensors", pair(OURS, 768), KOHYA)
    b = put(tmp_path / "two" / "look" / "pytorch_lora_weights.safetensors", peft(DOTTED, 768))
    put(tmp_path / "two" / "cup.safetensors", pair(OURS, 768))
    (tmp_path / "two" / "torn.safetensors").write_bytes(b"")
    both = [tmp_path / "one", tmp_path / "two"]
    assert lora_search.find("cup", both) == a  # the first folder's
    assert lora_search.find("ppzocketv2-000010", both) == a
    assert lora_search.find("look", both) == b
    with pytest.raises(lora_search.LoraNotFoundError, match=r"did you mean 'ppzocketv2-000010'\?"):
        lora_search.find("ppzocketv2-00001", both)


def test_endings_in_any_case_are_found_and_pickles_named(tmp_path: Path) -> None:
    big = put(tmp_path / "Big.SafeTensors", pair(OURS, 768))
    (tmp_path / "old.pt").write_bytes(b"\x80\x02}q\0.")
    assert lora_search.find("Big", [tmp_path]) == big
    with pytest.raises(lora_search.LoraNotFoundError, match=r"old\.pt is a pickle; convert it"):
        lora_search.find("old", [tmp_path])


def test_headers_are_kept_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "x.safetensors", pair(OURS, 768), KOHYA)
    first, whole = lora_search.read(path), lora_search.sha256(path)
    assert lora_search.cache_file().is_file()
    monkeypatch.setattr(lora_search, "_MEMORY", {})  # as another process
    stat, data = path.stat(), path.read_bytes()
    path.write_bytes(b"\0" * len(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert lora_search.read(path) == first  # from the cache: the file is nonsense by now
    assert lora_search.sha256(path) == whole
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(lora_file.LoraFileError):
        lora_search.read(path)
    path.write_bytes(data)
    lora_search.cache_file().write_text("{torn")
    monkeypatch.setattr(lora_search, "_MEMORY", {})
    assert lora_search.read(path) == first
