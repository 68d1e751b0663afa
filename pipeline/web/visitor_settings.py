"""What a visitor may set, from the page or by the API: nothing names a path or loosens safety."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...checkpoints.catalog.names import catalogue
from ...configs.errors import UsageError
from ...configs.schema import Settings, SettingsError, load_settings, presets
from ..exports.cutouts import is_color
from ..jobs.request import SETTINGS, RunRequest

FIELDS = {
    "classes", "count", "prompt", "negative_prompt", "edit", "strength", "confidence", "steps",
    "cfg_scale", "sampler", "width", "height", "seed", "preset", "edits", "cutout", "background",
}  # fmt: skip
"""Fields of a request that a visitor sets; the others name files, devices or code of the server."""

MOST_EDITS = 20
"""Edits of a request."""

OF_STUDIO = {"command", "inputs", "lora_dirs", "out", "overrides"}
"""Fields that the studio sets itself."""

MORE = ("generate.clip_skip", "generate.hires", "generate.variation")
"""Settings, by dotted name, that a visitor sets as YAML."""

ALLOWED = {
    *(key for field in FIELDS for key in SETTINGS.get(field, ())),
    *MORE, "detect.text_threshold", "generate.first_seed",
    "refiner", "refiner.model", "refiner.high_noise_frac",
}  # fmt: skip
"""Settings, by dotted name, that a visitor may change; `refiner` as a whole may only be null."""

IN_TRAINING: dict[str, tuple[tuple[Any, ...], str]] = {
    "allow_pickle": ((False, None), "pickles can run code"),
    "report_to": (("auto", "tensorboard", "none", False, None), "it sends pictures elsewhere"),
}
"""Values of a training's settings that a visitor may set, and why no others."""


def preset_settings(name: str) -> Settings:
    """Return the settings of a preset that ships; raises SettingsError for a path."""
    if name not in presets():
        raise SettingsError([f"unknown preset {name!r}: expected one of {', '.join(presets())}"])
    return load_settings(name)


def check_models(models: Iterable[str]) -> None:
    """Raise UsageError for a model that is not of the catalogue or of a preset."""
    known = catalogue()
    repositories = {entry.repository for entry in known.values()}
    for model in models:
        if model not in known and model not in repositories | preset_models():
            raise UsageError(
                f"model {model!r}: the studio takes names that `visuals checkpoints list` shows; "
                "name yours with `visuals checkpoints add`"
            )


def check_training(values: Mapping[str, Any]) -> None:
    """Raise SettingsError for a setting of a training that is for the command line alone."""
    for name, (allowed, why) in IN_TRAINING.items():
        if values.get(name) not in allowed:
            raise SettingsError([f"{name}: {why}, so the page does not set it; run visuals train"])


def preset_models() -> set[str]:
    """Return the models that presets draw with."""
    settings = [load_settings(name) for name in presets()]
    return {model for s in settings for model in (s.generate.model, s.rerender_model)}


def check_overrides(overrides: Mapping[str, Any]) -> None:
    """Raise UsageError for a setting that is not a visitor's, or a model that is not known."""
    for name, value in overrides.items():
        if name not in ALLOWED or (name == "refiner" and value is not None):
            raise UsageError(
                f"{name}: the studio takes no setting that names a path or loosens safety; "
                "set it on the command line"
            )
    check_models(value for name, value in overrides.items() if name.endswith(".model"))


def check_request(request: RunRequest) -> None:
    """Raise UsageError where a request sets what a visitor may not."""
    preset_settings(request.preset)
    check_overrides(request.overrides)
    if len(request.edits) > MOST_EDITS:
        raise UsageError(f"{len(request.edits)} edits: expected at most {MOST_EDITS}")
    if request.background is not None and not is_color(request.background):
        raise UsageError(
            f"background {request.background!r}: expected a colour, as in white or #f0f0f0; the "
            "studio takes no path"
        )
    for name, field in RunRequest.model_fields.items():
        value = getattr(request, name)
        if name not in FIELDS | OF_STUDIO and value != field.get_default(call_default_factory=True):
            check_overrides({name: value})
