"""Reads the prompt file of a request and checks the rows of a table, each with its line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from .request import RunRequest

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..inputs.prompt_rows import PromptRow


def read_prompt_file(
    request: RunRequest, settings: Settings
) -> tuple[tuple[str, ...], tuple[PromptRow, ...]]:
    """Return the prompts of the request's prompt file, and its rows where it is a table.

    Raises PromptFileError, which names each problem with its line.
    """
    from ..inputs.prompt_table import is_table, read_prompts, read_table

    path = request.prompt_file
    if path is None:
        return (), ()
    if not is_table(path):
        return read_prompts(path), ()
    table = read_table(path)
    rows = [row.model_copy(update={"count": row.count or request.count or 1}) for row in table.rows]
    problems: list[tuple[int, str]] = []
    rows = _with_classes(rows, request, settings, problems)
    _check_words(rows, settings, request.needs, problems)
    table.raise_problems(problems)
    return row_prompts(rows, settings), tuple(rows)


def row_prompts(rows: Sequence[PromptRow], settings: Settings) -> tuple[str, ...]:
    """Return the prompts of rows, each once."""
    return tuple(dict.fromkeys(row.text(settings.generate.prompt) for row in rows))


def default_classes(
    rows: Sequence[PromptRow], classes: Sequence[str], settings: Settings
) -> list[str]:
    """Return the classes of what names none itself: the request's, else the settings'."""
    from ...stages.classes import MERGED, SCENE

    if rows and not classes and not all(row.class_ for row in rows):
        return [name for name in settings.classes if name not in (MERGED, SCENE)]
    return list(classes)


def _with_classes(
    rows: Sequence[PromptRow],
    request: RunRequest,
    settings: Settings,
    problems: list[tuple[int, str]],
) -> list[PromptRow]:
    """Return the rows with their classes in the model's own words; append to `problems`."""
    from ...checkpoints.load import known_words
    from ..build import replicate
    from ..prompts.product_classes import merge_classes

    hosted = replicate.draws(settings)
    known = known_words(settings.detect.model if hosted else settings.generate.model)
    names = {"": ""}
    fallback = default_classes(rows, request.classes, settings)
    for row in rows:
        try:
            if row.class_ not in names:
                _, (name,), _ = merge_classes(settings, [row.class_], known, preset=request.preset)
                names[row.class_] = name
        except ValueError as error:
            problems.append((row.line, str(error)))
        text = row.text(settings.generate.prompt)
        needs_class = request.command != "generate" or "{class}" in text
        if not row.class_ and not fallback and needs_class:
            problems.append((row.line, "no class; add a column class, or --class"))
    return [row.model_copy(update={"class_": names.get(row.class_, "")}) for row in rows]


def _check_words(
    rows: Sequence[PromptRow],
    settings: Settings,
    needs: Collection[str],
    problems: list[tuple[int, str]],
) -> None:
    """Append to `problems` the LoRAs, choices and wildcards that are not there, and the settings
    that the models' families refuse."""
    from ...configs.schema import apply_overrides
    from ...stages.prompts import dynamic_prompts
    from ..build import family_options
    from ..build.stages import check_words
    from ..prompts import wildcards

    check_words(settings, needs=needs)  # problems of the settings themselves are reported first
    known = wildcards.load_wildcards(settings)
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        own = ("settings", repr(row.settings))
        if row.settings and own not in found:
            found[own] = ""
            try:
                family_options.check(apply_overrides(settings, row.settings), needs)
            except ValueError as error:
                found[own] = str(error)
        if found.get(own):
            problems.append((row.line, found[own]))
        text = row.text(settings.generate.prompt)
        fields = {"prompts": text, "negatives": row.negative_prompt or "", "edits": row.edit or ""}
        for field, words in fields.items():
            if words and (field, words) not in found:
                found[field, words] = ""
                try:
                    dynamic_prompts.check(words, known)
                    if field != "negatives" and "<" in words:
                        check_words(settings, **{field: [words]}, needs=needs)
                except ValueError as error:
                    found[field, words] = str(error)
            if found.get((field, words)):
                problems.append((row.line, found[field, words]))
