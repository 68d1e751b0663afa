"""A VAE or a ControlNet that is one file: each layout's weights are those that were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from visuals.checkpoints import load
from visuals.checkpoints.formats.pickles import PickleError
from visuals.checkpoints.hub import status as hub_status
from visuals.checkpoints.identify import model_kind
from visuals.checkpoints.identify.tensor_names import weights_kind

Weights = dict[str, torch.Tensor]
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""What diffusers called a VAE's attention before 0.15, and files of then still do."""


def saved(weights: Weights, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: value.clone().contiguous() for name, value in weights.items()}, path)
    else:
        torch.save(weights, path)
    return path


def same(model: Any, weights: Weights) -> bool:
    """Whether a model has exactly these."""
    got = model.state_dict()
    return got.keys() == weights.keys() and all(
        torch.equal(got[name], value.to(got[name].dtype)) for name, value in weights.items()
    )


def rewritten(model: Any) -> Weights:
    """Other weights than those of the base, for each name."""
    noise = torch.Generator().manual_seed(1)
    return {n: torch.randn(v.shape, generator=noise) for n, v in model.state_dict().items()}


def config_of(kind: Any, pipe: Any) -> dict[str, Any]:
    """What a ControlNet for a pipeline is like, as plain values that can be changed."""
    config = kind.from_unet(pipe.unet, load_weights_from_unet=False).config
    return {name: value for name, value in config.items() if not name.startswith("_")}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.fixture
def base(a1111: Any, family: str, bases: Path) -> Path:
    """A narrow single-file base, which the tests share."""
    file = bases / f"{family}.safetensors"
    if not file.exists():
        a1111.write(a1111.random(family, bases / family), file)
    return file


def vae_file(layout: str, a1111: Any, weights: Weights, folder: Path) -> Path:
    original = a1111.vae(weights)
    bare = {name.removeprefix("first_stage_model."): v for name, v in original.items()}
    if layout == "checkpoint's":
        return saved(original, folder / "vae.safetensors")
    if layout == "bare":
        return saved(bare, folder / "vae.safetensors")
    if layout == "pickled":
        held: Any = {"state_dict": {**bare, "loss.logvar": torch.zeros(1)}, "epoch": 1}
        return saved(held, folder / "anything.vae.pt")
    if layout == "diffusers'":
        return saved(weights, folder / "vae.safetensors")
    renamed = dict(weights)
    for name in [n for n in weights if "attentions" in n]:
        for new, old in OLD.items():
            if f".{new}." in name:
                renamed[name.replace(new, old)] = renamed.pop(name)
    assert renamed.keys() != weights.keys()
    return saved(renamed, folder / "vae.safetensors")


@pytest.mark.parametrize("family", ["sd15", "sdxl"], indirect=True)
def test_a_vae_file_takes_the_place_of_the_models_own(
    a1111: Any, family: str, base: Path, tmp_path: Path
) -> None:
    usual = load.load_text_to_image(base)
    usual.save_pretrained(tmp_path / "folder")
    weights = rewritten(usual.vae)
    for layout in ("checkpoint's", "bare", "pickled", "diffusers'", "diffusers' of old"):
        file = vae_file(layout, a1111, weights, tmp_path)
        for ref in (base, tmp_path / "folder") if layout == "bare" else (base,):
            pipe = load.load_text_to_image(ref, vae=file, allow_pickle=True)
            assert same(pipe.vae, weights), (layout, ref.name)
            # The factor stands in no file: SD 1.5's VAE and SDXL's have the same structure.
            assert pipe.vae.config.scaling_factor == usual.vae.config.scaling_factor
            assert same(pipe.unet, usual.unet.state_dict())
    half = load.load_text_to_image(base, vae=file, dtype=torch.float16)
    assert {v.dtype for v in half.vae.state_dict().values()} == {torch.float16}
    other = tmp_path / "other.safetensors"  # a whole checkpoint gives its own
    saved({**a1111.unet(usual.unet.state_dict()), **a1111.vae(weights)}, other)
    assert same(load.load_text_to_image(base, vae=other).vae, weights)
    with pytest.raises(PickleError, match=r"anything\.vae\.pt: a pickle.*--allow-pickle"):
        load.load_text_to_image(base, vae=tmp_path / "anything.vae.pt")


