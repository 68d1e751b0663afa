"""The command line, called in this process, and what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from visuals.pipeline.cli import main


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group of others, by its words."""
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), main)]
    while waiting:
        words, command = waiting.pop()
        if not isinstance(command, click.Group):
            yield words, command
            continue
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            waiting.append(((*words, name), inner))


EVERYTHING = (
    "--set", "detect.box_threshold=0", "--set", "verify.threshold=0",
    "--set", "detect.text_threshold=0",
)  # fmt: skip
"""Options by which stage 2 keeps every box, whatever the models' weights."""


def visuals(*arguments: object) -> Result:
    """Run a command, whatever its exit code."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def checked(*arguments: object, code: int = 0) -> Result:
    """Run a command that must end with this exit code."""
    result = visuals(*arguments)
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result


def refused(*arguments: object, code: int = 2) -> str:
    """The one line that a refusal says."""
    result = visuals(*arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if "warning" not in line]
    assert len(lines) == 1 and lines[0].startswith("visuals: "), result.stderr
    return lines[0]


def json_of(*arguments: object, code: int = 0) -> dict[str, Any]:
    """The object that a command prints with `--json`."""
    record: dict[str, Any] = json.loads(checked(*arguments, "--json", code=code).stdout)
    return record


def lines_of(folder: str | Path) -> dict[str, dict[str, Any]]:
    """The lines of a run folder's manifest, by their ids."""
    text = (Path(folder) / "manifest.jsonl").read_text(encoding="utf-8")
    return {line["id"]: line for line in map(json.loads, text.splitlines())}
