"""The fields of Create as a picture's metadata has them (A1111's PNG info), and what they do not.

Reads the record of visuals, else A1111's parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .....configs.errors import UsageError, one_line
from .....configs.schema import SettingsError, load_settings, merge, nest, presets
from ....images import provenance
from ....images.infotext import Infotext
from ....jobs.replays.replay_infotext import infotext_of
from ....jobs.resolve import request_settings
from ...queue.requests import changed
from ...visitor_settings import MORE, check_models, preset_settings
from .form import NONE, request_of

FIELDS = {
    "negative": "generate.negative_prompt",
    "width": "generate.width",
    "height": "generate.height",
    "sampler": "generate.sampler",
    "steps": "generate.steps",
    "cfg": "generate.cfg_scale",
    "strength": "rerender.strength",
}
"""Fields of the form by the settings that they set."""
_OTHER = ("run.", "caption.", "prompt", "batch_size", "first_seed", "_dirs")
"""Parts of the names of settings that are shown elsewhere, or change no picture."""
MOST = 20
"""Settings that are named where they are not honoured."""

Filled = tuple[dict[str, Any], list[str]]


def read(path: Path, preset: str) -> Filled:
    """Return the form's values by the names of `request_of`, and a note for each thing left out.

    Raises UsageError for a picture without metadata, or one that was made of a photo.
    """
    try:
        try:
            return of_record(provenance.read(path), preset)
        except provenance.ProvenanceError:
            found = infotext_of(path)
        if found is None:
            raise UsageError(
                f"{path.name} holds no parameters: expected a picture as visuals or A1111 saved "
                "it, not changed by another program"
            )
        return _of_infotext(found, preset)
    except UsageError as error:
        raise UsageError(one_line(error).replace(str(path), path.name)) from None


def _of_infotext(found: Infotext, preset: str) -> Filled:
    given = {**found.settings, "generate.negative_prompt": found.negative_prompt}
    values, notes = _form(preset, given)
    model = preset_settings(preset).generate.model
    if found.model and found.model not in (model, Path(model).stem):
        notes.append(f"not honoured: model {found.model}; preset {preset} draws by {model}")
    if found.inpainted:
        notes.append("not honoured: the picture that was painted over, which is not in the file")
    notes += [f"not honoured: {text}" for text in found.ignored]
    return {**values, "prompt": found.prompt, "edit": "", "seed": found.seed}, notes


def of_record(record: Mapping[str, Any], preset: str) -> Filled:
    """Return what `read` does, of a record of provenance: `settings`, and the shot `id` of `batch`.

    Raises UsageError for the record of a picture that was made of a photo.
    """
    own: dict[str, Any] = next((shot for shot in record["batch"] if shot["id"] == record["id"]), {})
    if own.get("prompt") is None:
        raise UsageError("the picture was made of a photo, not of a prompt: use Enhance for it")
    settings = merge(record["settings"], nest(own.get("settings") or {}))
    model, template = (_at(settings, f"generate.{key}") for key in ("model", "prompt"))
    drawing = [name for name in presets() if load_settings(name).generate.model == model]
    preset = preset if preset in drawing else next(iter(drawing), preset)
    names = [*FIELDS.values(), *MORE]
    given = {name: value for name in names if (value := _at(settings, name)) is not None}
    given["generate.negative_prompt"] = own.get("negative_prompt") or ""
    values, notes = _form(preset, given, settings.get("refiner"))
    filled = str(template).replace("{class}", next(iter(own["classes"]), ""))
    values |= {
        "preset": preset,
        "prompt": str(template) if filled == own["prompt"] else own["prompt"],
        "edit": own.get("edit") or "",
        "seed": own["seed"],
        **({"classes": own["classes"]} if own["classes"] else {}),
    }
    request = request_of(**{"classes": ["any"], "count": 1, **values})
    used = request_settings(request).model_dump(mode="json")
    return values, [*notes, *left_out(used, settings)]


def left_out(used: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Return a note for each setting that differs from those used and is shown nowhere else."""
    left = [
        f"not honoured: {name} {value!s:.60}"
        for name, value in changed(used, settings)
        if not any(part in name for part in _OTHER)
    ]
    more = [f"and {len(left) - MOST} more"] if len(left) > MOST else []
    return [*left[:MOST], *more]


def _form(preset: str, given: Mapping[str, Any], refiner: Any = None) -> Filled:
    """Return the values of the fields that settings have, and a note for each that is refused."""
    kept, notes = {}, []
    for name, value in given.items():
        try:
            load_settings(preset, {name: value})
            kept[name] = value
        except SettingsError as error:
            notes.append(f"not honoured: {one_line(error)}")
    usual = preset_settings(preset).model_dump(mode="json")
    more = {n: kept[n] for n in MORE if n in kept and kept[n] != _at(usual, n)}
    values = {
        **{field: kept.get(name, _at(usual, name)) for field, name in FIELDS.items()},
        "refiner": NONE,
        "noise": 0.8,
        "more": yaml.safe_dump(more, default_flow_style=None, sort_keys=False) if more else "",
        "preset": preset,
    }
    if isinstance(refiner, dict) and isinstance(refiner.get("model"), str):
        try:
            check_models([refiner["model"]])
            load_settings(preset, {"refiner": refiner})
            share = refiner.get("high_noise_frac", 0.8)
            values |= {"refiner": refiner["model"], "noise": share}
        except UsageError as error:
            notes.append(f"not honoured: refiner: {one_line(error)}")
    return values, notes


def _at(settings: Any, name: str) -> Any:
    """Return a setting by its dotted name, None where there is none."""
    for key in name.split("."):
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    return settings
