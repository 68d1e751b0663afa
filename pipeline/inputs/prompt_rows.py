"""The shots of the rows of a prompt table. Knows no files, no models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...stages.shot import shot_seed
from .prompt_table import PromptFileError, PromptRow
from .resume import LazyShots, ShotName


def shots(
    rows: Sequence[PromptRow],
    classes: Sequence[str],
    *,
    prompt: str,
    negative_prompt: str = "",
    edit: str = "",
    run_seed: int = 0,
) -> LazyShots:
    """Return the shots of all rows, row by row.

    Args:
        classes: the run's; a row without a class is drawn for each of them.
        prompt, negative_prompt, edit: the run's, for rows without their own.
        run_seed: the seeds of rows without one are made of it.

    Raises:
        PromptFileError: two rows would have a picture of the same name.
    """
    from ...stages.shot import Prompted, Shot

    def make(name: ShotName) -> Shot:
        row, class_, number = name.rest
        text = row.text(prompt).replace("{class}", class_)
        negative = negative_prompt if row.negative_prompt is None else row.negative_prompt
        negative_setting = (
            {"rerender.negative_prompt": row.negative_prompt} if row.negative_prompt else {}
        )
        seed = shot_seed(run_seed, name.id) if row.seed is None else (row.seed + number) % 2**32
        return Shot(
            id=name.id,
            source=Prompted(text, negative, seed),
            classes=(class_,) if class_ else (),
            edit=edit if row.edit is None else row.edit,
            settings={**negative_setting, **row.settings},
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


def _pictures(
    row: PromptRow, place: int, classes: Sequence[str]
) -> list[tuple[str, tuple[Any, ...]]]:
    """Return (id, (row, class, number)) of each picture of a row that is the file's `place`th."""
    pictures = []
    names_of_classes = [row.class_] if row.class_ else list(classes) or [""]
    count = row.count or 1
    for class_ in names_of_classes:
        word = class_.replace(" ", "-").replace("/", "-")
        if row.name:
            stem = f"{row.name}-{word}" if len(names_of_classes) > 1 else row.name
        else:
            stem = f"{word or 'row'}-{place:04d}"
        for number in range(count):
            id_ = stem if count == 1 else f"{stem}-{number + 1:0{max(2, len(str(count)))}d}"
            pictures.append((id_, (row, class_, number)))
    return pictures
