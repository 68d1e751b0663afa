"""A training loop that can be stopped at any moment and goes on as if it had not been.

Every step draws its random numbers from (seed, step); the state (modules, optimizer, EMA, step,
seconds) is written beside and renamed. Knows no models and no data.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .step_display import shown


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are, and its inputs must be."""
    return next(module.parameters()).device


Loss = Callable[[int, np.random.Generator], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Budget:
    """How long and how fast to learn. `minutes`, when given, ends the schedule by the clock
    (then a run is no longer the same on a faster machine); `decay_from`: share of the budget
    after which the rate falls by cosine to nothing."""

    steps: int
    lr: float
    minutes: float | None = None
    warmup: int = 100
    decay_from: float = 0.6
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float | None = None


def rate(budget: Budget, step: int, progress: float) -> float:
    """Learning rate at a step; `progress` is the share of the budget used, 0..1."""
    warm = min(1.0, (step + 1) / max(1, budget.warmup))
    late = max(0.0, (progress - budget.decay_from) / max(1e-9, 1 - budget.decay_from))
    return budget.lr * warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, late)))


class _Means:
    """Running means of a training's figures, and the pace, since they were last taken."""

    def __init__(self) -> None:
        self._totals: dict[str, float] = {}
        self._count, self._since = 0, time.monotonic()

    def add(self, numbers: dict[str, float]) -> None:
        for key, value in numbers.items():
            self._totals[key] = self._totals.get(key, 0.0) + value
        self._count += 1

    def take(self) -> str:
        now = time.monotonic()
        text = " ".join(f"{k} {v / self._count:.4g}" for k, v in self._totals.items())
        pace = (now - self._since) / self._count
        self._totals, self._count, self._since = {}, 0, now
        return f"{text} {pace:.3f} s/step"


def _clock(device: torch.device) -> float:
    """Seconds that count against a budget: on a CPU those this process ran, a thread's share, so
    that a busy machine makes a training longer and not worse; else those of the clock."""
    if device.type == "cpu":
        return time.process_time() / torch.get_num_threads()
    return time.monotonic()


def _save(path: Path, state: dict[str, Any]) -> None:
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    os.replace(beside, path)


def train(
    name: str,
    *,
    workdir: Path,
    modules: dict[str, nn.Module],
    loss_fn: Loss,
    budget: Budget,
    seed: int,
    log_every: int = 50,
    save_every_s: float = 120.0,
    param_groups: Iterable[dict[str, Any]] | None = None,
) -> None:
    """Train `modules` in place until the budget is used; a finished run only loads its result.

    `loss_fn(step, rng)` returns the loss and numbers to log. With `budget.ema` the modules end
    as the moving average of their weights. State: workdir/name.pt.
    """
    path = workdir / f"{name}.pt"
    workdir.mkdir(parents=True, exist_ok=True)
    params: list[Tensor] = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = (
        list(param_groups) if param_groups is not None else [{"params": params}]
    )
    for group in groups:
        group.setdefault("scale", 1.0)
    optimizer = torch.optim.AdamW(
        groups, lr=budget.lr, weight_decay=budget.weight_decay, betas=(0.9, 0.99)
    )
    ema = [p.detach().clone() for p in params] if budget.ema else []
    step, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True, map_location=params[0].device)
        for key, module in modules.items():
            module.load_state_dict(state["modules"][key])
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for a, b in zip(ema, state["ema"], strict=True):
                a.copy_(b)
        step, seconds = state["step"], state["seconds"]
        print(f"{name}: resumed at step {step}, {seconds / 60:.1f} min", flush=True)

    def snapshot() -> None:
        _save(
            path,
            {
                "modules": {k: m.state_dict() for k, m in modules.items()},
                "optimizer": optimizer.state_dict(),
                "ema": ema,
                "step": step,
                "seconds": seconds,
            },
        )

    def used() -> float:
        by_clock = seconds / 60 / budget.minutes if budget.minutes else 0.0
        return max(step / budget.steps, by_clock)

    for module in modules.values():
        module.train()
    means = _Means()
    device = params[0].device
    last, saved = _clock(device), time.monotonic()
    with shown(name) as show:
        while used() < 1.0:
            torch.manual_seed(seed * 1_000_003 + step)
            for group in cast(list[dict[str, Any]], optimizer.param_groups):
                group["lr"] = rate(budget, step, used()) * group["scale"]
            loss, numbers = loss_fn(step, np.random.default_rng([seed, step]))
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"{name}: loss is {loss.item()} at step {step}; lower the rate"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, budget.clip_norm)
            optimizer.step()
            step += 1
            if budget.ema:
                decay = min(budget.ema, (1 + step) / (10 + step))
                with torch.no_grad():
                    torch._foreach_lerp_(ema, params, 1 - decay)
            now = _clock(device)
            seconds, last = seconds + now - last, now
            means.add({"loss": loss.item(), **numbers})
            due = step % log_every == 0 or used() >= 1.0
            lr = optimizer.param_groups[0]["lr"]
            text = f"step {step} {seconds / 60:.1f} min {means.take()} lr {lr:.2g}" if due else None
            show(used(), text)
            if time.monotonic() - saved > save_every_s:
                snapshot()
                saved = time.monotonic()
    snapshot()
    if budget.ema:
        with torch.no_grad():
            for p, a in zip(params, ema, strict=True):
                p.copy_(a)
    for module in modules.values():
        module.eval()
