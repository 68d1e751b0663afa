"""The rows of a prompt file as options of a run: their classes, counts and words checked.

What is wrong is said with its line, before any model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..inputs.prompt_rows import Row


def of(options: dict[str, Any], settings: Settings, *, needs_classes: bool) -> dict[str, Any]:
    """The options with `rows`, where their prompt file holds rows; raises PromptFileError."""
    from ..inputs.prompt_table import Table

    table = options.get("prompts", ())
    if not isinstance(table, Table):
        return options
    count = options["count"] if _was_given("count") else 1
    rows = [replace(row, count=row.count or count) for row in table.rows]
    problems: list[tuple[int, str]] = []
    rows = _with_classes(rows, options, settings, problems, needs_classes=needs_classes)
    _check_words(rows, settings, problems)
    table.refuse(problems)
    return with_rows(options, rows, settings)


def with_rows(options: dict[str, Any], rows: Sequence[Row], settings: Settings) -> dict[str, Any]:
    """The options with these rows, whose words stand among the prompts."""
    if not rows:
        return options
    texts = [row.text(settings.generate.prompt) for row in rows]
    return {**options, "rows": tuple(rows), "prompts": tuple(dict.fromkeys(texts))}


def classes(options: dict[str, Any], settings: Settings) -> tuple[list[str], list[str]]:
    """(what the rows without a class are drawn for, what the others name)."""
    from ...stages.classes import MERGED, SCENE

    rows = options.get("rows", ())
    theirs = list(dict.fromkeys(row.class_ for row in rows if row.class_))
    given = list(options.get("classes", ()))
    if rows and not given and not all(row.class_ for row in rows):
        given = [name for name in settings.classes if name not in (MERGED, SCENE)]
    return given, theirs


def _with_classes(
    rows: Sequence[Row],
    options: dict[str, Any],
    settings: Settings,
    problems: list[tuple[int, str]],
    *,
    needs_classes: bool,
) -> list[Row]:
    """The rows with their classes in the model's own words; adds what is wrong to `problems`."""
    from ...checkpoints.load import known_words
    from ..build import replicate
    from ..prompts.product_classes import resolve

    elsewhere = replicate.draws(settings)
    known = known_words(settings.detect.model if elsewhere else settings.generate.model)
    meant = {"": ""}
    usual, _ = classes({**options, "rows": rows}, settings)
    for row in rows:
        try:
            if row.class_ not in meant:
                _, (name,), _ = resolve(settings, [row.class_], known, preset=options["preset"])
                meant[row.class_] = name
        except ValueError as error:
            problems.append((row.line, str(error)))
        words = row.text(settings.generate.prompt)
        if not row.class_ and not usual and (needs_classes or "{class}" in words):
            problems.append((row.line, "no class; add a column class, or --class"))
    return [replace(row, class_=meant.get(row.class_, "")) for row in rows]


def _check_words(rows: Sequence[Row], settings: Settings, problems: list[tuple[int, str]]) -> None:
    """Adds to `problems` the LoRAs, choices and wildcards that are not there."""
    from ...stages.prompts import dynamic_prompts
    from ..build.stages import check_words
    from ..prompts import wildcards

    check_words(settings)  # what is wrong with the settings is said of them
    known = wildcards.of(settings)
    said: dict[str, str] = {}
    for row in rows:
        text = row.text(settings.generate.prompt)
        for words in (text, row.negative_prompt or "", row.edit or ""):
            if words and words not in said:
                said[words] = ""
                try:
                    dynamic_prompts.check(words, known)
                    if words == text and "<" in words:
                        check_words(settings, [words])
                except ValueError as error:
                    said[words] = str(error)
            if said.get(words):
                problems.append((row.line, said[words]))


def _was_given(option: str) -> bool:
    """Whether an option of the running command stands on its command line."""
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    return context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
