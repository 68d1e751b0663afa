"""Rows of prompt tables: validation, and the shots made of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ...configs.base import LONGEST_TEXT
from ...configs.errors import UsageError
from ...configs.schema import SettingsError, check, merge, nest, raw
from ...configs.text_files import parse_yaml
from ..runs.inside_path import file_name
from .lazy_shots import LazyShots, ShotName, check_number, id_part, picture_seed

GENERATE = (
    "steps", "cfg_scale", "sampler", "width", "height", "clip_skip", "prompt_strength", "hires",
)  # fmt: skip
RERENDER = (
    "strength", "edit_strength", "steps", "cfg_scale", "sampler", "negative_prompt", "width",
    "height", "padding", "mask_blur", "dilate", "aspect_buckets", "color_correction", "keep_color",
    "min_structure",
)  # fmt: skip
SETTINGS = (*(f"generate.{key}" for key in GENERATE), *(f"rerender.{key}" for key in RERENDER))
"""Settings that a row may override: those that need no other model."""
_FORBIDDEN_IN_NAME = re.compile(r'[\\/<>:"|?*\x00-\x1f]|^\.|[. ]$')
_MAX_NAME_BYTES = 120
_LORA = re.compile(r"\s*([^:<>]+?)\s*((?::\s*-?\d+(\.\d+)?\s*){0,2})")


class PromptFileError(UsageError):
    """A prompt file cannot be used."""


def _file_name(value: Any) -> str:
    name = re.sub(r"\.(png|jpe?g|webp)$", "", str(value).strip())
    if _FORBIDDEN_IN_NAME.search(name) or len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        raise ValueError(
            f"name {name[:60]!r}: expected a file's name without a folder, of at most "
            f'{_MAX_NAME_BYTES} bytes, without \\ / < > : " | ? *'
        )
    return name


def _lora_tags(value: Any) -> str:
    """Return LoRAs, as in `film:0.8; other`, a list or an object, as tags of the prompt."""
    if isinstance(value, str) and "<" in value:
        return value
    if isinstance(value, str):
        value = re.split(r"\s*[;,]\s*", value) if value else []
    if isinstance(value, Mapping):
        value = [f"{name}:{weight}" for name, weight in value.items()]
    tags, problems = [], []
    for part in value if isinstance(value, list) else [value]:
        match = _LORA.fullmatch(str(part))
        if match:
            weights = re.sub(r"\s", "", match[2]) or ":1"
            tags.append(f"<lora:{match[1]}{weights}>")
        else:
            problems.append(f"lora {str(part)!r}: expected NAME:WEIGHT, as in film:0.8")
    if problems:
        raise ValueError("; ".join(problems))
    return " ".join(tags)


_base_settings = functools.cache(functools.partial(raw, "mini"))


def _checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of dotted names, checked as those of --set; raises SettingsError."""
    from ...stages.diffusion import samplers

    values = {name: value for name, value in given.items() if value is not None and value != ""}
    for name, value in values.items():
        if isinstance(value, str) and not name.endswith("prompt"):
            try:
                values[name] = parse_yaml(value)
            except yaml.YAMLError:
                pass  # the check below says what was expected
    if not values:
        return {}
    problems = []
    try:
        sections = check(merge(_base_settings(), nest(values))).model_dump(mode="json")
    except SettingsError as error:
        problems += error.problems
    for name in ("generate.sampler", "rerender.sampler"):
        sampler = values.get(name)
        if isinstance(sampler, str) and sampler not in samplers.NAMES:
            try:
                samplers.scheduler(sampler, {})
            except samplers.UnknownSamplerError as error:
                problems.append(str(error))
    if problems:
        raise SettingsError(problems)
    keys = {name: name.split(".") for name in values}
    return {name: sections[section][key] for name, (section, key) in keys.items()}


_Text = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
_Blank = BeforeValidator(lambda value: None if value == "" else value)
_AnySeed = BeforeValidator(lambda value: None if value in ("", -1, "-1") else value)
"""A1111's seed -1, like an empty one, means the seed that the run gives."""


