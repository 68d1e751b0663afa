"""Training session: a trainer with its output files."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints import atomic_files
from ..lora import save as lora_save
from . import checkpoint, file_metadata, validation
from . import log as training_log

if TYPE_CHECKING:
    from ...configs.train import TrainSettings
    from .trainer import Trainer

Progress = Callable[[str, int, int], None]


@dataclass
class Trained:
    """Result of a training. `lora`: kohya's file; `losses`, `held_out`: (step, value) pairs."""

    folder: Path
    lora: Path
    diffusers: Path
    steps: int
    epochs: int
    pictures: int
    losses: list[tuple[float, float]] = field(default_factory=list)
    held_out: list[tuple[float, float]] = field(default_factory=list)
    curve: Path | None = None
    grid: Path | None = None
    problems: list[str] = field(default_factory=list)


def settings_text(settings: TrainSettings) -> str:
    """Return what `train.yaml` of a training says: its effective settings."""
    import yaml

    values = settings.model_dump(mode="json")
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


class TrainingSession:
    """Runs a trainer and writes its files. `tracker`: `tensorboard`, `wandb` or None."""

    def __init__(self, trainer: Trainer, tracker: str | None) -> None:
        self.trainer, self.settings = trainer, trainer.settings
        self.folder, self.started = trainer.folder, time.time()
        self.samples = self.folder / "samples"
        self.main = trainer.accelerator.is_main_process
        self.log = training_log.Log(self.folder / "log.jsonl", trainer.step) if self.main else None
        if self.main:
            self._record()
        if tracker:
            trainer.accelerator.init_trackers(
                "train", config=None, init_kwargs={"wandb": {"name": self.settings.name}}
            )

    def _record(self) -> None:
        """Write `train.yaml`: the effective settings, from which one can train again."""
        text = settings_text(self.settings)
        atomic_files.write(self.folder / "train.yaml", text.encode())

    def run(self, progress: Progress) -> Trained:
        """Train, and write the files of each epoch and of the end."""
        trainer = self.trainer
        try:
            with checkpoint.writing(self.folder):
                if trainer.step == 0:
                    self._measure(0)
                trainer.run(
                    on_step=self._on_step,
                    on_epoch=self._on_epoch,
                    progress=lambda step, total: progress("train", step, total),
                )
                return self._finish()
        finally:
            self._close()

    def _on_step(self, **values: Any) -> None:
        numbers = {k: v for k, v in values.items() if k not in ("step", "epoch")}
        self.trainer.accelerator.log(numbers, step=values["step"])
        if self.log is not None:
            self.log.add(**values)
        every = self.settings.validation_steps
        if every and values["step"] % every == 0:
            self._measure(values["epoch"])

    def _measure(self, epoch: int) -> None:
        """Log the loss on the held-out pictures."""
        trainer = self.trainer
        if not self.main or not trainer.data.held_out:
            return
        with trainer.averaged():
            value = validation.held_out_loss(
                trainer.models, trainer.loader, trainer.data.held_out, trainer.accelerator
            )
        trainer.accelerator.log({"val_loss": value}, step=trainer.step)
        if self.log is not None:
            self.log.add(step=trainer.step, epoch=epoch, val_loss=value)

    def _on_epoch(self, epoch: int) -> None:
        """Measure the loss, save the LoRA and draw samples, as often as the settings say."""
        s, trainer = self.settings, self.trainer
        if not self.main:
            return
        last = trainer.step == trainer.total
        if last or not (s.validation_steps and trainer.step % s.validation_steps == 0):
            self._measure(epoch)
        with trainer.averaged():
            if s.save_every_n_epochs and epoch % s.save_every_n_epochs == 0 and not last:
                self._save(f"{s.name}-{epoch:06d}", epoch)
            if s.validation_prompts and (epoch % s.validation_epochs == 0 or last):
                validation.draw(
                    s, trainer.models, trainer.loader, trainer.accelerator, self.samples, epoch
                )

    def _save(self, name: str, epoch: int) -> Path:
        """Write the LoRA as kohya's file."""
        path, models = self.folder / f"{name}.safetensors", self.trainer.models
        about = file_metadata.metadata(self.trainer, epoch=epoch, started=self.started)
        tensors = lora_save.kohya(
            models.parts,
            self.settings.save_precision,
            module_name=models.module_name,
            numbered=models.numbers_encoders,
        )
        lora_save.write(path, tensors, {**about, "ss_output_name": name})
        return path

    def _finish(self) -> Trained:
        s, trainer = self.settings, self.trainer
        path, other = self.folder / f"{s.name}.safetensors", self.folder / lora_save.DIFFUSERS_NAME
        sheet = None
        if self.main:
            with trainer.averaged():
                self._save(s.name, trainer.epochs)
                tensors = lora_save.diffusers(trainer.models.parts, s.save_precision)
            lora_save.write(other, tensors, {"format": "pt"}, hashes=False)
            sheet = validation.grid(s, self.samples, trainer.epochs)
        trainer.accelerator.wait_for_everyone()
        return Trained(
            folder=self.folder,
            lora=path,
            diffusers=other,
            steps=trainer.total,
            epochs=trainer.epochs,
            pictures=len(trainer.data.learned),
            losses=self.log.points("loss") if self.log else [],
            held_out=self.log.points("val_loss") if self.log else [],
            curve=self.folder / "loss.png",
            grid=sheet,
            problems=trainer.data.problems,
        )

    def _close(self) -> None:
        if self.log is None:
            return
        with contextlib.suppress(OSError):  # of a full disk, which was reported already
            loss, held_out = self.log.points("loss"), self.log.points("val_loss")
            training_log.curve(loss, held_out, self.folder / "loss.png")
            self.log.close()
