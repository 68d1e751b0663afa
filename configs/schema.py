"""Settings of a run: types, presets, overrides by dotted name.

An unknown key is rejected with its nearest match, and all errors are reported together. Each
section of the settings has a module beside this one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from .base import Section
from .caption import CaptionSettings
from .detect import (
    ClassSettings,
    DetectSettings,
    MaskSettings,
    SegmentSettings,
    VerifySettings,
)
from .errors import UsageError, one_line
from .generate import GenerateSettings, RefinerSettings
from .rerender import ControlSettings, RerenderSettings
from .run import RunSettings
from .text_files import parse_yaml, read_text

HERE = Path(__file__).parent
NULL = object()
"""Value of an override that sets it to null; None leaves a setting as it is."""
_EXPECTED = "sections (generate, detect, …) with settings"


class SettingsError(UsageError):
    """Settings are not valid. `problems`: a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Settings(Section):
    """All settings of a run, a section per stage."""

    generate: GenerateSettings
    refiner: RefinerSettings | None = None
    detect: DetectSettings
    segment: SegmentSettings
    classes: dict[str, ClassSettings] = Field(default_factory=dict)
    verify: VerifySettings | None = None
    mask: MaskSettings = Field(default_factory=MaskSettings)  # type: ignore[arg-type]
    controls: dict[str, ControlSettings] = Field(default_factory=dict)
    rerender: RerenderSettings
    caption: CaptionSettings = Field(default_factory=CaptionSettings)  # type: ignore[arg-type]
    run: RunSettings = Field(default_factory=RunSettings)  # type: ignore[arg-type]

    @field_validator("classes", mode="before")
    @classmethod
    def _a_bare_name_is_a_class(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {str(k): {} if v is None else v for k, v in value.items()}

    @model_validator(mode="after")
    def _controls_are_known(self) -> Settings:
        for name in self.rerender.controls:
            if name not in self.controls:
                known = list(self.controls)
                raise ValueError(
                    f"rerender.controls: unknown control {name!r}{nearest(name, known)} "
                    f"(expected one of {', '.join(known)})"
                )
        return self

    @property
    def rerender_model(self) -> str:
        """The model that stage 3 draws with."""
        return self.rerender.model or self.generate.model

    @property
    def leading(self) -> tuple[ControlSettings, ...]:
        """The ControlNets of stage 3, in order; none where its method takes none."""
        if self.rerender.method != "controlnet":
            return ()
        return tuple(self.controls[name] for name in self.rerender.controls)


def _folders() -> list[Path]:
    """Where presets are looked up by name: the user's folder `VISUALS_PRESETS`, then this one."""
    own = os.environ.get("VISUALS_PRESETS")
    return [Path(own).expanduser(), HERE] if own else [HERE]


def presets() -> list[str]:
    """Return the names of the presets, those of the folder `VISUALS_PRESETS` among them."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def nearest(word: str, known: list[str]) -> str:
    """Return `"; did you mean 'strength'?"`, or "" without a similar word."""
    found = difflib.get_close_matches(word.lower(), known, 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def _keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that are valid in place of the last part of `path`."""
    kind: Any = model
    for part in path[:-1]:
        if get_origin(kind) in (dict, tuple):
            kind = get_args(kind)[get_origin(kind) is dict]
        else:
            kind = kind.model_fields[part].annotation
        if type(None) in get_args(kind):
            kind = get_args(kind)[0]
    return list(kind.model_fields)


def describe(error: Mapping[str, Any], name: str, unknown: str) -> str:
    """Return a line for an error of pydantic in the setting `name`; `unknown`: the hint for a key
    that does not exist."""
    if error["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{unknown}"
    if error["type"] == "missing":
        return f"{name} is missing: set it in the file"
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    what = error["msg"][0].lower() + error["msg"][1:]
    return f"{name} {error['input']!r}: {what.replace('input should', 'should')}; set {name}"


def _problem(error: Mapping[str, Any]) -> str:
    path = tuple(error["loc"])
    hint = ""
    if error["type"] == "extra_forbidden":
        known = _keys(Settings, path)
        hint = f"{nearest(str(path[-1]), known)} (expected one of {', '.join(known)})"
    return describe(error, ".".join(map(str, path)), hint)


def check(values: Mapping[str, Any]) -> Settings:
    """Check nested plain values; raises SettingsError with every problem at once."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError([_problem(e) for e in error.errors()]) from None  # type: ignore[arg-type]


def read_yaml(path: str | Path, expected: str) -> dict[str, Any]:
    """Return the values of a YAML file; raises SettingsError. `expected`: what it should hold."""

    def error(message: str) -> SettingsError:
        return SettingsError([message])

    text = read_text(path, error, expected)
    try:
        values = parse_yaml(text)
    except yaml.YAMLError as cause:
        raise error(f"{path}: not YAML ({one_line(cause)}); fix the file") from None
    if not isinstance(values, dict):
        raise error(f"{path}: expected {expected}")
    return values


def _file(preset: str) -> Path | None:
    """The user's file that a preset is; None for the name of a preset."""
    return Path(preset) if preset.endswith((".yaml", ".yml")) else None


def preset_file(preset: str, *above: Path) -> Path:
    """Return the file of a preset: its own path, or the first of its name that is not `above`."""
    named = _file(preset)
    files = [named] if named else [folder / f"{preset}.yaml" for folder in _folders()]
    found = [file for file in files if file == named or file.is_file()]
    if not found:
        names = presets()
        raise SettingsError(
            [
                f"unknown preset {preset!r}{nearest(preset, names)} "
                f"(expected {', '.join(names)}, or the path of a .yaml file)"
            ]
        )
    for file in found:
        if file not in above:
            return file
    raise SettingsError([f"{preset}: a base of itself; expected `base:` of another preset"])


def raw(preset: str, *above: Path) -> dict[str, Any]:
    """Return a preset's plain values with those of its `base:` below them, unchecked.

    `above`: the files that it is the base of.
    """
    file = preset_file(preset, *above)
    values = read_yaml(file, _EXPECTED)
    base = values.pop("base", None)
    return merge(raw(str(base), file, *above), values) if base else values


def given(preset: str, overrides: Mapping[str, Any] | None = None) -> set[str]:
    """Return the dotted names, as in generate.width, that the user set: in a file or on top.

    What a preset that ships sets is not among them.
    """
    names = {name for name, value in (overrides or {}).items() if value is not None}
    for _ in range(100):  # no chain of files is longer, unless it is a ring
        if (file := _file(preset)) is None:
            break
        values = read_yaml(file, _EXPECTED)
        for section, inner in values.items():
            names |= {f"{section}.{key}" for key in inner} if isinstance(inner, Mapping) else set()
        preset = str(values.get("base") or "")
    return names


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested values, `high` over `low`; lists are replaced, not joined.

    A `strength` in `high` without an `edit_strength` beside it is the strength of edits too.

    >>> merge({"run": {"seed": 0, "retries": 2}}, {"run": {"seed": 7}})
    {'run': {'seed': 7, 'retries': 2}}
    """
    out = dict(low)
    for key, value in high.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    if "strength" in high and "edit_strength" in low and "edit_strength" not in high:
        out["edit_strength"] = None
    return out


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of dotted names by section; a section as a whole can only be NULL.

    Raises SettingsError for any other name without a section.

    >>> nest({"generate.steps": 8})
    {'generate': {'steps': 8}}
    """
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        if not sections and value is not NULL:
            raise SettingsError([f"setting {name!r}: expected section.name, as in run.seed"])
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError([f"setting {name!r}: {section} is set as a whole already"])
        place[key] = None if value is NULL else value
    return nested


def apply_overrides(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return the settings with values of dotted names over them; raises SettingsError."""
    return check(merge(settings.model_dump(mode="json"), nest(values))) if values else settings


def load_settings(preset: str = "mini", overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a preset (a name, or a .yaml file) with changes on top.

    `overrides`: by dotted name, `{"rerender.strength": 0.5}`; a value of None changes nothing.

    >>> load_settings("mini", {"rerender.strength": 0.5}).rerender.strength
    0.5
    """
    changes = {name: value for name, value in (overrides or {}).items() if value is not None}
    return check(merge(raw(preset), nest(changes)))
