"""The loop of a training: steps, checkpoints, what is written at the end of an epoch.

Knows its models and data ready made; no command line.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import sampling
from ..errors import DivergedError, TrainingStopped, again, kept
from ..interrupt import StopRequest
from . import checkpoint, checkpointing, optimizers
from .loss import each, snr_weights

if TYPE_CHECKING:
    from ...configs.train_file import TrainSettings
    from ..lora.models import TrainingModels
    from .batches import Loader, TrainingSet


class Trainer:
    """One training over one `accelerate.Accelerator`. `step`: optimizer steps done."""

    def __init__(
        self,
        settings: TrainSettings,
        accelerator: Any,
        models: TrainingModels,
        data: TrainingSet,
        loader: Loader,
    ) -> None:
        s = self.settings = settings
        self.accelerator, self.models, self.data, self.loader = accelerator, models, data, loader
        self.size = s.train_batch_size * accelerator.num_processes
        self.steps_per_epoch = data.steps_per_epoch(s, self.size)
        self.total = s.max_train_steps or s.num_train_epochs * self.steps_per_epoch
        self.epochs = math.ceil(self.total / self.steps_per_epoch)
        self.parameters = models.parameters()
        unet = [p for n, p in self.parameters.items() if n.startswith("unet.")]
        groups = [(unet, s.learning_rate)]
        if models.trains_text_encoder:
            text = [p for n, p in self.parameters.items() if n.startswith("text_encoder")]
            groups.append((text, s.text_encoder_lr or s.learning_rate))
        raw = optimizers.build(s, groups, on_gpu=accelerator.device.type == "cuda")
        self.schedule = optimizers.schedule(s, raw, self.total)
        self.ema = self._ema()
        self.optimizer = accelerator.prepare(raw)
        self.unet = accelerator.prepare(models.unet)
        self.wrapped = [self.unet]
        if models.trains_text_encoder:
            loader.words.encoders = [accelerator.prepare(e) for e in models.text_encoders]
            self.wrapped += loader.words.encoders
        self.step = 0
        self.folder = Path(s.output_dir)
        self._wish = StopRequest()

    def _ema(self) -> Any:
        if not self.settings.use_ema:
            return None
        from diffusers.training_utils import EMAModel

        return EMAModel(self.parameters.values(), decay=self.settings.ema_decay)

    def run(
        self,
        *,
        told: Callable[..., None],
        end_of_epoch: Callable[[int], None],
        progress: Callable[[int, int], None],
    ) -> None:
        """Train to the end. `told(step=, epoch=, loss=, lr=)`; `end_of_epoch(number)` from 1 on;
        `progress(step, total)` when all of the step is saved.

        Raises TrainingStopped after Ctrl-C or SIGTERM, when the step is done and saved; Diverged.
        """
        with self._wish:
            while self.step < self.total:
                epoch, place = divmod(self.step, self.steps_per_epoch)
                batches = self.data.batches(self.settings, self.size, epoch)
                accumulated = self.settings.gradient_accumulation_steps
                for start in range(place * accumulated, len(batches), accumulated):
                    group = list(enumerate(batches))[start : start + accumulated]
                    loss, stop = self._learn(epoch, group)
                    self.step += 1
                    told(step=self.step, epoch=epoch + 1, loss=loss, **self._rates())
                    ended = self.step % self.steps_per_epoch == 0 or self.step == self.total
                    if ended:
                        end_of_epoch(epoch + 1)
                    every = self.settings.checkpointing_steps
                    if stop or (every and (self.step % every == 0 or self.step == self.total)):
                        checkpointing.save(self)
                    progress(self.step, self.total)
                    if self.step == self.total:
                        return
                    if stop:
                        raise TrainingStopped(self.step, self.last)

    def _rates(self) -> dict[str, float]:
        """The rates of the step that is done; the schedule moves on to the next."""
        rates = dict(zip(("lr", "lr_text_encoder"), self.schedule.get_last_lr(), strict=False))
        optimizers.set_step(self.schedule, self.step)
        return rates

    def _learn(self, epoch: int, group: Sequence[tuple[int, sampling.Batch]]) -> tuple[float, bool]:
        """One optimizer step over the batches; (loss of all processes, whether to stop)."""
        import torch

        if not self.models.unet.training:  # after a look at what was learned
            self.models.train()
        rank, total = self.accelerator.process_index, torch.zeros((), device=self._device)
        for number, (place, batch) in enumerate(group):
            size = self.settings.train_batch_size
            mine = list(range(len(batch)))[rank * size : (rank + 1) * size]
            torch.manual_seed(_seed(self.settings.seed, epoch, place, rank))  # of dropout
            with contextlib.ExitStack() as stack:
                for model in self.wrapped if number + 1 < len(group) else ():
                    stack.enter_context(self.accelerator.no_sync(model))
                # A process without a picture of a short batch takes one at no weight: all must
                # meet at each step.
                loss = self._loss(epoch, place, batch, mine or [0], 1.0 if mine else 0.0)
                self.accelerator.backward(loss / len(group))
                total += loss.detach() / len(group)
        told = self._everyones(total)
        if not math.isfinite(told[0]):
            self._diverged("the loss")
        norm = None
        if self.settings.max_grad_norm:
            norm = self.accelerator.clip_grad_norm_(
                list(self.parameters.values()), self.settings.max_grad_norm
            )
        scaled = self.accelerator.scaler is not None  # it looks for such steps itself
        if norm is not None and not scaled and not math.isfinite(float(norm)):
            self._diverged("the gradient")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.step(self.parameters.values())
        return told

    def _loss(
        self, epoch: int, place: int, batch: sampling.Batch, mine: Sequence[int], weight: float
    ) -> Any:
        """Mean over the whole batch's pictures, of those that are this process's share."""
        seed = self.settings.seed
        got = self.loader.batch(
            [self.data.learned[batch[k]] for k in mine],
            [sampling.chance(seed, epoch, place, k) for k in mine],
        )
        said = self.unet(**self.models.inputs(got))[0]
        errors = each(said, got["wanted"], got["mask"]) * got["weight"]
        errors = errors * snr_weights(
            self.models.noise_scheduler, got["times"], self.settings.snr_gamma
        )
        return errors.sum() / len(batch) * self.accelerator.num_processes * weight

    def _everyones(self, loss: Any) -> tuple[float, bool]:
        """Mean loss of the processes, and whether one was asked to stop."""
        import torch

        pair = torch.stack([loss, torch.tensor(float(self._wish.made), device=self._device)])
        both = self.accelerator.reduce(pair, reduction="mean")
        return float(both[0]), bool(both[1] > 0)

    def _diverged(self, what: str) -> None:
        s = self.settings
        lower = [f"learning_rate (now {s.learning_rate:g})"]
        if s.optimizer_type == "Prodigy":
            lower = ["adam_weight_decay"]
        if s.mixed_precision == "fp16":
            lower.append("or set mixed_precision: bf16")
        raise DivergedError(
            f"{what} is not a number at step {self.step + 1}; {kept(self.last)}: lower "
            f"{' '.join(lower)}, then {again(self.last)}"
        )

    @property
    def _device(self) -> Any:
        return self.accelerator.device

    @property
    def last(self) -> Path | None:
        """The newest whole checkpoint."""
        there = checkpoint.checkpoints(self.folder)
        return there[-1] if there else None

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the weights are their moving average, where there is one."""
        if self.ema is None:
            yield
            return
        weights = list(self.parameters.values())
        self.ema.store(weights)
        self.ema.copy_to(weights)
        try:
            yield
        finally:
            self.ema.restore(weights)


def _seed(*parts: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence(parts).generate_state(1)[0])
