"""`visuals dataset caption`: writes captions with BLIP, or edits captions."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options, output
from .downloads import download
from .grouped_help import examples
from .progress import StageProgress

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...training.datasets.caption_edits import CountTokens


@click.command(
    epilog=examples(
        "visuals dataset caption photos --tag ppzlook",
        "visuals dataset caption photos --no-model --replace cup=mug --preview 5",
    )
)
@click.argument("folder")
@click.option("--tag", default="", metavar="TAG", help="Activation tag, put before each caption.")
@click.option(
    "--model", metavar="NAME", help="BLIP model: folder or hub name. Default: the preset's."
)
@click.option("--no-model", is_flag=True, help="Only edit existing captions.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["txt", "caption", "metadata"]),
    help="Caption files or metadata.jsonl. Default: as in FOLDER, else txt.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing captions.")
@click.option(
    "--prefix", default="", metavar="TEXT", help='Text before each caption, as in "a photo of".'
)
@click.option(
    "--suffix", default="", metavar="TEXT", help="Text after each caption, behind a comma."
)
@click.option("--replace", multiple=True, metavar="OLD=NEW", help="Replace words; repeatable.")
@click.option(
    "--preview", type=click.IntRange(1), metavar="N", help="Show N captions, write nothing."
)
@click.option(
    "--caption-column", default="text", show_default=True, help="Column of metadata.jsonl."
)
@click.option("--num-beams", type=int, help="Beams of the beam search. Default: the preset's.")
@click.option("--min-tokens", type=int, help="Length of a caption in BLIP's tokens.")
@click.option("--max-tokens", type=int, help="Length of a caption in BLIP's tokens.")
@click.option(
    "--max-token-length",
    type=click.IntRange(1),
    default=75,
    show_default=True,
    help="Tokens that the trainer's text encoder reads: 75, 150 or 225.",
)
@options.apply("preset", "batch_size", "device", "yes", "json")
@options.errors
def caption(
    folder: str,
    tag: str,
    model: str | None,
    no_model: bool,
    format_: Any,
    overwrite: bool,
    prefix: str,
    suffix: str,
    replace: tuple[str, ...],
    preview: int | None,
    caption_column: str,
    num_beams: int | None,
    min_tokens: int | None,
    max_tokens: int | None,
    max_token_length: int,
    preset: str,
    batch_size: int | None,
    device: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Caption the pictures in FOLDER with BLIP, or edit their captions.

    Existing captions are kept, so repeating the command resumes it.
    """
    from ...checkpoints.hub.first_use import Needed, missing
    from ...configs.schema import load_settings
    from ...training.captioning.caption_folder import caption_dataset, to_describe
    from ...training.datasets.caption_edits import CaptionEdits
    from ...training.datasets.dataset_folder import read_dataset
    from ..build import captioner, process
    from . import dataset_output as show

    if no_model and overwrite:
        raise click.UsageError("--no-model and --overwrite: expected one; --no-model edits anyway")
    edits = CaptionEdits(tag=tag, prefix=prefix, suffix=suffix, replace=_replacements(replace))
    if no_model and edits == CaptionEdits():
        raise click.UsageError("--no-model: expected --tag, --prefix, --suffix or --replace")
    changes = {"model": model, "num_beams": num_beams, "batch_size": batch_size}
    changes |= {"min_tokens": min_tokens, "max_tokens": max_tokens}
    overrides: dict[str, Any] = {f"caption.{key}": value for key, value in changes.items()}
    settings = load_settings(preset, overrides | {"run.device": device})
    found = read_dataset(Path(folder), caption_column=caption_column)
    describe: Any = None
    say = (lambda text: None) if as_json else output.say
    if not no_model and to_describe(found, overwrite):
        download(missing([Needed(settings.caption.model)]), yes=yes)
        say(f"loading {settings.caption.model}")
        process.prepare(settings, ())
        describe = captioner.captioner(settings)
    elif not no_model:
        say("no picture lacks a caption; --no-model edits captions")
        describe = list  # nothing to describe
    with StageProgress(as_json) as bars:
        done = caption_dataset(
            found,
            describe,
            edits=edits,
            format=format_,
            overwrite=overwrite,
            column=caption_column,
            batch_size=settings.caption.batch_size,
            preview=preview,
            progress=partial(bars.update, "caption" if describe else "edit"),
        )
    now = {item.name: item.text for item in found.items if item.text}
    now |= {change.name: change.after for change in done.changes}
    count = token_counter(settings, quiet=as_json)
    tokens = {name: count(text) for name, text in now.items()} if count else {}
    show.captioned(done, now, tokens, max_token_length, preview=preview, as_json=as_json)
    if done.problems and not done.changes and not done.kept:
        sys.exit(1)


def _replacements(pairs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    out = []
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals or not old:
            raise click.UsageError(f"--replace {pair!r}: expected OLD=NEW, as in cup=mug")
        out.append((old, new))
    return tuple(out)


def token_counter(settings: Settings, *, quiet: bool) -> CountTokens | None:
    """Return a token counter; None, with a warning, if the tokenizer cannot be loaded."""
    from ...checkpoints.load import CheckpointError
    from ..build import captioner, process

    process.quiet("transformers")
    try:
        return captioner.token_counter(settings)
    except CheckpointError as error:
        if not quiet:
            output.warn(f"tokens are not counted: {error}")
        return None
