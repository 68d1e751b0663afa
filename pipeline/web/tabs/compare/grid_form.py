"""The form of the tab Compare: its values as a request for a grid, and a summary of the grid."""

from __future__ import annotations

from pathlib import Path

from ....jobs.draw_grid import GridRequest
from ....jobs.grid import GridError, GridPlan
from ... import visitor_settings
from ...files import lora_library
from ...widgets.text_lines import lines


def request_of(
    root: Path,
    classes: list[str],
    prompt: str,
    loras: str,
    seeds: str,
    chosen: list[str],
    checkpoints: str,
    columns: str,
    steps: str,
    cfg: str,
    sampler: str,
    negative: str,
) -> GridRequest:
    """Return the request of the form's values; raises GridError, SettingsError, UsageError."""
    prompts, lora_lines = lines(prompt), lines(loras)
    overrides = {
        "generate.steps": _number("Steps", steps, int),
        "generate.cfg_scale": _number("CFG scale", cfg, float),
        "generate.sampler": sampler or None,
        "generate.negative_prompt": (negative or "").strip() or None,
    }
    for preset in chosen or ():
        visitor_settings.preset_settings(preset)
    visitor_settings.check_models(lines(checkpoints))
    names = [line.partition(":")[0].strip() for line in lora_lines]
    return GridRequest(
        classes=tuple(classes) if any("{class}" in text for text in prompts) else (),
        prompts=prompts,
        presets=tuple(chosen or ()),
        checkpoints=lines(checkpoints),
        loras=lora_lines,
        lora_dirs=lora_library.folders_for(root, names, (chosen or ["mini"])[0]),
        seeds=numbers(seeds or ""),
        columns=columns or None,
        overrides={name: value for name, value in overrides.items() if value is not None},
    )


def _number(name: str, text: str, kind: type[int] | type[float]) -> float | None:
    if not (text or "").strip():
        return None
    try:
        return kind(text)
    except ValueError:
        raise GridError(f"{name} {text!r}: expected a number, or nothing") from None


def numbers(text: str) -> tuple[int, ...]:
    """Return seeds separated by commas or blanks, `3-6` being a range; raises GridError.

    >>> numbers("7, 1-3 7")
    (7, 1, 2, 3)
    """
    out: list[int] = []
    for part in text.replace(",", " ").split():
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise GridError(f"seed {part!r}: expected numbers, as in 0,1,2,3 or 0-3")
        first, last = int(low), int(high or low)
        if last < first:
            raise GridError(f"seed {part!r}: expected the lower one first, as in {last}-{first}")
        if last >= 2**32 or last - first >= 400:
            raise GridError(f"seed {part!r}: expected 0 to 4294967295, at most 400 of them")
        out += range(first, last + 1)
    return tuple(dict.fromkeys(out))


def summary(plan: GridPlan) -> str:
    """Return how many pictures a grid has, and of what.

    >>> from visuals.pipeline.jobs.draw_grid import plan_grid
    >>> summary(plan_grid(GridRequest(("a mug",), loras=("look:0,1",), seeds=(1, 2))))
    '4 pictures: 2 LoRA weights × 2 seeds'
    """
    names = {"preset": "presets", "checkpoint": "checkpoints", "prompt": "prompts"}
    names |= {"lora": "LoRA weights", "seed": "seeds"}
    parts = [f"{len(v)} {names[k]}" for k, v in plan.values.items() if len(v) > 1]
    count = len(plan.cells)
    total = f"{count} picture{'s' * (count != 1)}"
    return f"{total}: {' × '.join(parts)}" if parts else total
