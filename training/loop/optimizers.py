"""Optimizers by the names that kohya's users write, and learning-rate schedules by diffusers'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings


class OptimizerError(UsageError):
    """An optimizer that cannot be had here; the message says what to do."""


def build(
    settings: TrainSettings, groups: Sequence[tuple[Sequence[Any], float]], *, on_gpu: bool
) -> torch.optim.Optimizer:
    """`groups`: (parameters, learning rate). Raises OptimizerError where a library is missing."""
    import torch

    s = settings
    params = [{"params": list(some), "lr": rate} for some, rate in groups]
    lr, betas, decay = groups[0][1], (s.adam_beta1, s.adam_beta2), s.adam_weight_decay
    if s.optimizer_type == "AdamW":
        return torch.optim.AdamW(
            params, lr=lr, betas=betas, weight_decay=decay, eps=s.adam_epsilon, fused=True
        )
    if s.optimizer_type == "AdamW8bit":
        if not on_gpu:
            raise OptimizerError(
                "optimizer_type 'AdamW8bit' needs an NVIDIA GPU: expected AdamW on a CPU; set "
                "optimizer_type: AdamW"
            )
        bnb = _library("bitsandbytes", "bitsandbytes", "AdamW8bit")
        found: torch.optim.Optimizer = bnb.optim.AdamW8bit(
            params, lr=lr, betas=betas, weight_decay=decay, eps=s.adam_epsilon
        )
        return found
    if s.optimizer_type == "Prodigy":
        prodigy = _library("prodigyopt", "prodigyopt", "Prodigy")
        found = prodigy.Prodigy(
            params,
            lr=lr,
            betas=betas,
            weight_decay=decay,
            eps=s.adam_epsilon,
            use_bias_correction=True,
            safeguard_warmup=True,
        )
        return found
    from transformers.optimization import Adafactor

    return Adafactor(  # type: ignore[no-any-return]
        params,
        lr=lr,
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
        weight_decay=decay,
    )


def _library(module: str, package: str, name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise OptimizerError(
            f"optimizer_type {name!r} needs {package}, which is not installed: "
            f"pip install {package}, or set optimizer_type: AdamW"
        ) from None


def schedule(settings: TrainSettings, optimizer: Any, total: int) -> Any:
    """The learning rate's course over `total` steps; warm-up below 1 is a share of them."""
    from diffusers.optimization import get_scheduler

    warm = settings.lr_warmup_steps
    return get_scheduler(
        settings.lr_scheduler,
        optimizer,
        num_warmup_steps=round(warm * total) if isinstance(warm, float) else warm,
        num_training_steps=total,
        num_cycles=settings.lr_num_cycles,
        power=settings.lr_power,
    )


def set_step(schedule: Any, step: int) -> None:
    """Bring a fresh schedule to where it stands after `step` steps, at the settings' own rates."""
    schedule.last_epoch = step
    rates = [
        base * rate(step) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
    ]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = rates
