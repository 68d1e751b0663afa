"""`visuals train`: trains a LoRA on a folder of pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from . import output
from .downloads import download
from .grouped_help import examples
from .options import apply, errors, plain_overrides
from .output import echo
from .progress import StageProgress

if TYPE_CHECKING:
    from ...training.train_lora import Trained


@click.command(
    epilog=examples(
        "visuals train look.yaml", "visuals train look.yaml --resume --set max_train_steps=2000"
    )
)
@click.argument("config", metavar="CONFIG.yaml")
@click.option("--resume", is_flag=True, help="Continue from the latest checkpoint in output_dir.")
@click.option(
    "--num_processes",
    "--num-processes",
    type=click.IntRange(1),
    hidden=True,  # an option of `accelerate launch`
)
@apply("training_setting", "allow_pickle", "yes", "json")
@errors
def train(
    config: str,
    resume: bool,
    changes: tuple[str, ...],
    num_processes: int | None,
    allow_pickle: bool | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Train a LoRA with the settings in CONFIG.yaml.

    The settings are named as in diffusers' and kohya's scripts; docs/training.md lists them.
    Ctrl-C finishes the current step and saves a checkpoint.
    """
    from ...configs.errors import UsageError
    from ...configs.train import read_train_settings
    from ...training.errors import TrainingStopped

    if num_processes:
        raise UsageError(
            f"--num_processes {num_processes}: expected one process; to share each batch among "
            f"several, run: torchrun --nproc_per_node {num_processes} -m visuals train {config}"
        )
    given = plain_overrides(changes)
    if allow_pickle:
        given["allow_pickle"] = True
    if resume:
        given["resume_from_checkpoint"] = "latest"
    settings = read_train_settings(config, given)
    main = os.environ.get("RANK", "0") == "0"  # under torchrun, one process reports
    try:
        from ...checkpoints.hub.first_use import Needed, missing
        from ...training.train_lora import train_lora
        from ..build.process import quiet, use_tf32

        if main:
            download(missing([Needed(settings.model)]), yes=yes)
        quiet("transformers", "diffusers")
        if settings.device != "cpu":
            use_tf32()
        with StageProgress(as_json or not main) as bars:
            done = train_lora(settings, say=bars.say, warn=output.warn, progress=bars.update)
    except TrainingStopped as stopped:
        if main:
            output.warn(f"stopped after step {stopped.step}, saved; add --resume to continue")
        raise SystemExit(130) from None
    if main:
        _close(done, as_json)


def _close(done: Trained, as_json: bool) -> None:
    losses = [value for _, value in done.losses]
    held_out = [value for _, value in done.held_out]
    if as_json:
        record: dict[str, Any] = {
            "folder": str(done.folder),
            "lora": str(done.lora),
            "diffusers": str(done.diffusers),
            "pictures": done.pictures,
            "steps": done.steps,
            "epochs": done.epochs,
            "loss": losses[-1] if losses else None,
            "val_loss": held_out[-1] if held_out else None,
            "val_loss_before": held_out[0] if held_out else None,
            "curve": str(done.curve),
            "grid": str(done.grid) if done.grid else None,
            "problems": done.problems,
        }
        output.print_json(record)
        return
    counts = {"picture": done.pictures, "epoch": done.epochs, "step": done.steps}
    many = [f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items()]
    echo(", ".join(many), err=True)
    if held_out:
        echo(f"loss on held-out pictures: {held_out[0]:.4f} → {held_out[-1]:.4f}", err=True)
    echo(f"lora      {done.lora}")
    echo(f"diffusers {done.diffusers}")
    echo(f"curve     {done.curve}")
    if done.grid:
        echo(f"grid      {done.grid}")
