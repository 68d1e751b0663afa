"""`visuals config`: presets and resolved settings."""

from __future__ import annotations

from typing import Any

import click

from .options import apply, errors, parse_overrides
from .output import echo, print_json


@click.group()
def config() -> None:
    """Show and validate presets and settings."""


@config.command()
@apply("preset", "set", "json")
@errors
def show(preset: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Print the settings of a preset as YAML, which can be used as a preset file."""
    import yaml

    from ...configs.schema import load_settings

    values: dict[str, Any] = load_settings(preset, parse_overrides(changes)).model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), nl=False)


@config.command("list")
@errors
def list_() -> None:
    """List the presets."""
    from ...configs.schema import presets

    for name in presets():
        echo(name)


@config.command()
@click.argument("file")
@errors
def validate(file: str) -> None:
    """Check FILE, a preset or settings file; print each problem on a line of its own.

    The exit code is 2 if there are any.
    """
    from ..diagnostics.preset_check import problems

    found = problems(file)
    for line in found:
        echo(f"visuals: {line}", err=True)
    if found:
        raise SystemExit(2)
    echo(f"{file}: no problems found")
