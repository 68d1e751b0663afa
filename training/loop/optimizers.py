"""Optimizers by kohya's names and learning-rate schedules by diffusers' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...configs.errors import MissingDependencyError, UsageError

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings


class OptimizerError(UsageError):
    """An optimizer that does not run on this machine."""


def build(
    settings: TrainSettings, groups: Sequence[tuple[Sequence[Any], float]], *, on_gpu: bool
) -> torch.optim.Optimizer:
    """Build the optimizer of `settings`. `groups`: (parameters, learning rate) pairs.

    Raises OptimizerError without the GPU it needs, MissingDependencyError without its library.
    """
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
        bnb = _library("bitsandbytes", "AdamW8bit")
        return bnb.optim.AdamW8bit(  # type: ignore[no-any-return]
            params, lr=lr, betas=betas, weight_decay=decay, eps=s.adam_epsilon
        )
    if s.optimizer_type == "Prodigy":
        prodigy = _library("prodigyopt", "Prodigy")
        return prodigy.Prodigy(  # type: ignore[no-any-return]
            params,
            lr=lr,
            betas=betas,
            weight_decay=decay,
            eps=s.adam_epsilon,
            use_bias_correction=True,
            safeguard_warmup=True,
        )
    from transformers.optimization import Adafactor

    return Adafactor(  # type: ignore[no-any-return]
        params,
        lr=lr,
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
        weight_decay=decay,
    )


def _library(module: str, name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise MissingDependencyError(f"optimizer_type {name!r}: {module}", "train") from None


def schedule(settings: TrainSettings, optimizer: Any, total: int) -> Any:
    """Build the learning-rate schedule over `total` steps; warm-up below 1 is a share of them."""
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
    """Move a schedule to where it is after `step` steps, at the rates of the settings."""
    schedule.last_epoch = step
    rates = [
        base * rate(step) for base, rate in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
    ]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = rates
