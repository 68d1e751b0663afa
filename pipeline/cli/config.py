"""`visuals config` and `visuals classes`: presets, resolved settings, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .grouped_help import examples
from .options import apply, errors, new_file, parse_overrides
from .output import echo, note, print_json


@click.group()
def config() -> None:
    """Show and validate presets and settings."""


@config.command(
    epilog=examples(
        "visuals config show --preset sd15", "visuals config show --set generate.steps=20 --json"
    )
)
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


@config.command("list", epilog=examples("visuals config list", "visuals config list --json"))
@apply("json")
@errors
def list_(as_json: bool) -> None:
    """List the presets, each with what it is for."""
    from ...configs.schema import presets
    from ...configs.template import description

    found = {name: description(name) for name in presets()}
    if as_json:
        print_json(found)
        return
    width = max(map(len, found))
    for name, text in found.items():
        echo(f"{name:<{width}} {text}")


@config.command(
    epilog=examples("visuals config init", "visuals config init shop.yaml --preset sdxl")
)
@click.argument("file", default="visuals.yaml", callback=new_file)
@apply("preset")
@errors
def init(file: str, preset: str) -> None:
    """Write FILE (visuals.yaml), the settings of a preset, explained and commented out, to edit."""
    from ...configs.errors import UsageError, writable
    from ...configs.template import template

    text = template(preset)
    if not Path(file).parent.is_dir():
        raise UsageError(
            f"{file}: no folder {str(Path(file).parent)!r}; expected a file in a folder that exists"
        )
    with writable(file):
        Path(file).write_text(text, encoding="utf-8")
    echo(f"settings  {file}")


@config.command(
    epilog=examples("visuals config validate visuals.yaml", "visuals config validate mini")
)
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


@click.command(epilog=examples("visuals classes", "visuals classes --preset sd15 --json"))
@apply("preset", "json")
@errors
def classes(preset: str, as_json: bool) -> None:
    """List the product classes that a preset knows, with their other names.

    The embedded models know these alone; large detectors look for any words.
    """
    from ..prompts.product_classes import preset_classes

    known = preset_classes(preset)
    if as_json:
        print_json({"classes": known.names, "any_other": known.any_other})
        return
    for name, others in known.names.items():
        echo(f"{name:<14} {', '.join(others)}".rstrip())
    if known.any_other:
        note(f"the models of preset {preset} look for any other words as well")
