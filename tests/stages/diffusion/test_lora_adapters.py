"""LoRA arithmetic: W + Σ wᵢ·(αᵢ/rᵢ)·BᵢAᵢ by hand against the attached model, by format and base."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_loras as tiny
from safetensors.torch import load_file, save_file

from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora.search import in_folders
from visuals.stages.accel import lora_fusion
from visuals.stages.diffusion import lora_adapters
from visuals.stages.prompts.lora_tags import LoraTag, parse


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pipe(kind: str) -> Any:
    return tiny.pipeline(kind)


def plain(pipe: Any) -> dict[tuple[str, str], torch.Tensor]:
    """The weights by part and module, LoRA layers left out."""
    return {
        (part, name.removeprefix("text_model.")): module.weight.detach().clone()
        for part, model in tiny.parts(pipe).items()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and "lora_" not in name
        and not name.endswith("base_layer")
    }  # fmt: skip


def effective(pipe: Any) -> dict[tuple[str, str], torch.Tensor]:
    """The weights that act: what each layer answers to the unit vectors, less what it answers to
    nothing; a convolution's from its merged copy."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    out = {}
    for part, model in tiny.parts(pipe).items():
        for name, module in model.named_modules():
            if not isinstance(module, BaseTunerLayer):
                continue
            base = module.get_base_layer()
            with torch.no_grad():
                if isinstance(base, torch.nn.Linear):
                    eye = torch.eye(base.in_features)
                    weight = (module(eye) - module(torch.zeros_like(eye))).T
                elif module.disable_adapters:
                    weight = base.weight
                else:
                    merged = copy.deepcopy(module)
                    merged.merge()
                    weight = merged.get_base_layer().weight
            out[part, name.removeprefix("text_model.")] = weight.detach().clone()
    return out


def check(pipe: Any, before: Any, *chain: tuple[Any, float, float]) -> None:
    """Every LoRA layer's weight is W + Σ w·delta; every module of the files is one."""
    after = effective(pipe)
    changed = {(p, m) for changes, _, _ in chain for p, ms in changes.items() for m in ms}
    assert changed <= set(after)
    for key, got in after.items():
        expected = before[key].clone()
        for changes, unet, text in chain:
            d = changes.get(key[0], {}).get(key[1])
            if d is not None:
                expected += (unet if key[0] == "unet" else text) * d.full(expected)
        worst = (got - expected).abs().max().item()
        assert worst < 1e-5 * max(1.0, expected.abs().max().item()), (key, worst)


def unharmed(pipe: Any, before: Any) -> None:
    """Nothing acts any more, and once the layers are gone the weights are the old bits."""
    check(pipe, before)
    pipe.unload_lora_weights()
    after = plain(pipe)
    assert set(after) == set(before) and all(torch.equal(after[k], before[k]) for k in before)


FORMS = [("kohya", False), ("kohya", True), ("peft", False), ("peft", True), ("diffusers", False)]


def test_three_chained_of_three_formats_weigh_and_switch(
    pipe: Any, kind: str, tmp_path: Path
) -> None:
    a = tiny.deltas(pipe, conv=True, seed=1, every=2)
    b = tiny.deltas(pipe, conv=False, seed=2, every=3)
    c = {"unet": tiny.deltas(pipe, conv=False, seed=3, every=5, alpha=None)["unet"]}
    tiny.write(a, tmp_path / "a.safetensors", "kohya", kind)
    tiny.write(b, tmp_path / "b.safetensors", "peft", kind)
    tiny.write(c, tmp_path / "c.safetensors", "diffusers", kind)
    before = plain(pipe)
    lora_adapters.attach(
        pipe, parse("<lora:a:0.5:1> <lora:b:-0.4> mug <lora:c:0.8>")[1], in_folders([tmp_path])
    )
    check(pipe, before, (a, 1.0, 0.5), (b, -0.4, -0.4), (c, 0.8, 0.8))
    lora_adapters.attach(
        pipe, parse("<lora:c:1> <lora:b:0.1> <lora:b:0.2>")[1], in_folders([tmp_path])
    )
    check(pipe, before, (b, 0.3, 0.3), (c, 1.0, 1.0))
    lora_adapters.attach(pipe, [], in_folders([tmp_path]))
    unharmed(pipe, before)


