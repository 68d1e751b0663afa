"""The command line. Knows arguments, errors and exit codes; the work is done elsewhere.

Commands are imported when they are called for: `visuals --help` reads none of the libraries
that make pictures (torch, pydantic, rich).
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from ...configs.version import VERSION

# name: (module, attribute, one line of help)
_COMMANDS = {
    "run": ("run", "run", "All three stages: prompts or photos to checked, re-rendered pictures."),
    "generate": ("run", "generate", "Stage 1 only: draw pictures from prompts."),
    "filter": ("run", "filter_", "Stage 2 only: find and mask the products in photos."),
    "enhance": ("run", "enhance", "The remainder: re-render the products of photos or of a run."),
    "grid": ("grid", "grid", "Prompts, LoRA weights, checkpoints, seeds side by side."),
    "resume": ("resume", "resume", "Go on with a run that was stopped."),
    "replay": ("replay", "replay", "Make finished pictures again, and compare the pixels."),
    "ui": ("ui", "ui", "The studio in the browser, and its JSON API."),
    "annotate": ("annotate", "annotate", "Write a run's annotations: COCO, YOLO, VOC, masks …"),
    "prompt": ("prompt", "prompt", "Show how a prompt is read: chunks, weights, choices."),
    "dataset": ("dataset", "dataset", "Product photos to a training set: import, caption, check."),
    "export": ("export", "export", "Write a run's pictures as the data set of a training."),
    "train": ("train", "train", "Train a LoRA on a folder of pictures with captions."),
    "bench": ("bench", "bench", "Measure what the models are worth."),
    "lora": ("lora", "lora", "What LoRA files are: format, base, rank, trigger words, hashes."),
    "config": ("config", "config", "Show presets and settings."),
    "doctor": ("doctor", "doctor", "What this machine has, and which presets fit on it."),
    "checkpoints": ("checkpoints", "checkpoints", "List, fetch, verify and name models."),
}


class _Lazy(click.Group):
    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """As click's, but an error is one line."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        try:
            result = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            command = error.ctx.command_path if getattr(error, "ctx", None) else "visuals"  # type: ignore[attr-defined]
            text = error.format_message().rstrip(".").split("\n")
            line = " ".join(part.strip() for part in text)
            click.echo(f"visuals: {line[:1].lower() + line[1:]}; see {command} --help", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("visuals: stopped", err=True)
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{module}", __name__), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in _COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, list(_COMMANDS), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"unknown command {name!r}{hint} (expected {', '.join(_COMMANDS)})")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group("visuals", cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="visuals")
def main() -> None:
    """Product photos by diffusion: generated, checked, re-rendered, the scene kept.

    \b
    visuals run --class sneaker --count 4
    visuals run PHOTOS --class handbag --edit "red leather"
    """
