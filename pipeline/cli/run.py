"""`visuals run`, `generate`, `filter`, `enhance`: each makes one request of its options."""

from __future__ import annotations

from typing import Any

import click

from .options import apply, errors
from .ray_options import engine_options

_MASKS = ("mask_min_ratio", "mask_max_ratio", "mask_k", "sort", "dilate", "invert")
_BEGIN = ("init_image", "prompt_strength", "reference")
_COMMON = (
    "format", "quality", "preset", "out", "fork", "retry_failed", "seed", "batch_size", "device",
    "low_memory", "allow_pickle", "set", "dry_run", "json",
)  # fmt: skip
_FILES = ("from_file", "copy_skipped", "sort_by_class")


@click.command()
@click.argument("inputs", nargs=-1, metavar="[PHOTOS]...")
@apply(
    "classes", "count", "prompt", "prompt_file", "negative_prompt", *_BEGIN, "lora_dir", "edit",
    "strength", "control", "confidence", *_MASKS, "retries", "annotate", *_FILES, *_COMMON,
)  # fmt: skip
@engine_options
@errors
def run(inputs: tuple[str, ...], **options: Any) -> None:
    """Draw product pictures, or take PHOTOS, find the product, re-render it.

    PHOTOS: files, folders, quoted patterns, @list.txt. Without PHOTOS stage 1 draws --count
    pictures of each --class. What stage 2 does not find is skipped with its reason. Everything
    lands in a run folder.
    """
    from .execute import execute

    execute("run", inputs, options)


@click.command()
@apply(
    "classes",
    "count",
    "prompt",
    "prompt_file",
    "negative_prompt",
    *_BEGIN,
    "lora_dir",
    "annotate",
    *_COMMON,
)
@engine_options
@errors
def generate(**options: Any) -> None:
    """Draw pictures from prompts (stage 1 only)."""
    from .execute import execute

    execute("generate", (), options)


@click.command("filter")
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@apply("classes", "confidence", *_MASKS, "sweep", "annotate", *_FILES, *_COMMON)
@engine_options
@errors
def filter_(inputs: tuple[str, ...], sweep: bool, **options: Any) -> None:
    """Find and mask products in PHOTOS (stage 2 only).

    PHOTOS: files, folders, quoted patterns, @list.txt, or a run folder.
    """
    if not sweep:
        from .execute import execute

        execute("filter", inputs, options)
        return
    if options["annotate"]:
        raise click.UsageError("--annotate with --sweep, which writes nothing: expected one")
    if options["engine"] == "ray":
        raise click.UsageError("--sweep with --engine ray: expected one of them")
    from .execute import request_of
    from .threshold_sweep import show

    show(request_of("filter", inputs, options), as_json=options["as_json"])


@click.command()
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@apply(
    "mask", "classes", "prompt", "negative_prompt", "edit", "strength", "lora_dir", "control",
    "confidence", *_MASKS, "annotate", *_FILES, *_COMMON,
)  # fmt: skip
@engine_options
@errors
def enhance(inputs: tuple[str, ...], **options: Any) -> None:
    """Re-render the products of PHOTOS, or of a run folder whose masks are there already.

    With --mask the masks are yours: white is re-rendered, and stage 2 is left out.
    """
    from .execute import execute

    execute("enhance", inputs, options)
