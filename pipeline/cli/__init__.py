"""The command line. Knows arguments, errors and exit codes; the work is done elsewhere.

Commands are imported when they are called for: `visuals --help` reads none of the libraries
that make pictures (torch, pydantic, rich).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from ...configs.version import VERSION
from .grouped_help import examples
from .output import echo

_SYSTEM = {
    errno.ENOSPC: "no space left on the device; make room and repeat the command",
    errno.ENAMETOOLONG: "the name is too long for a disk; expected a shorter one",
}
"""What is said of the system's errors that any command may meet."""

# name: (module, attribute, one line of help)
_COMMANDS = {
    "run": ("run", "run", "Run all stages: generate or read, check, re-render."),
    "generate": ("run", "generate", "Generate pictures from prompts (stage 1)."),
    "filter": ("run", "filter_", "Find and mask products in photos (stage 2)."),
    "enhance": ("run", "enhance", "Re-render the products of photos or of a run."),
    "grid": ("grid", "grid", "Compare prompts, LoRA weights, checkpoints and seeds."),
    "resume": ("resume", "resume", "Resume a run that was stopped."),
    "replay": ("replay", "replay", "Reproduce finished pictures and compare the pixels."),
    "ui": ("ui", "ui", "Open the studio in the browser, with its JSON API."),
    "annotate": ("annotate", "annotate", "Write annotations of a run: COCO, YOLO, VOC, masks."),
    "prompt": ("prompt", "prompt", "Show how a prompt is parsed: chunks, weights, choices."),
    "dataset": ("dataset", "dataset", "Prepare a training set: import, caption, check."),
    "export": ("export", "export", "Write the pictures of a run as a training set."),
    "train": ("train", "train", "Train a LoRA on pictures with captions."),
    "bench": ("bench", "bench", "Measure quality, speed and crash recovery."),
    "lora": ("lora", "lora", "Show LoRA files: format, base model, rank, hashes."),
    "embedding": ("embedding", "embedding", "Show textual inversions: base model, vectors."),
    "classes": ("config", "classes", "List the product classes that a preset knows."),
    "config": ("config", "config", "Show and validate presets and settings."),
    "doctor": ("doctor", "doctor", "Show this machine and which presets fit on it."),
    "checkpoints": ("checkpoints", "checkpoints", "List, download, verify and name models."),
}


def _sentence(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        from . import unknown_option

        return unknown_option.sentence(error)
    return error.format_message()


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
            text = _sentence(error).rstrip(".").split("\n")
            line = " ".join(part.strip() for part in text)
            echo(f"visuals: {line[:1].lower() + line[1:]}; see {command} --help", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno not in _SYSTEM:
                raise
            what = f"{str(error.filename)[:60]!r}" if error.filename else "the output"
            if error.errno == errno.ENOSPC and error.filename is None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python flushes it at its end
            with contextlib.suppress(OSError):
                echo(f"visuals: {what}: {_SYSTEM[error.errno]}", err=True)
            sys.exit(2 if error.errno == errno.ENAMETOOLONG else 1)
        except (click.Abort, KeyboardInterrupt):
            echo("visuals: stopped", err=True)
            sys.exit(130)
        sys.exit(result if isinstance(result, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, but a word that is neither UTF-8 nor the name of a file is refused."""
        for word in args:
            text = word.encode(errors="backslashreplace").decode()
            if text != word and not any(map(os.path.lexists, (word, word.partition("=")[2]))):
                ctx.fail(f"'{text}': expected text in UTF-8, or a file or folder of that name")
        return super().parse_args(ctx, args)

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


@click.group(
    "visuals",
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "visuals run --class sneaker --count 4",
        'visuals run PHOTOS --class handbag --edit "red leather"',
    ),
)
@click.version_option(VERSION, prog_name="visuals")
def main() -> None:
    """Generate, check and re-render product photos; the scene stays as it is."""
