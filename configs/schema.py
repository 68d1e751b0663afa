"""The settings of a run, typed and checked, and the presets that fill them.

Knows no models, no stages, no command line. The names are those of diffusers, A1111 and
ADetailer, so that a value read elsewhere can be copied. An unknown key is refused with its
nearest match, and all errors are reported together.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from .captions import CaptionSettings
from .drawing import BaseLoraSettings, HiresSettings, IPAdapterSettings, RefinerSettings
from .finding import ClassSettings, MaskSettings, VerifySettings
from .finding import Section as _Section
from .hosted import ReplicateSettings, check_host

HERE = Path(__file__).parent
NULL = object()
"""As the value of an override: set it to null. (None leaves a setting as it is.)"""


class SettingsError(ValueError):
    """Settings that cannot be used. `problems`: one line each, got, expected, remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class GenerateSettings(_Section):
    """Stage 1. Sizes in pixels, multiples of 8 (the VAE's factor). `vae`: in the place of the
    model's own; `init_image`: a picture to begin from, drawn over at `prompt_strength`, 0 to 1;
    `fuse_loras`: add LoRAs into the weights, faster where all prompts have the same ones;
    `cache_interval`: DeepCache's, 1 is off, 2 draws the UNet's inner blocks in every second step;
    `backend`: where it is drawn; `version`: the model there."""

    model: str
    backend: Literal["local", "replicate"] = "local"
    version: str | None = None
    replicate: ReplicateSettings | None = None
    vae: str | None = None
    base_loras: tuple[BaseLoraSettings, ...] = ()
    lora_dirs: tuple[str, ...] = ()
    wildcard_dirs: tuple[str, ...] = ()
    fuse_loras: bool = False
    prompt: str = "{class}, studio photography, product photography"
    negative_prompt: str = ""
    steps: int = Field(30, ge=1, le=1000)
    cfg_scale: float = Field(7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(1, ge=1, le=10)
    clip_skip: int | None = Field(None, ge=1, le=12)
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)
    init_image: str | None = None
    prompt_strength: float = Field(0.8, gt=0, le=1)
    hires: HiresSettings | None = None
    ip_adapter: IPAdapterSettings | None = None
    batch_size: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _a_host_is_told_its_model(self) -> GenerateSettings:
        check_host(self.backend, self.version)
        return self


class DetectSettings(_Section):
    """Stage 2, where. Thresholds and overlaps are shares, 0 to 1. `cross_class_iou`: where boxes of
    two classes overlap by so much the better one stays; none: both do. `second_look`: boxes in
    doubt are looked at again in close-ups, padded by these shares of their longer side."""

    model: str
    box_threshold: float = Field(0.35, ge=0, le=1)
    text_threshold: float = Field(0.25, ge=0, le=1)
    nms_iou: float = Field(0.5, ge=0, le=1)
    cross_class_iou: float | None = Field(0.8, gt=0, le=1)
    second_look: tuple[Annotated[float, Field(ge=0, le=4)], ...] = ()
    batch_size: int = Field(8, ge=1)


class SegmentSettings(_Section):
    """Stage 2, which pixels. `crop_padding`: show each box alone, in the square round it padded by
    this share of its longer side; none: whole pictures."""

    model: str
    crop_padding: float | None = Field(None, ge=0, le=4)
    batch_size: int = Field(8, ge=1)


class ControlSettings(_Section):
    """A ControlNet of stage 3 and the map that leads it. `annotator`: the model that makes the map,
    where one is needed; none: the usual one of the kind. Canny thresholds: 0 to 255."""

    model: str
    kind: Literal[
        "canny",
        "depth",
        "hed",
        "inpaint",
        "lineart",
        "normal",
        "seg",
        "softedge",
        "tile",
    ]
    annotator: str | None = None
    low: int = Field(100, ge=0, le=255)
    high: int = Field(200, ge=0, le=255)
    conditioning_scale: float = Field(1.0, ge=0, le=2)
    guidance_start: float = Field(0.0, ge=0, le=1)
    guidance_end: float = Field(1.0, ge=0, le=1)


class RerenderSettings(_Section):
    """Stage 3. `controls`: which of the settings' `controls` lead it, together. `padding`,
    `mask_blur` and `dilate` in pixels of the picture. `min_structure`: a share of edges, 0 to 1; a
    result that keeps fewer is drawn again at lower strength. `cache_interval`: as in generate."""

    controls: tuple[str, ...] = ("canny",)
    prompt: str | None = None
    negative_prompt: str = ""
    strength: float = Field(0.75, gt=0, le=1)
    steps: int = Field(20, ge=1, le=1000)
    cfg_scale: float = Field(7.0, ge=0, le=50)
    sampler: str = "DPM++ 2M Karras"
    cache_interval: int = Field(1, ge=1, le=10)
    width: int = Field(512, ge=64, le=4096, multiple_of=8)
    height: int = Field(512, ge=64, le=4096, multiple_of=8)
    padding: int = Field(32, ge=0)
    mask_blur: int = Field(4, ge=0)
    dilate: int = Field(4, ge=-64, le=256)
    aspect_buckets: bool = False
    color_correction: bool = False
    min_structure: float = Field(0.0, ge=0, le=1)
    batch_size: int = Field(4, ge=1)


class RunSettings(_Section):
    """How the shots go through. `batch_size`: shots in memory at a time; `format`, `quality`: of
    the pictures that come out (quality of JPEG and WebP, 1 to 100). `allow_pickle`: read .pth
    files of weights; `torch_compile`: the UNet's and ControlNets' blocks, at their first call.
    `low_memory`: slower, but with only the models at work on a GPU, or in the memory of a CPU, and
    the VAE in tiles."""

    seed: int = Field(0, ge=0, lt=2**32)
    retries: int = Field(0, ge=0, le=100)
    batch_size: int = Field(8, ge=1)
    device: str = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    low_memory: bool = False
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: int = Field(95, ge=1, le=100)
    allow_pickle: bool = False
    torch_compile: bool = False


class Settings(_Section):
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
        where = " ".join(str(error).split())
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