def controlnet_file(layout: str, a1111: Any, weights: Weights, folder: Path) -> Path:
    original = a1111.controlnet(weights)
    if layout == "checkpoint's":
        return saved(original, folder / "control.safetensors")
    if layout == "bare":
        bare = {name.removeprefix("control_model."): v for name, v in original.items()}
        return saved(bare, folder / "control.safetensors")
    if layout == "pickled":
        return saved(original, folder / "control_v11p_sd15_canny.pth")
    half = {name: value.half() for name, value in weights.items()}
    return saved(half, folder / "diffusion_pytorch_model.fp16.safetensors")


def test_a_controlnet_file_is_what_was_written(a1111: Any, base: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetModel

    pipe = load.load_text_to_image(base)
    net = ControlNetModel.from_unet(pipe.unet, load_weights_from_unet=False)
    weights = {n: v.half().float() for n, v in rewritten(net).items()}
    for layout in ("checkpoint's", "bare", "pickled", "diffusers'"):
        file = controlnet_file(layout, a1111, weights, tmp_path)
        both = load.load_controlnet_inpaint("", [file], base=pipe, allow_pickle=True)
        assert same(both.controlnet, weights), layout
        assert {v.dtype for v in both.controlnet.state_dict().values()} == {torch.float32}
        assert both.controlnet.config.cross_attention_dim == pipe.unet.config.cross_attention_dim
    half = load.load_controlnet_inpaint("", [file], base=pipe, dtype=torch.float16)
    assert {v.dtype for v in half.controlnet.state_dict().values()} == {torch.float16}
    with pytest.raises(PickleError, match="--allow-pickle"):
        load.load_controlnet_inpaint("", [tmp_path / "control_v11p_sd15_canny.pth"], base=pipe)


@pytest.mark.parametrize("family", ["sdxl"], indirect=True)
@pytest.mark.parametrize("size", ["mid", "small"])
def test_sdxls_smaller_controlnets_have_less_attention(
    size: str, base: Path, tmp_path: Path
) -> None:
    """As controlnet-canny-sdxl-1.0-mid and -small: one layer a block, none."""
    from diffusers import ControlNetModel

    pipe = load.load_text_to_image(base)
    config = config_of(ControlNetModel, pipe)
    config |= {"transformer_layers_per_block": [1, 1, 1]}
    if size == "small":
        config |= {"down_block_types": ["DownBlock2D"] * 3, "mid_block_type": "UNetMidBlock2D"}
    weights = rewritten(ControlNetModel.from_config(config))
    file = saved(weights, tmp_path / "control.safetensors")
    both = load.load_controlnet_inpaint("", [file], base=pipe)
    assert same(both.controlnet, weights)


@pytest.mark.parametrize("family", ["sdxl"], indirect=True)
@pytest.mark.parametrize("count", [6, 8])
def test_a_union_controlnet_is_one_too(count: int, base: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetUnionModel

    pipe = load.load_text_to_image(base)
    config = config_of(ControlNetUnionModel, pipe)
    config |= {"num_control_type": count, "num_trans_channel": 16, "num_proj_channel": 16}
    config |= {"conditioning_embedding_out_channels": [4, 8, 12, 16]}
    weights = rewritten(ControlNetUnionModel.from_config(config))
    file = saved(weights, tmp_path / "union-promax.safetensors")
    both = load.load_controlnet_inpaint("", [file], base=pipe)
    assert type(both).__name__ == "StableDiffusionXLControlNetUnionInpaintPipeline"
    assert same(both.controlnet, weights)
    assert both.controlnet.config.num_control_type == count


OTHERS: dict[str, tuple[Weights, str]] = {
    "lora": ({"lora_unet_x.lora_up.weight": torch.zeros(2, 2)}, "it is a LoRA"),
    "t2i": ({"adapter.body.0.block1.weight": torch.zeros(2)}, "it is a T2I-Adapter"),
    "control-lora": ({"lora_controlnet": torch.zeros(0)}, "it is a Control-LoRA"),
    "tiny": ({"decoder.1.weight": torch.zeros(2)}, "it is another model"),
}


@pytest.mark.parametrize("family", ["sd15"], indirect=True)
def test_other_files_are_one_sentence_each(a1111: Any, base: Path, tmp_path: Path) -> None:
    pipe = load.load_text_to_image(base)

    def refused(file: Path, role: str, said: str) -> None:
        with pytest.raises(load.CheckpointError, match=said) as caught:
            if role == "vae":
                load.load_text_to_image(base, vae=file)
            else:
                load.load_controlnet_inpaint("", [file], base=pipe)
        assert file.name in str(caught.value) and "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500

    for name, (weights, said) in OTHERS.items():
        file = saved(weights, tmp_path / f"{name}.safetensors")
        refused(file, "vae", f"{said}; expected a VAE's weights")
        refused(file, "controlnet", f"{said}; expected a ControlNet's weights")
    refused(base, "controlnet", "it is a whole checkpoint; expected a ControlNet's")

    original = a1111.vae(pipe.vae.state_dict())
    whole = saved(original, tmp_path / "vae.safetensors")
    refused(whole, "controlnet", "it is a VAE")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(whole.read_bytes()[:-100])
    refused(torn, "vae", "not a complete .safetensors file .*download it again")
    (tmp_path / "page.safetensors").write_text("<html>")
    refused(tmp_path / "page.safetensors", "vae", "not a complete .safetensors file")
    (tmp_path / "vae.bin").write_text("")
    refused(tmp_path / "vae.bin", "vae", "expected .safetensors")
    partly = {n: v for n, v in original.items() if "encoder" not in n}
    refused(saved(partly, tmp_path / "decoder.safetensors"), "vae", "lacks .* of a VAE's weights")
    renamed = {n: v for n, v in pipe.vae.state_dict().items() if not n.startswith("encoder.conv")}
    refused(
        saved(renamed, tmp_path / "some.safetensors"),
        "vae",
        "lacks 6 of a VAE's weights, encoder",
    )
    wide = {n: torch.zeros(16, *v.shape[1:]) for n, v in original.items() if "conv_out" in n}
    refused(saved({**original, **wide}, tmp_path / "flux.safetensors"), "vae", "do not fit")


@pytest.mark.parametrize("family", ["sd15"], indirect=True)
def test_a_controlnet_for_another_base_is_refused(a1111: Any, base: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetModel

    pipe = load.load_text_to_image(base)
    net = ControlNetModel.from_unet(pipe.unet, load_weights_from_unet=False)
    config = {**config_of(ControlNetModel, pipe), "cross_attention_dim": 48}
    weights = ControlNetModel.from_config(config).state_dict()
    for layout in ("bare", "diffusers'"):
        file = controlnet_file(layout, a1111, weights, tmp_path)
        with pytest.raises(load.CheckpointError, match=r"another base: text features of 48.* 32"):
            load.load_controlnet_inpaint("", [file], base=pipe)
    lacking = a1111.controlnet(net.state_dict())
    del lacking["control_model.zero_convs.0.0.weight"]
    with pytest.raises(load.CheckpointError, match="lacks 1 of a ControlNet's weights"):
        load.load_controlnet_inpaint("", [saved(lacking, tmp_path / "x.safetensors")], base=pipe)


@pytest.mark.parametrize("family", ["sd15"], indirect=True)
def test_the_kind_of_a_file_is_known_by_its_names(a1111: Any, base: Path, tmp_path: Path) -> None:
    from diffusers import ControlNetModel

    pipe = load.load_text_to_image(base)
    net = ControlNetModel.from_unet(pipe.unet).state_dict()
    files = {
        "text-to-image": base,
        "vae": saved(pipe.vae.state_dict(), tmp_path / "a.safetensors"),
        "controlnet": saved(net, tmp_path / "b.safetensors"),
        "lora": saved(OTHERS["lora"][0], tmp_path / "c.safetensors"),
        "model": saved({"x": torch.zeros(1)}, tmp_path / "x.ckpt"),
    }
    for kind, file in files.items():
        assert model_kind.guess_kind(str(file)) == kind
        assert hub_status.look_up(str(file)).entry.kind == kind
    assert weights_kind(a1111.controlnet(net)) == "controlnet"
    assert weights_kind(a1111.vae(pipe.vae.state_dict())) == "vae"
