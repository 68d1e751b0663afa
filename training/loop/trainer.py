"""Training loop: optimizer steps, checkpoints, stopping. Models and data are handed in loaded."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets import sampling
from ..errors import DivergedError, TrainingStopped, how_to_resume, kept_checkpoint
from ..lora import save as lora_save
from ..models.loss import squared_errors
from ..stop_request import StopRequest
from . import checkpoint, optimizers

if TYPE_CHECKING:
    from ...configs.train import TrainSettings
    from ..datasets.training_set import TrainingSet
    from ..models.training_models import TrainingModels
    from .batches import BatchLoader

_RATES = ("lr", "initial_lr", "betas", "eps", "weight_decay")
"""Keys of an optimizer's parameter group that follow the settings, not a checkpoint."""


class Trainer:
    """A training by an `accelerate.Accelerator`, which has processes, device and precision.

    Attributes:
        step: Optimizer steps done.
        size: Pictures a batch, of all processes together.
        total: Optimizer steps of the whole training.
    """

    def __init__(
        self,
        settings: TrainSettings,
        accelerator: Any,
        models: TrainingModels,
        data: TrainingSet,
        loader: BatchLoader,
    ) -> None:
        s = self.settings = settings
        self.accelerator, self.models, self.data, self.loader = accelerator, models, data, loader
        self.size = s.train_batch_size * accelerator.num_processes
        self.steps_per_epoch = data.steps_per_epoch(s, self.size)
        self.total = s.max_train_steps or s.num_train_epochs * self.steps_per_epoch
        self.epochs = math.ceil(self.total / self.steps_per_epoch)
        self.parameters = models.parameters()
        denoiser = [p for n, p in self.parameters.items() if n.startswith(f"{models.part}.")]
        groups = [(denoiser, s.learning_rate)]
        if models.trains_text_encoder:
            text = [p for n, p in self.parameters.items() if n.startswith("text_encoder")]
            groups.append((text, s.text_encoder_lr or s.learning_rate))
        optimizer = optimizers.build(s, groups, on_gpu=accelerator.device.type == "cuda")
        self.schedule = optimizers.schedule(s, optimizer, self.total)
        self.ema = None
        if s.use_ema:
            from diffusers.training_utils import EMAModel

            self.ema = EMAModel(self.parameters.values(), decay=s.ema_decay)
        self.optimizer = accelerator.prepare(optimizer)
        self.denoiser = accelerator.prepare(models.denoiser)
        self.wrapped = [self.denoiser]
        if models.trains_text_encoder:
            loader.prompts.encoders = [accelerator.prepare(e) for e in models.text_encoders]
            self.wrapped += loader.prompts.encoders
        self.step = 0
        self.folder = Path(s.output_dir)
        self._stop_request = StopRequest()

    def run(
        self,
        *,
        on_step: Callable[..., None],
        on_epoch: Callable[[int], None],
        progress: Callable[[int, int], None],
    ) -> None:
        """Train to the end.

        Args:
            on_step: Called after each step with `step=, epoch=, loss=, lr=`.
            on_epoch: Called after each epoch with its number, from 1.
            progress: Called with (step, total) once everything of the step is saved.

        Raises:
            TrainingStopped: After Ctrl-C or SIGTERM; the step was finished and saved.
            DivergedError: The loss or the gradient is not finite.
        """
        with self._stop_request:
            while self.step < self.total:
                epoch, place = divmod(self.step, self.steps_per_epoch)
                batches = list(enumerate(self.data.batches(self.settings, self.size, epoch)))
                accumulated = self.settings.gradient_accumulation_steps
                for start in range(place * accumulated, len(batches), accumulated):
                    loss, stop = self._train_step(epoch, batches[start : start + accumulated])
                    self.step += 1
                    on_step(step=self.step, epoch=epoch + 1, loss=loss, **self._rates())
                    if self.step % self.steps_per_epoch == 0 or self.step == self.total:
                        on_epoch(epoch + 1)
                    every = self.settings.checkpointing_steps
                    if stop or (every and (self.step % every == 0 or self.step == self.total)):
                        self.save()
                    progress(self.step, self.total)
                    if self.step == self.total:
                        return
                    if stop:
                        raise TrainingStopped(self.step, self.last)

    def _rates(self) -> dict[str, float]:
        """Learning rates of the finished step; advances the schedule to the next."""
        rates = dict(zip(("lr", "lr_text_encoder"), self.schedule.get_last_lr(), strict=False))
        optimizers.set_step(self.schedule, self.step)
        return rates

    def _train_step(
        self, epoch: int, group: Sequence[tuple[int, sampling.Batch]]
    ) -> tuple[float, bool]:
        """One optimizer step on (place in the epoch, batch) pairs.

        Returns (mean loss of all processes, whether one of them received a stop request).
        """
        import torch

        if not self.models.denoiser.training:  # after validation
            self.models.train()
        rank, total = (
            self.accelerator.process_index,
            torch.zeros((), device=self.accelerator.device),
        )
        for number, (place, batch) in enumerate(group):
            size = self.settings.train_batch_size
            members = list(range(len(batch)))[rank * size : (rank + 1) * size]
            torch.manual_seed(_seed(self.settings.seed, epoch, place, rank))  # for dropout
            with contextlib.ExitStack() as stack:
                for model in self.wrapped if number + 1 < len(group) else ():
                    stack.enter_context(self.accelerator.no_sync(model))
                # All processes must meet at each step: one that has no picture of a short batch
                # takes the first at weight 0.
                weight = 1.0 if members else 0.0
                loss = self._loss(epoch, place, batch, members or [0], weight)
                self.accelerator.backward(loss / len(group))
                total += loss.detach() / len(group)
        loss, stop = self._reduced(total)
        if not math.isfinite(loss):
            raise self._diverged("the loss")
        norm = None
        if self.settings.max_grad_norm:
            norm = self.accelerator.clip_grad_norm_(
                list(self.parameters.values()), self.settings.max_grad_norm
            )
        scaled = self.accelerator.scaler is not None  # the loss scaler skips such steps itself
        if norm is not None and not scaled and not math.isfinite(float(norm)):
            raise self._diverged("the gradient")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema is not None:
            self.ema.step(self.parameters.values())
        return loss, stop

    def _loss(
        self, epoch: int, place: int, batch: sampling.Batch, members: Sequence[int], weight: float
    ) -> Any:
        """This process's share of the mean loss over the batch.

        `members`: indices into `batch` of the pictures of this process.
        """
        seed = self.settings.seed
        inputs = self.loader.batch(
            [self.data.learned[batch[k]] for k in members],
            [sampling.chance(seed, epoch, place, k) for k in members],
        )
        prediction = self.models.prediction(self.denoiser, inputs)
        errors = squared_errors(prediction, inputs["target"], inputs["mask"]) * inputs["weight"]
        errors = errors * self.models.weights(inputs["times"], self.settings)
        return errors.sum() / len(batch) * self.accelerator.num_processes * weight

    def _reduced(self, loss: Any) -> tuple[float, bool]:
        """(mean loss of the processes, whether one received a stop request)."""
        import torch

        stop = torch.tensor(float(self._stop_request.made), device=self.accelerator.device)
        both = self.accelerator.reduce(torch.stack([loss, stop]), reduction="mean")
        return float(both[0]), bool(both[1] > 0)

    def _diverged(self, what: str) -> DivergedError:
        s = self.settings
        remedies = [f"learning_rate (now {s.learning_rate:g})"]
        if s.optimizer_type == "Prodigy":
            remedies = ["adam_weight_decay"]
        if s.mixed_precision == "fp16":
            remedies.append("or set mixed_precision: bf16")
        return DivergedError(
            f"{what} is not a number at step {self.step + 1}; {kept_checkpoint(self.last)}: lower "
            f"{' '.join(remedies)}, then {how_to_resume(self.last)}"
        )

    @property
    def last(self) -> Path | None:
        """The newest complete checkpoint."""
        return checkpoint.find(self.folder, "latest")

    def save(self) -> None:
        """Write a checkpoint of this step, in the main process.

        Raises TrainingWriteError; earlier checkpoints are kept.
        """
        accelerator = self.accelerator
        accelerator.wait_for_everyone()
        if not accelerator.is_main_process:
            return
        tensors = {
            "weights": {n: p.detach().cpu() for n, p in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
        }
        if self.ema is not None:
            tensors["ema"] = self.ema.state_dict()
        if accelerator.scaler is not None:
            tensors["scaler"] = accelerator.scaler.state_dict()
        lora = lora_save.diffusers(self.models.parts)
        state = checkpoint.TrainerState(
            self.step, self._settings(), self.data.identity, tensors, lora
        )
        with checkpoint.writing(self.folder):
            checkpoint.save(self.folder, state, limit=self.settings.checkpoints_total_limit)

    def restore(self, state: checkpoint.TrainerState) -> None:
        """Continue from a checkpoint: weights, optimizer, moving average, loss scale, step.

        Raises TrainingError if its data set or settings differ.
        """
        import torch

        checkpoint.compare(state, self._settings(), self.data.identity)
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(state.tensors["weights"][name])
        groups = self.schedule.optimizer.param_groups
        rates = [{k: g[k] for k in _RATES if k in g} for g in groups]
        self.optimizer.load_state_dict(state.tensors["optimizer"])
        for group, values in zip(self.schedule.optimizer.param_groups, rates, strict=True):
            group.update(values)
        if self.ema is not None and "ema" in state.tensors:
            self.ema.load_state_dict(state.tensors["ema"])
            self.ema.to(self.accelerator.device)
        if self.accelerator.scaler is not None and "scaler" in state.tensors:
            self.accelerator.scaler.load_state_dict(state.tensors["scaler"])
        self.step = state.step
        optimizers.set_step(self.schedule, self.step)

    def _settings(self) -> dict[str, Any]:
        return {**self.settings.model_dump(mode="json"), "batch": self.size}

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the moving average of the weights inside the block, if there is one."""
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
