"""The classes that a command asks for: options, settings and the models' words put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..cli import output
from . import check_prompt_rows

if TYPE_CHECKING:
    from ...configs.schema import Settings


def classes(
    inputs: Sequence[str], options: dict[str, Any], settings: Settings
) -> tuple[Settings, list[str]]:
    """The settings with these classes in them, and their names.

    Both are checked against the words of the model that will read them; warns of unknown words.
    """
    from ...checkpoints.load import known_words
    from ...configs.schema import load_settings
    from ...stages.classes import MERGED, SCENE
    from ..build.replicate import draws
    from ..inputs.shots import is_run_folder
    from ..prompts.product_classes import resolve, texts, without_prompts
    from ..prompts.vocabulary import unknown_words

    given, theirs = check_prompt_rows.classes(options, settings)
    here = not inputs and not draws(settings)
    reader = settings.generate.model if here else settings.detect.model
    known = known_words(reader)
    earlier = is_run_folder(inputs)
    unneeded = earlier or options.get("mask") or options.get("rows")
    if not given and not unneeded and not set(settings.classes) - {MERGED, SCENE}:
        known_names = f" ({', '.join(known['classes'])})" if known else ""
        raise click.UsageError(f"no --class: expected the product to look for{known_names}")
    before = settings
    settings, names, warnings = resolve(
        settings, [*given, *theirs], known, preset=options["preset"], fallback=not earlier
    )
    if theirs:
        names = resolve(before, given, known, preset=options["preset"])[1] if given else []
    for warning in warnings:
        output.warn(warning)
    if options.get("prompt") is not None:
        settings = without_prompts(settings)
    own = texts(settings)
    given_texts = options.get("prompt"), *options.get("prompts", ()), options.get("edit")
    text = " ".join(filter(None, (*given_texts, *own)))
    usual = load_settings(options["preset"]).generate.prompt
    strange = unknown_words(text.replace("{class}", ""), known, usual)
    if strange:
        output.warn(
            f"the models of preset {options['preset']!r} were not trained on: "
            f"{', '.join(strange)} (see words.json of {reader}; --preset sd15 knows more)"
        )
    return settings, names
