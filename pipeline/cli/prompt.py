"""`visuals prompt`: shows how a prompt is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import output
from .grouped_help import examples
from .options import apply, errors, parse_overrides
from .output import echo

if TYPE_CHECKING:
    from ..prompts.explain import PromptExplanation


@click.command(
    epilog=examples(
        'visuals prompt "a (red:1.3) {mug|cup}, product photo"',
        "visuals prompt --class mug --count 3 --seed 1",
    )
)
@click.argument("text", required=False)
@apply("classes", "preset")
@click.option(
    "--count", type=click.IntRange(1), default=1, show_default=True, help="Prompts per class."
)
@apply("seed", "set", "json")
@errors
def prompt(text: str | None, **options: Any) -> None:
    """Show how the prompt TEXT is parsed: chunks, tokens, weights, LoRAs, choices.

    TEXT defaults to the preset's prompt. With the --class, --count and --seed of a run, the
    prompts of that run are shown.
    """
    from ...checkpoints.clip_tokenizer import load_tokenizer
    from ...checkpoints.identify.base_family import base_of_checkpoint
    from ...checkpoints.load import CheckpointError, known_words
    from ...configs.schema import load_settings
    from ...stages.shot import seed_or_random
    from ..inputs import shots as inputs
    from ..prompts import wildcards
    from ..prompts.embedding_files import embedding_library
    from ..prompts.explain import explain_prompt
    from ..prompts.loras import lora_folders
    from ..prompts.model_vocabulary import unknown_words

    changes = parse_overrides(options["changes"])
    if options["seed"] is not None:
        changes["run.seed"] = options["seed"]
    settings = load_settings(options["preset"], changes)
    seed = seed_or_random(settings.run.seed)
    template = settings.generate.prompt if text is None else text
    known = wildcards.load_wildcards(settings)
    try:
        tokenizer = load_tokenizer(settings.generate.model)
    except CheckpointError as error:
        output.warn(f"tokens are not counted: {error}")
        tokenizer = None
    names = [name.partition("=")[0] for name in options["classes"]] or ["{class}"]
    shots = inputs.prompted(
        names, options["count"], prompt=template, run_seed=seed,
        first_seed=settings.generate.first_seed,
    )  # fmt: skip
    allow_pickle = settings.run.allow_pickle
    base = base_of_checkpoint(settings.generate.model, allow_pickle=allow_pickle)
    readings = []
    for shot in shots:
        source: Any = shot.source
        readings.append(
            explain_prompt(
                source.prompt,
                shot.seed,
                known=known,
                tokenizer=tokenizer,
                lora_dirs=lora_folders(settings),
                library=embedding_library(settings),
                base=base,
            )
        )
    words = known_words(settings.generate.model)
    strange = unknown_words(" ".join(r.prompt for r in readings), words, settings.generate.prompt)
    warnings = list(dict.fromkeys(note for r in readings for note in r.notes))
    if any("{class}" in r.prompt for r in readings):
        warnings.append("{class} stands for the class: add --class to fill it in")
    if strange:
        warnings.append(f"{settings.generate.model} was not trained on: {', '.join(strange)}")
    if options["as_json"]:
        records = [{"id": s.id, **r.as_dict()} for s, r in zip(shots, readings, strict=True)]
        output.print_json({"prompts": records, "warnings": warnings})
        return
    for k, (shot, reading) in enumerate(zip(shots, readings, strict=True)):
        if len(shots) > 1:
            echo(f"{'' if k == 0 else chr(10)}{shot.id}")
        _print(reading)
    for note in warnings:
        output.warn(note)


def _print(reading: PromptExplanation) -> None:
    _line("prompt", reading.prompt)
    for choice, drawn in reading.picks:
        _line("drawn", f"{choice} → {drawn}")
    for tag in reading.loras:
        _line("LoRA", f"{tag.name}, UNet {tag.unet:g}, text encoder {tag.text_encoder:g}")
    if reading.chunks is None:
        for piece in reading.pieces:
            _line(f"{piece.weight:.4g}", piece.text.strip())
        return
    for number, runs in enumerate(reading.chunks, 1):
        count = sum(len(run.tokens) for run in runs)
        _line(f"chunk {number}", f"{count} of {reading.room} tokens")
        for run in runs:
            _line(f"{run.weight:>7.4g}", " ".join(run.tokens))


def _line(name: str, text: str) -> None:
    echo(f"{name:<9} {text}")
