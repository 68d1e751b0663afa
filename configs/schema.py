"""The settings of a run, typed and checked, and the presets that fill them.

Knows no models, no stages, no command line. An unknown key is refused with its nearest match, and
all errors are reported together. The sections are in `sections` and beside it.
"""

from __future__ import annotations

import difflib
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

HERE = Path(__file__).parent
NULL = object()
"""As the value of an override: set it to null. (None leaves a setting as it is.)"""


class SettingsError(UsageError):
    """Settings that cannot be used. `problems`: one line each, got, expected, remedy."""

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
    def leading(self) -> tuple[ControlSettings, ...]:
        """The controls that stage 3 is led by, in order."""
        return tuple(self.controls[name] for name in self.rerender.controls)


def presets() -> list[str]:
    """Names of the presets that ship."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def nearest(word: str, known: list[str]) -> str:
    """`"; did you mean 'strength'?"`, or nothing where no known word is near."""
    found = difflib.get_close_matches(word.lower(), known, 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def _keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that stand where `path` (its last part unknown) points."""
    here: Any = model
    for part in path[:-1]:
        if get_origin(here) in (dict, tuple):
            here = get_args(here)[get_origin(here) is dict]
        else:
            here = here.model_fields[part].annotation
        if type(None) in get_args(here):
            here = get_args(here)[0]
    return list(here.model_fields)


def _problem(error: Mapping[str, Any]) -> str:
    path = tuple(error["loc"])
    name = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        known = _keys(Settings, path)
        return (
            f"unknown setting {name!r}{nearest(str(path[-1]), known)} "
            f"(expected one of {', '.join(known)})"
        )
    if error["type"] == "missing":
        return f"{name} is missing: set it in the preset"
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    what = error["msg"][0].lower() + error["msg"][1:]
    return f"{name} {error['input']!r}: {what.replace('input should', 'should')}; set {name}"


def check(values: Mapping[str, Any]) -> Settings:
    """Settings of nested plain values; raises SettingsError with every problem at once."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError([_problem(e) for e in error.errors()]) from None  # type: ignore[arg-type]


def _read(preset: str) -> dict[str, Any]:
    path = HERE / f"{preset}.yaml"
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise SettingsError([f"no file {preset!r}: expected a YAML file of settings"])
    elif preset not in presets():
        names = presets()
        raise SettingsError(
            [
                f"unknown preset {preset!r}{nearest(preset, names)} "
                f"(expected {', '.join(names)}, or the path of a .yaml file)"
            ]
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = one_line(error)
        raise SettingsError([f"{path}: not YAML ({where}); mend the file"]) from None
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: expected sections (generate, detect, …) with settings"])
    base = values.pop("base", None)
    return merge(_read(str(base)), values) if base else values


def given(preset: str, overrides: Mapping[str, Any] | None = None) -> set[str]:
    """The dotted names, as in generate.width, that the user set: in a file of theirs or on top.

    What a preset that ships says is not among them.
    """
    names = {name for name, value in (overrides or {}).items() if value is not None}
    for _ in range(100):  # no chain of files is longer, unless it is a ring
        if not preset.endswith((".yaml", ".yml")):
            break
        values = yaml.safe_load(Path(preset).read_text(encoding="utf-8"))
        for section, inner in values.items():
            names |= {f"{section}.{key}" for key in inner} if isinstance(inner, Mapping) else set()
        preset = str(values.get("base") or "")
    return names


def raw(preset: str) -> dict[str, Any]:
    """A preset's plain values with those of its `base:` below them, unchecked."""
    return _read(preset)


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values, `high` over `low`; lists are replaced, not joined.

    >>> merge({"run": {"seed": 0, "retries": 2}}, {"run": {"seed": 7}})
    {'run': {'seed': 7, 'retries': 2}}
    """
    out = dict(low)
    for key, value in high.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return out


def load_settings(preset: str = "mini", overrides: Mapping[str, Any] | None = None) -> Settings:
    """A preset (a name, or a .yaml file; its `base:` names another) with changes on top.

    `overrides`: dotted names, `{"rerender.strength": 0.5}`; a value of None changes nothing.

    >>> load_settings("mini", {"rerender.strength": 0.5}).rerender.strength
    0.5
    """
    nested: dict[str, Any] = {}
    for name, value in (overrides or {}).items():
        if value is None:
            continue
        *sections, key = name.split(".")
        if not sections:
            raise SettingsError([f"setting {name!r}: expected section.name, as in run.seed"])
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError([f"setting {name!r}: {section} is set as a whole already"])
        place[key] = None if value is NULL else value
    return check(merge(_read(preset), nested))
