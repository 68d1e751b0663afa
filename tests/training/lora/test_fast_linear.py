"""The LoRA layers that learn: the same sums and gradients as peft's own, in every state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch

from visuals.training.lora import network as lora_network
from visuals.training.lora.fast_linear import FastLoraLinear, _Thin

SHAPES = [(5, 6), (2, 3, 6), (2, 2, 3, 6)]


class Transformer2DModel(torch.nn.Module):
    """Two layers, by a name that gets a LoRA."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Linear(6, 4)
        self.two = torch.nn.Linear(4, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(torch.tanh(self.one(x)))  # type: ignore[no-any-return]


class Model(torch.nn.Module):
    """What `network.attach` takes: a model with diffusers' `add_adapter`."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Transformer2DModel()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)  # type: ignore[no-any-return]

    def add_adapter(self, config: peft.LoraConfig) -> None:
        peft.inject_adapter_in_model(config, self)


def attached(dropout: float = 0.0) -> Model:
    """With a LoRA that changes something."""
    torch.manual_seed(1)
    model = Model()
    lora_network.attach(model, rank=2, alpha=3, dropout=dropout)
    for value in lora_network.parameters(model).values():
        torch.nn.init.normal_(value)
    return model


def plain(model: Model) -> Model:
    """The same weights in peft's own layers."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, FastLoraLinear):
            module.__class__ = peft.tuners.lora.Linear
    return other


def alike(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(mine[name], value, rtol=1e-5, atol=1e-4, msg=name)


def learned(model: Model, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What it says of x, and the gradients of x and of all that learns."""
    given = x.clone().requires_grad_()
    torch.manual_seed(2)  # of dropout
    said = model(given)
    said.pow(3).sum().backward()
    grads = {n: p.grad for n, p in lora_network.parameters(model).items() if p.grad is not None}
    return {"said": said.detach(), "x": given.grad, **grads}  # type: ignore[dict-item]


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each product that is done the cheaper way."""
    seen: list[int] = []
    done = _Thin.forward

    def counted(*args: Any) -> Any:
        seen.append(1)
        return done(*args)

    monkeypatch.setattr(_Thin, "forward", staticmethod(counted))
    return seen


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_and_gradients_are_pefts(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = attached().to(dtype)
    seen, x = calls(monkeypatch), torch.randn(shape, dtype=dtype)
    mine, theirs = learned(model, x), learned(plain(model), x)
    assert len(seen) == 2 and len(mine) == 2 + 4
    alike(mine, theirs)


def test_by_numbers() -> None:
    """torch's own check by finite differences."""
    torch.manual_seed(3)
    x, down, up = (torch.randn(*s, dtype=torch.float64) for s in ((4, 3), (2, 3), (5, 2)))
    weight, bias = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    for value in (x, down, up):
        value.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, down, up: _Thin.apply(x, weight, bias, down, up, 0.7), (x, down, up)
    )


def frozen_input(model: Model) -> dict[str, torch.Tensor]:
    model(torch.ones(3, 6)).sum().backward()
    return {
        n: p.grad.clone() for n, p in lora_network.parameters(model).items() if p.grad is not None
    }


def test_an_input_that_learns_nothing_has_no_gradient() -> None:
    model = attached()
    mine, theirs = frozen_input(model), frozen_input(plain(model))
    assert len(mine) == 4
    alike(mine, theirs)


def base_weight(model: Model) -> torch.Tensor:
    """W of the first layer."""
    return model.get_parameter("block.one.base_layer.weight")


STATES: dict[str, Callable[[Model], Any]] = {
    "merged": lambda m: [x.merge() for x in m.modules() if isinstance(x, FastLoraLinear)],
    "disabled": lambda m: [
        x.enable_adapters(False) for x in m.modules() if isinstance(x, FastLoraLinear)
    ],
    "half": lambda m: m.to(torch.bfloat16),
    "base learns": lambda m: base_weight(m).requires_grad_(),
}


@pytest.mark.parametrize("state", STATES)
def test_other_states_are_pefts_own(state: str) -> None:
    model = attached()
    STATES[state](model)
    x = torch.randn(3, 6, dtype=torch.bfloat16 if state == "half" else torch.float32)
    other = plain(model)
    torch.testing.assert_close(model(x), other(x), rtol=1e-5, atol=1e-6)
    if state == "base learns":
        model(x).sum().backward()
        assert base_weight(model).grad is not None


def test_dropout_and_autocast_are_pefts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, x = calls(monkeypatch), torch.randn(3, 6)
    model = attached(dropout=0.5).train()
    alike(learned(model, x), learned(plain(model), x))
    with torch.autocast("cpu", torch.bfloat16):
        assert attached()(x).dtype == torch.bfloat16
    assert not seen
    lora_network.set_scale([model], 0.5)  # at half its weight, no dropout when it only looks
    half = model.eval()(x)
    torch.testing.assert_close(half, plain(model)(x))
    assert len(seen) == 2
