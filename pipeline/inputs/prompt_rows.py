"""The rows of a prompt file that says more than prompts: each with words and settings of its own.

Makes a run's shots of them. Knows no files, no models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ...stages.shot import shot_seed
from .prompt_file import PromptFileError
from .resume import LazyShots, ShotName

if TYPE_CHECKING:
    from ...configs.schema import Settings

GENERATE = (
    "steps", "cfg_scale", "sampler", "width", "height", "clip_skip", "prompt_strength", "hires",
)  # fmt: skip
RERENDER = (
    "strength", "steps", "cfg_scale", "sampler", "negative_prompt", "width", "height",
    "padding", "mask_blur", "dilate", "aspect_buckets", "color_correction", "min_structure",
)  # fmt: skip
OWN = (*(f"generate.{key}" for key in GENERATE), *(f"rerender.{key}" for key in RERENDER))
"""The settings that a shot may have for itself: those that need no other model."""


@dataclass(frozen=True)
class Row:
    """One row. `line`: its place in the file; what is None or "" is the run's. `seed`: of its first
    picture, the next ones count up; `settings`: by dotted name, of those in OWN."""

    line: int
    prompt: str = ""
    negative_prompt: str | None = None
    class_: str = ""
    edit: str | None = None
    seed: int | None = None
    count: int | None = None
    name: str = ""
    loras: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """What is given, for run.yaml; `Row(**row.plain())` is the row."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        given = {k: v for k, v in values.items() if v is not None and v != "" and v != {}}
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in given.items()}

    def text(self, usual: str) -> str:
        """Its prompt with its LoRAs' tags; `usual`: the run's, where it has none."""
        return " ".join(filter(None, (self.prompt or usual, self.loras)))


def shots(
    rows: Sequence[Row],
    classes: Sequence[str],
    *,
    prompt: str,
    negative_prompt: str = "",
    edit: str = "",
    run_seed: int = 0,
) -> LazyShots:
    """The shots of all rows, row by row; a row without a class is drawn for each of `classes`.

    Raises PromptFileError where two rows would have a picture of the same name.
    """
    from ...stages.shot import Prompted, Shot

    def make(name: ShotName) -> Shot:
        row, class_, number = name.rest
        text = row.text(prompt).replace("{class}", class_)
        negative = negative_prompt if row.negative_prompt is None else row.negative_prompt
        said = {"rerender.negative_prompt": row.negative_prompt} if row.negative_prompt else {}
        own = shot_seed(run_seed, name.id) if row.seed is None else (row.seed + number) % 2**32
        return Shot(
            id=name.id,
            source=Prompted(text, negative, own),
            classes=(class_,) if class_ else (),
            edit=edit if row.edit is None else row.edit,
            settings={**said, **row.settings},
        )

    names: list[ShotName] = []
    taken: dict[str, int] = {}
    problems = []
    for place, row in enumerate(rows, 1):
        for id_, rest in _pictures(row, place, classes):
            other = taken.setdefault(id_.lower(), row.line)
            if other != row.line:
                problems.append(
                    f"line {row.line}: the name {id_!r} is that of line {other}; take another"
                )
                break
            names.append(ShotName(id_, None, rest))
    if problems:
        raise PromptFileError("; ".join(problems))
    return LazyShots(names, make)


def _pictures(row: Row, place: int, classes: Sequence[str]) -> list[tuple[str, tuple[Any, ...]]]:
    """(id, (row, class, number)) of each picture of a row that is the file's `place`th."""
    out = []
    asked = [row.class_] if row.class_ else list(classes) or [""]
    count = row.count or 1
    for class_ in asked:
        word = class_.replace(" ", "-").replace("/", "-")
        if row.name:
            stem = f"{row.name}-{word}" if len(asked) > 1 else row.name
        else:
            stem = f"{word or 'row'}-{place:04d}"
        for number in range(count):
            id_ = stem if count == 1 else f"{stem}-{number + 1:0{max(2, len(str(count)))}d}"
            out.append((id_, (row, class_, number)))
    return out


def changed(settings: Settings, own: Mapping[str, Any]) -> Settings:
    """The settings with those of a shot over them."""
    from ...configs.schema import check, merge

    return check(merge(settings.model_dump(mode="json"), nested(own))) if own else settings


def nested(own: Mapping[str, Any]) -> dict[str, Any]:
    """By section.

    >>> nested({"generate.steps": 8})
    {'generate': {'steps': 8}}
    """
    out: dict[str, Any] = {}
    for name, value in own.items():
        section, _, key = name.partition(".")
        out.setdefault(section, {})[key] = value
    return out