@pytest.mark.parametrize(("form", "conv"), FORMS)
def test_one_lora_and_three_are_what_the_hand_computes(
    pipe: Any, kind: str, form: str, conv: bool, tmp_path: Path
) -> None:
    alpha = None if form == "diffusers" else 2.0  # that format has no alphas
    weights = {"a": (0.7, 0.7), "b": (-0.4, 0.2), "c": (1.0, 0.0)}  # of the UNet, of the encoders
    made = []
    for seed, (name, both) in enumerate(weights.items(), 1):
        changes = tiny.deltas(pipe, conv=conv, seed=seed, every=seed, alpha=alpha)
        tiny.write(changes, tmp_path / f"{name}.safetensors", form, kind)
        made.append((changes, *both))
    first = made[0][0]
    assert len(first) == (2 if kind == "sd15" else 3)
    before = plain(pipe)
    lora_adapters.attach(pipe, [LoraTag("a", 0.7, 0.7)], in_folders([tmp_path]))
    check(pipe, before, (first, 0.7, 0.7))
    lora_adapters.attach(pipe, parse("mug <lora:a:0.5:1>")[1], in_folders([tmp_path]))
    check(pipe, before, (first, 1.0, 0.5))
    tags = " ".join(f"<lora:{n}:unet={u}:te={te}>" for n, (u, te) in weights.items())
    lora_adapters.attach(pipe, parse(tags)[1], in_folders([tmp_path]))
    check(pipe, before, *made)
    lora_adapters.attach(pipe, [], in_folders([tmp_path]))
    unharmed(pipe, before)


def test_what_files_leave_out(pipe: Any, kind: str, tmp_path: Path) -> None:
    """No alpha, alpha 0, no `text_model`, halves of the text encoder alone, PEFT's own folder."""
    changes = tiny.deltas(pipe, conv=False, seed=4, every=4, alpha=None)
    text = {"text_encoder": changes["text_encoder"]}
    tiny.write(changes, tmp_path / "none.safetensors", "kohya", kind, alphas=False)
    tiny.write(changes, tmp_path / "bare.safetensors", "kohya", kind, text_model=False)
    tiny.write(text, tmp_path / "text.safetensors", "peft", kind, text_model=False)
    zero = load_file(tmp_path / "none.safetensors")
    names = [k.removesuffix(".lora_up.weight") for k in zero if k.endswith("lora_up.weight")]
    zero |= {f"{name}.alpha": torch.tensor(0.0) for name in names}
    save_file(zero, tmp_path / "zero.safetensors")
    (tmp_path / "own").mkdir()
    own = {"unet": tiny.deltas(pipe, conv=False, seed=5, every=4)["unet"]}
    tiny.write(own, tmp_path / "own" / "adapter_model.safetensors", "wrapped", kind)
    before = plain(pipe)
    for name, expected in [
        ("none", changes), ("bare", changes), ("zero", changes), ("text", text), ("own", own),
    ]:  # fmt: skip
        lora_adapters.attach(pipe, [LoraTag(name)], in_folders([tmp_path]))
        check(pipe, before, (expected, 1.0, 1.0))


def test_a_tucker_kernel_is_worked_in(pipe: Any, kind: str, tmp_path: Path) -> None:
    down, mid, up = torch.randn(2, 8, 1, 1), torch.randn(2, 2, 3, 3), torch.randn(8, 2, 1, 1)
    name = tiny.kohya_name("unet", "down_blocks.0.resnets.0.conv1", kind)
    halves = {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up}
    alpha = {"alpha": torch.tensor(1.0, dtype=torch.bfloat16)}
    save_file(
        {f"{name}.{k}": v for k, v in {**halves, **alpha}.items()}, tmp_path / "x.safetensors"
    )
    x = torch.randn(1, 8, 5, 5)
    plain_conv = pipe.unet.down_blocks[0].resnets[0].conv1
    expected = plain_conv(x) + 0.5 * torch.conv2d(
        torch.conv2d(torch.conv2d(x, down), mid, padding=1), up
    )
    lora_adapters.attach(pipe, [LoraTag("x")], in_folders([tmp_path]))
    got = pipe.unet.down_blocks[0].resnets[0].conv1(x)
    assert torch.allclose(got, expected, atol=1e-4)
    assert lora_file.read(tmp_path / "x.safetensors").alphas == (1.0,)


