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
    options: dict[str, Any] = {
        "lr": groups[0][1],
        "betas": (s.adam_beta1, s.adam_beta2),
        "weight_decay": s.adam_weight_decay,
        "eps": s.adam_epsilon,
    }
    optimizer: torch.optim.Optimizer
    if s.optimizer_type == "AdamW":
        optimizer = torch.optim.AdamW(params, fused=True, **options)
    elif s.optimizer_type == "AdamW8bit":
        if not on_gpu:
            raise OptimizerError(
                "optimizer_type 'AdamW8bit' needs an NVIDIA GPU: expected AdamW on a CPU; set "
                "optimizer_type: AdamW"
            )
        optimizer = _library("bitsandbytes", "AdamW8bit").optim.AdamW8bit(params, **options)
    elif s.optimizer_type == "Prodigy":
        prodigy = _library("prodigyopt", "Prodigy").Prodigy
        optimizer = prodigy(params, use_bias_correction=True, safeguard_warmup=True, **options)
    else:
        from transformers.optimization import Adafactor

        fixed = {"scale_parameter": False, "relative_step": False, "warmup_init": False}
        optimizer = Adafactor(params, lr=options["lr"], weight_decay=s.adam_weight_decay, **fixed)
    return optimizer


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
