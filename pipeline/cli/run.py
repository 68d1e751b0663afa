"""`visuals run`, `generate`, `filter`, `enhance`: arguments to one job each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import apply, errors
from .ray_options import engine_options


def _options(*names: str) -> Callable[[Any], Any]:
    return apply(*names)


_MASKS = ("mask_min_ratio", "mask_max_ratio", "mask_k", "sort", "dilate", "invert")
_BEGIN = ("init_image", "prompt_strength", "reference")
_COMMON = (
    "format", "quality", "preset", "out", "fork", "retry_failed", "seed", "batch_size", "device",
    "low_memory", "allow_pickle", "set", "dry_run", "json",
)  # fmt: skip
_FILES = ("from_file", "copy_skipped", "sort_by_class")


@click.command()
@click.argument("inputs", nargs=-1, metavar="[PHOTOS]...")
@_options(
    "classes", "count", "prompt", "prompt_file", "negative_prompt", *_BEGIN, "lora_dir", "edit",
    "strength", "control", "box_threshold", *_MASKS, "retries", "annotate", *_FILES, *_COMMON,
)  # fmt: skip
@engine_options
@errors
def run(inputs: tuple[str, ...], **options: Any) -> None:
    """Draw product pictures, or take PHOTOS, find the product, re-render it.

    PHOTOS: files, folders, quoted patterns, @list.txt. Without PHOTOS stage 1 draws --count
    pictures of each --class. What stage 2 does not find is skipped with its reason. Everything
    lands in a run folder.
    """
    from ..jobs.request_options import work

    work("run", inputs, ("detect", "segment", "rerender"), options)


@click.command()
@_options(
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
    from ..jobs.request_options import work

    work("generate", (), (), options)


@click.command("filter")
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@_options("classes", "box_threshold", *_MASKS, "sweep", "annotate", *_FILES, *_COMMON)
@engine_options
@errors
def filter_(inputs: tuple[str, ...], sweep: bool, **options: Any) -> None:
    """Find and mask products in PHOTOS (stage 2 only).

    PHOTOS: files, folders, quoted patterns, @list.txt, or a run folder.
    """
    if sweep:
        if options["annotate"]:
            raise click.UsageError("--annotate with --sweep, which writes nothing: expected one")
        if options["engine"] == "ray":
            raise click.UsageError("--sweep with --engine ray: expected one of them")
        from .threshold_sweep import show

        show(inputs, options)
        return
    from ..jobs.request_options import work

    work("filter", inputs, ("detect", "segment"), options)


@click.command()
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@_options(
    "mask", "classes", "prompt", "negative_prompt", "edit", "strength", "lora_dir", "control",
    "box_threshold", *_MASKS, "annotate", *_FILES, *_COMMON,
)  # fmt: skip
@engine_options
@errors
def enhance(inputs: tuple[str, ...], **options: Any) -> None:
    """Re-render the products of PHOTOS, or of a run folder whose masks are there already.

    With --mask the masks are yours: white is re-rendered, and stage 2 is left out.
    """
    from ..jobs.request_options import work

    work("enhance", inputs, ("detect", "segment", "rerender"), options)
