"""LoHa, LoKr, (IA)³, OFT, DoRA, whole differences: the attached model is W + w·ΔW by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tiny_loras as tiny
from safetensors.torch import save_file
from torch import nn

from visuals.checkpoints.lora import file as lora_file
from visuals.checkpoints.lora.file import LoraFileError
from visuals.checkpoints.lora.search import in_folders
from visuals.stages.diffusion import lora_adapters
from visuals.stages.prompts.lora_tags import LoraTag

RANK, ALPHA = 2, 3.0
KINDS = ("LoHa", "LoKr", "(IA)^3", "OFT", "DoRA", "full difference")
Module = tuple[dict[str, torch.Tensor], torch.Tensor]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape) / 4


def loha(weight: torch.Tensor) -> Module:
    out, inside = weight.shape[0], weight[0].numel()
    t = {f"hada_w{k}_{side}": random(*shape) for k in (1, 2)
         for side, shape in (("a", (out, RANK)), ("b", (RANK, inside)))}  # fmt: skip
    if weight.ndim == 4 and weight.shape[-1] == 3:  # the Tucker form
        one, two = (random(RANK, RANK, 3, 3) for _ in range(2))
        t |= {"hada_t1": one, "hada_t2": two}
        for k in (1, 2):
            t[f"hada_w{k}_a"], t[f"hada_w{k}_b"] = random(RANK, out), random(RANK, weight.shape[1])
        halves = [
            sum(
                t[f"hada_w{k}_a"][i].reshape(-1, 1, 1, 1)
                * t[f"hada_w{k}_b"][j].reshape(1, -1, 1, 1)
                * core[i, j]
                for i in range(RANK)
                for j in range(RANK)
            )
            for k, core in ((1, one), (2, two))
        ]
        delta = halves[0] * halves[1]
    else:
        delta = (t["hada_w1_a"] @ t["hada_w1_b"]) * (t["hada_w2_a"] @ t["hada_w2_b"])
    return {**t, "alpha": torch.tensor(ALPHA)}, delta.reshape(weight.shape) * ALPHA / RANK


def lokr(weight: torch.Tensor) -> Module:
    out, inside, rest = weight.shape[0] // 2, weight.shape[1] // 2, weight[0, 0].numel()
    one, a, b = random(2, 2), random(out, RANK), random(RANK, inside * rest)
    block = (a @ b).reshape(out, inside, *weight.shape[2:])
    t = {"lokr_w1": one, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": torch.tensor(ALPHA)}
    if rest == 9:  # the Tucker form
        core, a, b = random(RANK, RANK, 3, 3), random(RANK, out), random(RANK, inside)
        inner = [[a.T @ core[:, :, k, m] @ b for m in range(3)] for k in range(3)]
        block = torch.stack([torch.stack(row, -1) for row in inner], -2)
        t |= {"lokr_t2": core, "lokr_w2_a": a, "lokr_w2_b": b}
    rows = [torch.cat([one[i, j] * block for j in range(2)], 1) for i in range(2)]
    return t, torch.cat(rows) * ALPHA / RANK


def ia3(weight: torch.Tensor) -> Module:
    on_input = weight.shape[0] != weight.shape[1]
    factors = random(weight.shape[1 if on_input else 0])
    delta = weight.clone()
    for k, factor in enumerate(factors):
        if on_input:
            delta[:, k] *= factor
        else:
            delta[k] *= factor
    return {"weight": factors, "on_input": torch.tensor(on_input)}, delta


def oft(weight: torch.Tensor) -> Module:
    blocks = random(2, weight.shape[0] // 2, weight.shape[0] // 2)
    turned = []
    for block, rows in zip(blocks, weight.flatten(1).chunk(2), strict=True):
        skew, eye = block - block.T, torch.eye(len(block))
        turned.append(torch.linalg.solve(eye - skew, eye + skew).T @ rows)
    return {"oft_blocks": blocks}, torch.cat(turned).reshape(weight.shape) - weight


def dora(weight: torch.Tensor) -> Module:
    down = random(RANK, *weight.shape[1:])
    up = random(weight.shape[0], RANK, *[1] * (weight.ndim - 2))
    whole = weight + (up.flatten(1) @ down.flatten(1)).reshape(weight.shape) * ALPHA / RANK
    lengths = 1 + torch.rand(weight.shape[1])
    scaled = torch.stack(
        [whole[:, k] / whole[:, k].norm() * lengths[k] for k in range(weight.shape[1])], 1
    )
    t = {"lora_down.weight": down, "lora_up.weight": up, "alpha": torch.tensor(ALPHA),
         "dora_scale": lengths.reshape(1, -1, *[1] * (weight.ndim - 2))}  # fmt: skip
    return t, scaled - weight


def full(weight: torch.Tensor) -> Module:
    diff = random(*weight.shape)
    return {"diff": diff}, diff


MAKERS = dict(zip(KINDS, (loha, lokr, ia3, oft, dora, full), strict=True))


def layers(pipe: Any) -> dict[tuple[str, str], Any]:
    return {
        (part, name.removeprefix("text_model.")): module
        for part, model in tiny.parts(pipe).items()
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and (tiny.ATTENTION.fullmatch(name) or tiny.CONV.fullmatch(name))
    }


@pytest.mark.parametrize("base", ["sd15", "sdxl"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_acts_as_the_hand_computes(kind: str, base: str, tmp_path: Path) -> None:
    pipe = tiny.pipeline(base)
    torch.manual_seed(3)
    tensors, expected = {}, {}
    for (part, module), layer in layers(pipe).items():
        weight = layer.weight.detach().clone()
        made, delta = MAKERS[kind](weight)
        name = tiny.kohya_name(part, module, base)
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in made.items()}
        expected[part, module] = weight + 0.5 * delta
    save_file(tensors, tmp_path / "x.safetensors")
    found = lora_file.read(tmp_path / "x.safetensors")
    assert (found.format, dict(found.unread)) == (kind, {})
    lora_adapters.attach(pipe, [LoraTag("x", 0.5, 0.5)], in_folders([tmp_path]), fuse=True)
    for place, layer in layers(pipe).items():
        got = getattr(layer, "base_layer", layer).weight
        worst = (got - expected[place]).abs().max().item()
        assert worst < 1e-4 * max(1.0, expected[place].abs().max().item()), (place, worst)


KEY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
LORA = {f"{KEY}.lora_down.weight": torch.zeros(2, 8), f"{KEY}.lora_up.weight": torch.zeros(8, 2)}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("lora_unet_mid_block_resnets_0_norm1.w_norm", "norm layers"),
        ("lora_unet_mid_block_resnets_0_norm1.b_norm", "norm layers"),
        ("bundle_emb.style.string_to_param.*", "a textual inversion"),
        ("lycoris_down_blocks_0_attentions_0_proj_in.lokr_w1", "lycoris_ names"),
        (f"{KEY}.diff_b", "differences of biases"),
        (f"{KEY}.lora_down.bias", "biases"),
        ("unet.mid_block.x.lora_magnitude_vector", "other names"),
        ("something.else", "other names"),
    ],
)
def test_keys_that_are_not_read_are_counted_by_kind(key: str, kind: str, tmp_path: Path) -> None:
    save_file({**LORA, key: torch.zeros(2)}, tmp_path / "x.safetensors")
    assert dict(lora_file.read(tmp_path / "x.safetensors").unread) == {kind: 1}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({f"{KEY}.lora_down.weight": torch.zeros(2, 8, 1, 1),
          f"{KEY}.lora_up.weight": torch.zeros(8, 2, 1, 1)},
         r"has the shape \[2, 8, 1, 1\], the model's layer \[8, 8\]"),
        ({**LORA, f"{KEY}.lora_up.weight": torch.full((8, 2), torch.nan)}, "holds NaN"),
        ({**LORA, f"{KEY}.lora_up.weight": torch.full((8, 2), 9.0),
          f"{KEY}.alpha": torch.tensor(3e38)}, "more than torch.float32 can"),
        ({f"{KEY}.diff": torch.zeros(3, 5)}, "does not fit the model"),
        ({f"{KEY}.diff": torch.zeros(16, 4)}, "16 rows, the model's layer has 8"),
        ({f"{KEY}.oft_blocks": torch.zeros(3, 2, 2)}, "the model's layer has 8 rows"),
        ({**LORA, f"{KEY}.lora_up.weight": torch.zeros(8, 3)}, "do not fit each other"),
        ({**LORA, f"{KEY}.lora_up.weight": torch.zeros(8, 3), f"{KEY}.dora_scale": torch.ones(8)},
         "do not fit each other"),
        ({**LORA, f"{KEY}.lora_mid.weight": torch.zeros(2, 2, 3, 3)}, "do not fit each other"),
        ({f"{KEY}.lokr_w1": torch.zeros(2000, 2000), f"{KEY}.lokr_w2": torch.zeros(2000, 2000)},
         "16000000000000 numbers, the model's layer has 64"),
        ({f"{KEY}.hada_w{k}_{side}": torch.zeros(*shape) for k in (1, 2)
          for side, shape in (("a", (10**6, 1)), ("b", (1, 10**6)))},
         "1000000000000 numbers, the model's layer has 64"),
        ({f"{KEY.removesuffix('_attn1_to_q')}.lora_{half}.weight": torch.zeros(2, 2)
          for half in ("down", "up")}, "does not fit the model"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_one_sentence(
    tensors: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(LoraFileError, match=message) as caught:
        lora_adapters.attach(
            tiny.pipeline("sd15"), [LoraTag("x", 1.0, 1.0)], in_folders([tmp_path])
        )
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
