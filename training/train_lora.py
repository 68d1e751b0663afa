"""Trains a LoRA from settings: reads the data set, loads the models, runs the training."""

from __future__ import annotations

import os
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import Any

from ..checkpoints.loaded_models import anew
from ..configs.errors import VisualsError, is_out_of_memory
from ..configs.train import TrainSettings, read_train_settings
from .datasets.dataset_folder import OUTPUTS
from .datasets.training_set import read_training_set
from .errors import TrainingError, memory_error
from .loop import checkpoint, class_images
from .loop import log as training_log
from .loop.batches import BatchLoader
from .loop.trainer import Trainer
from .loop.training_session import Progress, TrainingSession, settings_text
from .loop.training_session import Trained as Trained
from .lora.save import DIFFUSERS_NAME
from .models import load_models

Message = Callable[[str], None]


@anew()
def train_lora(
    settings: TrainSettings,
    *,
    base: Any = None,
    say: Message = lambda text: None,
    warn: Message = lambda text: None,
    progress: Progress = lambda stage, done, total: None,
) -> Trained:
    """Train a LoRA and save it as kohya's and as diffusers' file.

    Args:
        settings: Checked settings; `resume_from_checkpoint` continues a training.
        base: Diffusers pipeline in place of `settings.model`; its UNet keeps the LoRA.
        say: Receives a line for each step of the preparation.
        warn: Receives a line for each problem of the data set.
        progress: Receives (stage, done, total); stages are `generate`, `encode` and `train`.

    Raises:
        TrainingError, DatasetError, BucketError: Before anything is trained.
        DivergedError, TrainingStopped, TrainingWriteError, TrainingMemoryError: During the
            training; the last checkpoint is complete.
    """
    s = settings
    resumed = _checkpoint(s)
    data = None if s.with_prior_preservation else read_training_set(s)
    tracker = training_log.tracker(s.report_to)
    accelerator = _accelerator(s, tracker)
    try:
        if data is None:
            with checkpoint.writing(Path(str(s.class_data_dir))), accelerator.main_process_first():
                class_images.generate(
                    s, accelerator.device, lambda done, total: progress("generate", done, total)
                )
            data = read_training_set(s)
        for problem in data.problems if accelerator.is_main_process else ():
            warn(problem)
        say(f"loading {s.model}")
        models = load_models.load(s, accelerator.device, base)
        loader = BatchLoader(s, models, data)
        share = accelerator.process_index, accelerator.num_processes
        with checkpoint.writing(Path(s.output_dir)):
            loader.fill(lambda done, total: progress("encode", done, total), share)
        accelerator.wait_for_everyone()
        trainer = Trainer(s, accelerator, models, data, loader)
        if resumed is not None:
            trainer.restore(checkpoint.read(resumed))
            say(f"resuming from {resumed.name}")
        with checkpoint.writing(trainer.folder):
            session = TrainingSession(trainer, tracker)
        return session.run(progress)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise memory_error(error, checkpoint.find(Path(s.output_dir), "latest")) from None
    finally:
        accelerator.end_training()


def _checkpoint(settings: TrainSettings) -> Path | None:
    """The checkpoint to resume from; raises TrainingError for an output_dir that is in use."""
    folder = Path(settings.output_dir)
    if settings.resume_from_checkpoint:
        return checkpoint.find(folder, settings.resume_from_checkpoint)
    result = folder / f"{settings.name}.safetensors"
    existing = checkpoint.find(folder, "latest") or (result if os.path.isfile(result) else None)
    if existing:
        raise TrainingError(
            f"output_dir {folder} holds a training already ({existing.name}): set "
            "resume_from_checkpoint: latest to continue it (--resume), or another output_dir"
        )
    names = [
        *OUTPUTS,
        DIFFUSERS_NAME,
        *(p.name for p in folder.glob(f"{escape(settings.name)}-*.safetensors")),
    ]
    taken = [name for name in reversed(names) if os.path.lexists(folder / name)]
    if taken and (taken[0].endswith(".safetensors") or not _is_begun(folder)):
        raise TrainingError(
            f"output_dir {folder} holds {taken[0]}, which the training would write over: expected "
            "a folder without it; set another output_dir"
        )
    return None


def _is_begun(folder: Path) -> bool:
    """Whether a folder is that of a training which ended before its first checkpoint."""
    try:
        settings = read_train_settings(folder / "train.yaml")
    except VisualsError:
        return False
    recorded = settings_text(settings) == (folder / "train.yaml").read_text(encoding="utf-8")
    return recorded and (folder / "log.jsonl").is_file()


def _accelerator(settings: TrainSettings, tracker: str | None) -> Any:
    """Set up processes, device and precision; a process may train several times in a row."""
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
    unused = s.trains_text_encoder  # layers after those that clip_skip and SDXL read
    return Accelerator(
        mixed_precision=s.mixed_precision,
        cpu=s.device == "cpu",
        log_with=tracker,
        project_dir=str(Path(s.output_dir) / "logs"),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=unused)],
    )
