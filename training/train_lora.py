"""Trains a LoRA from settings: reads data and models, then hands them to the loop.

Knows no command line: it is told through `tell` and `progress`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import TrainingError
from .loop import batches, checkpoint, checkpointing, class_images
from .loop import log as training_log
from .loop.session import Progress, TrainingSession
from .loop.session import Trained as Trained
from .loop.trainer import Trainer
from .lora import models as lora_models

if TYPE_CHECKING:
    from ..configs.train_file import TrainSettings

Tell = Callable[[str], None]


def train_lora(
    settings: TrainSettings,
    *,
    base: Any = None,
    tell: Tell = lambda text: None,
    warn: Tell = lambda text: None,
    progress: Progress = lambda stage, done, total: None,
) -> Trained:
    """Train, and save as kohya and as diffusers. Resumes where the settings ask for it.

    `base`: a diffusers pipeline in place of `settings.model`; its UNet keeps the LoRA.

    Raises TrainingError, DatasetError, BucketError before anything is trained; Diverged, Stopped,
    TrainingWriteError while it goes on, with the last checkpoint whole.
    """
    s = settings
    found = _place(s)
    checked = None if s.with_prior_preservation else batches.read(s)
    using = training_log.tracker(s.report_to)
    accelerator = _accelerator(s, using)
    try:
        if checked is None:
            with accelerator.main_process_first():
                class_images.fill(
                    s, accelerator.device, lambda n, all_: progress("generate", n, all_)
                )
            checked = batches.read(s)
        for problem in checked.problems if accelerator.is_main_process else ():
            warn(problem)
        tell(f"loading {s.model}")
        ready = lora_models.load(s, accelerator.device, base)
        loader = batches.Loader(s, ready, checked)
        share = accelerator.process_index, accelerator.num_processes
        loader.fill(lambda done, total: progress("encode", done, total), share)
        accelerator.wait_for_everyone()
        trainer = Trainer(s, accelerator, ready, checked, loader)
        if found is not None:
            checkpointing.resume(trainer, checkpoint.read(found))
            tell(f"going on from {found.name}")
        return TrainingSession(trainer, using).run(progress)
    finally:
        accelerator.end_training()


def _place(settings: TrainSettings) -> Path | None:
    """The checkpoint to go on from; raises TrainingError for an output_dir that is in use."""
    folder = Path(settings.output_dir)
    if settings.resume_from_checkpoint:
        return checkpoint.find(folder, settings.resume_from_checkpoint)
    there = checkpoint.checkpoints(folder)
    done = folder / f"{settings.name}.safetensors"
    if there or done.is_file():
        what = there[-1].name if there else done.name
        raise TrainingError(
            f"output_dir {folder} holds a training already ({what}): set resume_from_checkpoint: "
            "latest to go on with it (--resume), or another output_dir"
        )
    return None


def _accelerator(settings: TrainSettings, using: str | None) -> Any:
    """Processes, device and precision; one process may build several, one after the other."""
    import os

    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedDataParallelKwargs

    s = settings
    gpu = torch.cuda.is_available()
    if s.device == "cuda" and not gpu:
        raise TrainingError("device 'cuda': this machine shows no GPU to torch; set device: cpu")
    if s.mixed_precision == "fp16" and (s.device == "cpu" or not gpu):
        raise TrainingError("mixed_precision 'fp16' needs a GPU: expected no or bf16 on a CPU")
    if "WORLD_SIZE" not in os.environ:
        AcceleratorState._reset_state(reset_partial_state=True)
    skips = s.trains_text_encoder  # layers after those that clip_skip and SDXL read
    accelerator = Accelerator(
        mixed_precision=s.mixed_precision,
        cpu=s.device == "cpu",
        log_with=using,
        project_dir=str(Path(s.output_dir) / "logs"),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=skips)],
    )
    return accelerator
