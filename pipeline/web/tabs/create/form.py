"""The form of the tab Create: its values as a request for a run."""

from __future__ import annotations

from typing import Any

import yaml

from .....configs.errors import one_line
from .....configs.text_files import parse_yaml
from .....stages.shot import seed_or_random
from ....jobs.engine_options import RequestError
from ....jobs.request import RunRequest, edit_fields
from ...visitor_settings import MORE, preset_settings
from ...widgets import cutout_box
from ...widgets.seed_box import checked, whole
from ...widgets.text_lines import lines

NONE = "none"


def request_of(
    classes: list[str],
    prompt: str,
    edit: str,
    count: float | None,
    preset: str,
    seed: float | None,
    negative: str,
    width: float | None,
    height: float | None,
    sampler: str,
    steps: float,
    cfg: float,
    strength: float,
    refiner: str,
    noise: float,
    more: str,
    cutout: str = "",
) -> RunRequest:
    """Return the request of the form's values, which names only what differs from the preset."""
    if not classes:
        raise RequestError("no product class: choose or type one")
    usual = preset_settings(preset)
    g, r = usual.generate, usual.rerender
    wide, high = whole("Width", width, 64, 4096), whole("Height", height, 64, 4096)
    return RunRequest(
        command="run",
        classes=classes,
        count=whole("Pictures a class", count, 1, 1000),
        prompt=prompt if (prompt or "").strip() not in ("", g.prompt) else None,
        negative_prompt=negative if (negative or "") != g.negative_prompt else None,
        **edit_fields(lines(edit)),
        strength=float(strength) if strength != r.strength else None,
        steps=int(steps) if int(steps) != g.steps else None,
        sampler=sampler if sampler != g.sampler else None,
        width=wide if wide != g.width else None,
        height=high if high != g.height else None,
        preset=preset,
        **cutout_box.fields(cutout),
        overrides={
            "generate.first_seed": seed_or_random(checked(seed)),
            **({"generate.cfg_scale": float(cfg)} if cfg != g.cfg_scale else {}),
            **_refiner(refiner, float(noise), usual.refiner),
            **_more(more),
        },
    )


def usual_values(preset: str) -> dict[str, Any]:
    """Return the values of the fields that a preset sets, by the names of `request_of`."""
    usual = preset_settings(preset)
    g, refines = usual.generate, usual.refiner
    return {
        "prompt": g.prompt,
        "negative": g.negative_prompt,
        "width": g.width,
        "height": g.height,
        "sampler": g.sampler,
        "steps": g.steps,
        "cfg": g.cfg_scale,
        "strength": usual.rerender.strength,
        "refiner": refines.model if refines else NONE,
        "noise": refines.high_noise_frac if refines else 0.8,
        "more": "",
    }


def _more(text: str) -> dict[str, Any]:
    """Return the settings that have no field of their own, of YAML by dotted name."""
    try:
        values = parse_yaml(text or "") or {}
    except yaml.YAMLError as error:
        raise RequestError(f"more settings: not YAML ({one_line(error)})") from None
    if not isinstance(values, dict) or not set(values) <= set(MORE):
        raise RequestError(f"more settings: expected lines NAME: VALUE of {', '.join(MORE)}")
    return values


def _refiner(model: str, noise: float, usual: Any) -> dict[str, Any]:
    """Return the settings by which a refiner draws the last steps, or none does."""
    model = (model or NONE).strip()
    if model == NONE:
        return {"refiner": None} if usual else {}
    known = usual is not None and usual.model == model
    changes: dict[str, Any] = {} if known else {"refiner.model": model}
    if noise != (usual.high_noise_frac if usual else 0.8):
        changes["refiner.high_noise_frac"] = round(noise, 2)
    return changes
