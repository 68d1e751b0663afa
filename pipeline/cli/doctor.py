"""`visuals doctor`: device, memory, libraries, cache, and which presets fit."""

from __future__ import annotations

from typing import Any

import click

from .grouped_help import examples
from .options import apply, errors
from .output import echo, print_json


@click.command(epilog=examples("visuals doctor", "visuals doctor --device cpu --json"))
@apply("device", "json")
@errors
def doctor(device: str | None, as_json: bool) -> None:
    """Show device, memory, libraries and model cache, and which presets fit.

    Loads no models and downloads nothing.
    """
    from dataclasses import asdict

    from ..diagnostics import doctor as doctors

    found = doctors.report(device or "auto")
    if as_json:
        needs = {name: asdict(need) for name, need in found["presets"].items()}
        print_json({**found, "presets": needs})
        return
    lines = _lines(found)
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        echo(f"{name:<{width}} {text}")


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    from ..diagnostics.doctor import EXTRAS

    on, memory, cache = found["device"], found["memory"], found["cache"]
    missing = {n: EXTRAS[n] for n, v in found["libraries"].items() if v is None and n in EXTRAS}
    there = [f"{n} {v}" for n, v in found["libraries"].items() if v is not None]
    switches = ["offline"] if cache["offline"] else []
    switches += ["token found" if cache["token"] else "no token: gated models cannot be downloaded"]
    lines = [
        ("visuals", f"{found['visuals']}, Python {found['python']}, {found['system']}"),
        ("device", f"{on['name']} ({on['why']}), {on['dtype']}, {_room(on)}"),
        (
            "memory",
            f"{_gib(memory['gib'])}, {_gib(memory['available_gib'])} free, {memory['cores']} cores",
        ),
        ("libraries", ", ".join(there)),
    ]
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        what = ", ".join(missing)
        lines.append(
            ("missing", f"{what}: pip install 'product-visuals[{extras}]' if you need them")
        )
    lines.append(
        (
            "cache",
            f"{cache['folder']}, {cache['models']} models, {_gib(cache['free_gib'])} free on the "
            f"disk; {', '.join(switches)}",
        )
    )
    lines.append(("lock", cache["lock"] or "none; visuals checkpoints pull creates one"))
    return [*lines, *((name, str(need)) for name, need in found["presets"].items())]


def _room(on: dict[str, Any]) -> str:
    return f"{_gib(on['memory_gib'])}, {_gib(on['free_gib'])} free"


def _gib(value: float | None) -> str:
    return "unknown memory" if value is None else f"{value:g} GiB"