def test_fused_is_unfused_within_a_ten_thousandth(pipe: Any, kind: str, tmp_path: Path) -> None:
    changes = tiny.deltas(pipe, conv=True, seed=6, every=2)
    tiny.write(changes, tmp_path / "x.safetensors", "kohya", kind)
    before = plain(pipe)
    latents, time, text = torch.randn(1, 4, 8, 8), torch.tensor(10), torch.randn(1, 3, 24)
    extra: dict[str, Any] = {}
    if kind == "sdxl":
        text = torch.randn(1, 3, 40)
        ids = torch.zeros(1, 6)
        extra = {"added_cond_kwargs": {"text_embeds": torch.randn(1, 24), "time_ids": ids}}

    def drawn() -> torch.Tensor:
        with torch.inference_mode():
            return pipe.unet(latents, time, text, **extra).sample

    tags = [LoraTag("x", 0.1, 0.1)]
    base = drawn()
    lora_adapters.attach(pipe, tags, in_folders([tmp_path]))
    unfused = drawn()
    assert (unfused - base).abs().max() > 1e-3
    lora_adapters.attach(pipe, tags, in_folders([tmp_path]), fuse=True)
    layer = next(m for m in pipe.unet.modules() if getattr(m, "merged_adapters", None))
    fused = drawn()
    assert (fused - unfused).abs().max() < 1e-4
    lora_adapters.attach(pipe, [LoraTag("x", 0.2, 0.2)], in_folders([tmp_path]), fuse=True)
    assert layer.merged_adapters
    check(pipe, before, (changes, 0.2, 0.2))
    lora_adapters.attach(pipe, tags, in_folders([tmp_path]), fuse=True)
    assert torch.equal(drawn(), fused)
    lora_adapters.attach(pipe, tags, in_folders([tmp_path]), fuse=False)
    assert torch.equal(drawn(), unfused)
    lora_adapters.attach(pipe, [], in_folders([tmp_path]), fuse=True)
    assert torch.equal(drawn(), base)


