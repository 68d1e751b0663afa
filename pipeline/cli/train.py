"""`visuals train`: a LoRA from a folder of pictures and a file of settings."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from .options import apply, errors, parse_overrides

if TYPE_CHECKING:
    from ...training.train_lora import Trained


@click.command()
@click.argument("config", metavar="CONFIG.yaml")
@click.option("--resume", is_flag=True, help="Go on from the latest checkpoint in output_dir.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any setting of the file, as in max_train_steps=100; may be repeated.",
)
@click.option(
    "--num_processes",
    "--num-processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Share each batch among N processes: a GPU each, or cores of the CPU.",
)
@apply("allow_pickle", "json")
@errors
def train(
    config: str,
    resume: bool,
    changes: tuple[str, ...],
    num_processes: int,
    allow_pickle: bool | None,
    as_json: bool,
) -> None:
    """Train a LoRA by CONFIG.yaml, whose keys are those of diffusers' and kohya's scripts.

    docs/training.md lists them. Ctrl-C finishes the step and saves a checkpoint.
    """
    from ...configs.schema import NULL
    from ...configs.train_file import read_train_settings
    from ...training import launch
    from ...training.errors import DivergedError, TrainingStopped, TrainingWriteError
    from . import output

    given = {k: None if v is NULL else v for k, v in parse_overrides(changes).items()}
    if allow_pickle:
        given["allow_pickle"] = True
        changes = (*changes, "allow_pickle=true")
    if resume:
        given["resume_from_checkpoint"] = "latest"
    settings = read_train_settings(config, given)
    count = num_processes if num_processes > 1 else launch.asked_by_accelerate()
    if count is None:
        output.warn(
            "accelerate launch started one process of several, and does not tell of how many; "
            "visuals train --num_processes 2 starts two"
        )
    elif count > 1 and "WORLD_SIZE" not in os.environ:
        raise SystemExit(launch.launch(_again(config, resume, changes, as_json), count))
    main = os.environ.get("RANK", "0") == "0"  # one of several processes speaks
    try:
        from ...training.train_lora import train_lora
        from ..build.library_logging import hush

        hush("transformers", "diffusers")
        with output.StageProgress(as_json or not main) as bars:
            done = train_lora(settings, tell=bars.say, warn=output.warn, progress=bars.update)
    except TrainingStopped as stopped:
        if main:
            output.warn(f"stopped after step {stopped.step}, saved; the same with --resume goes on")
        raise SystemExit(130) from None
    except (TrainingWriteError, DivergedError) as error:
        if main:
            click.echo(f"visuals: {error}", err=True)
        raise SystemExit(1) from None
    if main:
        _close(done, as_json)


def _again(config: str, resume: bool, changes: tuple[str, ...], as_json: bool) -> list[str]:
    """This command, as each of several processes runs it."""
    flags = [*(["--resume"] if resume else []), *(["--json"] if as_json else [])]
    sets = [word for change in changes for word in ("--set", change)]
    return [sys.executable, "-m", "visuals", "train", config, *flags, *sets]


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
        click.echo(json.dumps(record, ensure_ascii=False))
        return
    counts = {"picture": done.pictures, "epoch": done.epochs, "step": done.steps}
    many = [f"{count} {word}{'s' * (count != 1)}" for word, count in counts.items()]
    click.echo(", ".join(many), err=True)
    if held_out:
        click.echo(f"loss on held-out pictures: {held_out[0]:.4f} → {held_out[-1]:.4f}", err=True)
    click.echo(f"lora      {done.lora}")
    click.echo(f"diffusers {done.diffusers}")
    click.echo(f"curve     {done.curve}")
    if done.grid:
        click.echo(f"grid      {done.grid}")