class PromptRow(BaseModel):
    """A row of a prompt table; values that are None or empty are inherited from the run.

    Attributes:
        line: Line of the file where the row begins, from 1.
        class_: Product class, in lower case; column `class`.
        seed: Seed of its first picture, 0 to 2³² - 1; the next ones count up.
        count: Number of pictures.
        name: File name of its pictures, without ending.
        loras: LoRA tags, as in `<lora:film:0.8>`; column `lora`.
        settings: Values by dotted name, of those in SETTINGS.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, str_max_length=LONGEST_TEXT
    )

    line: int
    prompt: _Text = ""
    negative_prompt: _Text | None = None
    class_: Annotated[_Text, AfterValidator(str.lower)] = Field("", alias="class")
    edit: _Text | None = None
    seed: Annotated[int | None, Field(ge=0, le=2**32 - 1), _AnySeed] = None
    count: Annotated[int | None, Field(ge=1, le=100_000), _Blank] = None
    name: Annotated[str, BeforeValidator(_file_name)] = ""
    loras: Annotated[str, BeforeValidator(_lora_tags)] = Field("", alias="lora")
    settings: Annotated[Mapping[str, Any], AfterValidator(_checked_settings)] = Field(
        default_factory=dict
    )

    def to_json(self) -> dict[str, Any]:
        """Return the values given, as run.yaml records them."""
        return {k: v for k, v in self.model_dump().items() if v not in (None, "", {})}

    def text(self, default: str) -> str:
        """Return its prompt, else the run's, with the tags of its LoRAs."""
        return " ".join(filter(None, (self.prompt or default, self.loras)))


def shots(
    rows: Sequence[PromptRow],
    classes: Sequence[str],
    *,
    prompt: str,
    negative_prompt: str = "",
    edit: str = "",
    run_seed: int = 0,
    first_seed: int | None = None,
) -> LazyShots:
    """Return the shots of all rows, row by row; rows inherit missing values from the run's, and
    each row begins with the first seed.

    A row without a class is generated for each of `classes`. Raises PromptFileError if two rows
    would have a picture of the same name.
    """
    from ...stages.shot import Prompted, Shot

    def make(name: ShotName) -> Shot:
        row, class_, number = name.rest
        text = row.text(prompt).replace("{class}", class_)
        negative = negative_prompt if row.negative_prompt is None else row.negative_prompt
        own = {"rerender.negative_prompt": row.negative_prompt} if row.negative_prompt else {}
        first = first_seed if row.seed is None else row.seed
        seed = picture_seed(name.id, number, run_seed, first)
        return Shot(
            id=name.id,
            source=Prompted(text, negative, seed),
            classes=(class_,) if class_ else (),
            edit=edit if row.edit is None else row.edit,
            settings={**own, **row.settings},
        )

    each = max(1, len(classes))
    check_number(sum((row.count or 1) * (1 if row.class_ else each) for row in rows))
    names: list[ShotName] = []
    taken: dict[str, int] = {}
    problems = []
    for place, row in enumerate(rows, 1):
        for id_, rest in _pictures(row, place, classes):
            other = taken.setdefault(id_.lower(), row.line)
            if other != row.line:
                problems.append(
                    f"line {row.line}: the name {id_!r} is taken by line {other}; choose another"
                )
                break
            names.append(ShotName(id_, None, rest))
    if problems:
        raise PromptFileError("; ".join(problems))
    return LazyShots(names, make, lambda name: (id(name.rest[0]), name.rest[1]))


def _pictures(
    row: PromptRow, place: int, classes: Sequence[str]
) -> list[tuple[str, tuple[Any, ...]]]:
    """Return (id, (row, class, number)) of each picture of a row that is the file's `place`th."""
    pictures = []
    names_of_classes = [row.class_] if row.class_ else list(classes) or [""]
    count = row.count or 1
    for class_ in names_of_classes:
        word = id_part(class_)
        if row.name:
            stem = f"{row.name}-{word}" if len(names_of_classes) > 1 else row.name
        else:
            stem = f"{word or 'row'}-{place:04d}"
        for number in range(count):
            id_ = stem if count == 1 else f"{stem}-{number + 1:0{max(2, len(str(count)))}d}"
            pictures.append((file_name(id_), (row, class_, number)))
    return pictures