def test_weights_come_back_bit_for_bit_in_half_precision(kind: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(kind)
    for name in ("x", "y"):
        changes = tiny.deltas(pipe, conv=True, seed=ord(name), every=2)
        tiny.write(changes, tmp_path / f"{name}.safetensors", "kohya", kind)
    for model in tiny.parts(pipe).values():
        model.to(torch.bfloat16)
    before = plain(pipe)
    for tags in (
        [LoraTag("x")],
        [LoraTag("y", 0.5)],
        [LoraTag("x", 0.3), LoraTag("y", -1)],
        [],
    ) * 2:
        lora_adapters.attach(pipe, tags, in_folders([tmp_path]), fuse=True)
        after = {
            (part, name.removeprefix("text_model.")): module.get_base_layer().weight
            for part, model in tiny.parts(pipe).items()
            for name, module in model.named_modules()
            if hasattr(module, "get_base_layer")
        }
        same = [torch.equal(weight, before[place]) for place, weight in after.items()]
        assert all(same) if not tags else not any(same)


def test_a_fusion_that_fails_leaves_no_layer_with_some_of_its_loras(
    pipe: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plain(pipe)
    chain = [(tiny.deltas(pipe, conv=False, seed=seed), 0.5, 0.5) for seed in (1, 2)]
    for name, (changes, *_) in zip("xy", chain, strict=True):
        tiny.write(changes, tmp_path / f"{name}.safetensors", "kohya", kind)
    tags = [LoraTag(name, 0.5, 0.5) for name in "xy"]

    def attach(*, fuse: bool = True) -> None:
        lora_adapters.attach(pipe, tags, in_folders([tmp_path]), fuse=fuse)

    attach(fuse=False)
    layer = type(next(m for m in pipe.unet.modules() if hasattr(m, "get_base_layer")))
    whole, asked = layer.get_delta_weight, []

    def short_of_memory(self: Any, adapter: str) -> torch.Tensor:
        asked.append(adapter)
        if len(asked) == 4:  # the second of the second layer
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, adapter)

    monkeypatch.setattr(layer, "get_delta_weight", short_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        attach()
    check(pipe, before, *chain)
    attach()
    assert len(asked) > 8
    check(pipe, before, *chain)


def test_loras_are_fused_by_themselves_where_their_originals_find_room(
    pipe: Any, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write(tiny.deltas(pipe, conv=False, seed=1), tmp_path / "x.safetensors", "kohya", kind)

    def is_fused(*, fuse: bool | None = None) -> bool:
        lora_adapters.attach(pipe, [LoraTag("x")], in_folders([tmp_path]), fuse=fuse)
        return any(getattr(m, "merged_adapters", None) for m in pipe.unet.modules())

    assert is_fused() and not is_fused(fuse=False)
    monkeypatch.setattr(lora_fusion, "main_memory", lambda: (10**5, 10**5))
    assert not is_fused() and is_fused(fuse=True)
    lora_adapters.attach(pipe, [], in_folders([tmp_path]))
    monkeypatch.undo()
    layer = next(m for m in pipe.unet.modules() if hasattr(m, "get_base_layer")).get_base_layer()
    layer.weight = torch.nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    assert not is_fused(), "quantised"
    assert lora_adapters.fused(None, accelerate=False) is False


def test_a_lora_of_another_base_is_refused_by_the_loaded_model(tmp_path: Path) -> None:
    sd15, sdxl = tiny.pipeline("sd15"), tiny.pipeline("sdxl")
    changes = {"unet": tiny.deltas(sdxl, conv=False, seed=1, every=9)["unet"]}
    tiny.write(changes, tmp_path / "big.safetensors", "kohya", "sdxl")
    with pytest.raises(lora_file.WrongBaseError, match=r"'big' was trained for SDXL.*the model is"):
        lora_adapters.attach(sd15, [LoraTag("big")], in_folders([tmp_path]))
    assert not hasattr(sd15.unet, "peft_config")


def test_modules_that_the_model_has_not_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = tiny.pipeline("sd15")
    changes = tiny.deltas(pipe, conv=False, seed=1, every=9)
    own = tiny.Delta(torch.ones(2, 8), torch.ones(8, 2), 1.0)
    changes["unet"]["up_blocks.9.attentions.0.proj_in"] = own
    tiny.write(changes, tmp_path / "odd.safetensors", "kohya", "sd15")
    lora_adapters.attach(pipe, [LoraTag("odd")], in_folders([tmp_path]))
    assert "LoRA odd: 1 of its" in caplog.text


@pytest.mark.parametrize("form", ["kohya", "peft", "lokr"])
def test_a_lora_of_which_the_model_has_no_module_is_refused(form: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline("sd15")
    before = plain(pipe)
    own = tiny.Delta(torch.ones(2, 8), torch.ones(8, 2), 1.0)
    odd, module = tmp_path / "odd.safetensors", "up_blocks.9.attentions.0.proj_in"
    if form == "lokr":
        name = f"lora_unet_{module.replace('.', '_')}"
        save_file({f"{name}.lokr_{half}": torch.ones(4, 4) for half in ("w1", "w2")}, odd)
    else:
        tiny.write({"unet": {module: own}}, odd, form, "sd15")
    for _ in range(2):  # the first leaves nothing behind
        with pytest.raises(lora_file.LoraFileError, match="does not fit the model"):
            lora_adapters.attach(pipe, [LoraTag("odd")], in_folders([tmp_path]))
    lora_adapters.attach(pipe, [], in_folders([tmp_path]))
    unharmed(pipe, before)
