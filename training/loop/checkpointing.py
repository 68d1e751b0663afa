"""What of a trainer goes into a checkpoint, and back. `state.py` has the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import unwritten
from ..lora import save as lora_save
from . import checkpoint, optimizers

if TYPE_CHECKING:
    from .trainer import Trainer

_RATES = ("lr", "initial_lr", "betas", "eps", "weight_decay")


def save(trainer: Trainer) -> None:
    """Write a checkpoint of this step, by the first process; raises TrainingWriteError."""
    accelerator = trainer.accelerator
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    tensors: dict[str, Any] = {
        "weights": {n: p.detach().cpu() for n, p in trainer.parameters.items()},
        "optimizer": trainer.optimizer.state_dict(),
    }
    if trainer.ema is not None:
        tensors["ema"] = trainer.ema.state_dict()
    if accelerator.scaler is not None:
        tensors["scaler"] = accelerator.scaler.state_dict()
    try:
        checkpoint.save(
            trainer.folder,
            trainer.step,
            tensors=tensors,
            about=about(trainer),
            lora=lora_save.diffusers(trainer.models.parts),
            limit=trainer.settings.checkpoints_total_limit,
        )
    except OSError as error:
        raise unwritten(error, trainer.folder, trainer.last) from None


def about(trainer: Trainer) -> dict[str, Any]:
    """What a resumption is compared with."""
    settings = trainer.settings.model_dump(mode="json")
    return {"settings": {**settings, "batch": trainer.size}, "data": trainer.data.identity}


def resume(trainer: Trainer, saved: checkpoint.TrainingCheckpoint) -> None:
    """Take up weights, optimizer, average, loss scale and step of a checkpoint.

    Raises TrainingError where data or settings are not what they were.
    """
    import torch

    checkpoint.compare(saved, about(trainer)["settings"], trainer.data.identity)
    with torch.no_grad():
        for name, value in trainer.parameters.items():
            value.copy_(saved.tensors["weights"][name])
    groups = trainer.schedule.optimizer.param_groups
    own = [{k: g[k] for k in _RATES if k in g} for g in groups]
    trainer.optimizer.load_state_dict(saved.tensors["optimizer"])
    for group, values in zip(trainer.schedule.optimizer.param_groups, own, strict=True):
        group.update(values)  # the settings' own, which may have been changed
    if trainer.ema is not None and "ema" in saved.tensors:
        trainer.ema.load_state_dict(saved.tensors["ema"])
        trainer.ema.to(trainer.accelerator.device)
    if trainer.accelerator.scaler is not None and "scaler" in saved.tensors:
        trainer.accelerator.scaler.load_state_dict(saved.tensors["scaler"])
    trainer.step = saved.step
    optimizers.set_step(trainer.schedule, trainer.step)
