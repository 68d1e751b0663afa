"""The options that several commands share.

Knows click only: nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .errors import errors as errors


def _formats(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    from ..exports.annotate import AnnotationError, parse_formats

    try:
        return parse_formats(given)
    except AnnotationError as error:
        raise click.BadParameter(str(error), ctx, option) from None


def on_a_disk(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """The value of an --out that cannot be in an object store."""
    if given is not None and "://" in given:
        raise click.BadParameter(f"{given}: expected a path on a disk; copy it on from there")
    return given


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "classes": click.option(
        "--class",
        "classes",
        multiple=True,
        metavar="NAME[=PHRASE|…]",
        help="Product class, with what to look for in its place; may be repeated.",
    ),
    "count": click.option("--count", type=click.IntRange(1), help="Pictures a class. Default: 4."),
    "prompt": click.option(
        "--prompt", metavar="TEXT", help="Prompt; {class} becomes the class. Default: the preset's."
    ),
    "prompt_file": click.option(
        "--prompt-file",
        "--prompts",
        "prompt_file",
        metavar="FILE",
        help="Prompts, one a line, that the pictures take in turn; or a .csv, .jsonl of rows.",
    ),
    "annotate": click.option(
        "--annotate",
        multiple=True,
        metavar="FORMATS",
        callback=_formats,
        help="Annotations to write at the end: coco, yolo, voc, masks, metadata.",
    ),
    "annotation_format": click.option(
        "--format",
        "formats",
        multiple=True,
        default=("coco",),
        metavar="FORMATS",
        callback=_formats,
        help="coco (the default), yolo, voc, masks, metadata; by comma, or repeated.",
    ),
    "negative_prompt": click.option("--negative-prompt", metavar="TEXT", help="What to avoid."),
    "edit": click.option(
        "--edit", metavar="TEXT", help='What the product should become, as in "red leather".'
    ),
    "init_image": click.option(
        "--init-image", metavar="FILE", help="A picture that stage 1 begins from."
    ),
    "prompt_strength": click.option(
        "--prompt-strength",
        type=float,
        help="How much of --init-image is drawn over, 0 to 1. Default: the preset's.",
    ),
    "reference": click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="FILE",
        help="A picture that says what to draw (IP-Adapter); may be repeated.",
    ),
    "strength": click.option("--strength", type=float, help="How much stage 3 repaints, 0 to 1."),
    "confidence": click.option(
        "--confidence",
        "--box-threshold",
        "confidence",
        type=float,
        help="Least score of a detection, 0 to 1.",
    ),
    "mask_min_ratio": click.option(
        "--mask-min-ratio", type=float, help="Least share of the picture a mask covers, 0 to 1."
    ),
    "mask_max_ratio": click.option(
        "--mask-max-ratio", type=float, help="Largest share of the picture a mask covers, 0 to 1."
    ),
    "mask_k": click.option("--mask-k", type=int, help="Keep only so many of the largest masks."),
    "sort": click.option(
        "--sort",
        metavar="ORDER",
        help="Order of the masks: none, left-to-right, center-to-edge, area.",
    ),
    "dilate": click.option(
        "--dilate", type=int, metavar="PX", help="Grow each mask; below 0: shrink it."
    ),
    "invert": click.option(
        "--invert", is_flag=True, help="Keep the products and re-render the scene."
    ),
    "sweep": click.option(
        "--sweep",
        is_flag=True,
        help="Only show how many photos pass at each threshold; writes nothing.",
    ),
    "control": click.option(
        "--control",
        "controls",
        multiple=True,
        metavar="NAME",
        help="What holds the shape in stage 3: canny, depth …; may be repeated.",
    ),
    "mask": click.option(
        "--mask", metavar="PATH", help="Own mask (white: re-render), or a folder of them by name."
    ),
    "from_file": click.option(
        "--from-file",
        multiple=True,
        metavar="LIST",
        help="File with a path a line, as @LIST; may be repeated.",
    ),
    "copy_skipped": click.option(
        "--copy-skipped", is_flag=True, help="Copy skipped originals to skipped/<reason>/."
    ),
    "sort_by_class": click.option(
        "--sort-by-class", is_flag=True, help="Kept pictures also under sorted/<class>/."
    ),
    "format": click.option(
        "--format",
        type=click.Choice(["png", "jpeg", "webp"]),
        help="Of the pictures that come out; png keeps every pixel.",
    ),
    "quality": click.option(
        "--quality", type=click.IntRange(1, 100), help="Of jpeg and webp. Default: 95."
    ),
    "dry_run": click.option(
        "--dry-run", is_flag=True, help="Say what would be done; load and write nothing."
    ),
    "lora_dir": click.option(
        "--lora-dir",
        "lora_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Where else <lora:name:1> is looked for; subfolders too; may be repeated.",
    ),
    "retries": click.option(
        "--retries", type=int, help="Other seeds to try where stage 2 refuses a drawn picture."
    ),
    "preset": click.option(
        "--preset", default="mini", show_default=True, metavar="NAME", help="Preset or .yaml file."
    ),
    "out": click.option(
        "--out", metavar="DIR", help="Run folder; one that exists goes on. Default: runs/<time>."
    ),
    "fork": click.option(
        "--fork",
        is_flag=True,
        help="Where --out holds a run with other settings, begin a folder beside it.",
    ),
    "retry_failed": click.option(
        "--retry-failed", is_flag=True, help="Try again what failed before."
    ),
    "seed": click.option("--seed", type=int, help="Seed of the run, 0 to 4294967295."),
    "batch_size": click.option("--batch-size", type=int, help="Pictures a stage takes at once."),
    "device": click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1, mps."),
    "low_memory": click.option(
        "--low-memory",
        is_flag=True,
        default=None,
        help="Slower, with only the models at work in a GPU's memory (a CPU's: the stage's).",
    ),
    "allow_pickle": click.option(
        "--allow-pickle",
        is_flag=True,
        default=None,
        help="Read models from .ckpt, .pt and .pth files, whose source you trust.",
    ),
    "set": click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Any setting, as in rerender.padding=16; may be repeated.",
    ),
    "json": click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout."),
}


def apply(*names: str) -> Callable[[Any], Any]:
    """The named options, in this order in the help."""

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            command = _OPTIONS[name](command)
        return command

    return decorate


def parse_overrides(changes: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of `--set` by dotted name; values are YAML.

    >>> parse_overrides(("run.seed=7",))
    {'run.seed': 7}
    """
    import yaml

    from ...configs.schema import NULL

    out = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change!r}: expected KEY=VALUE, as in run.seed=7")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise click.UsageError(f"--set {change!r}: the value is no YAML; quote it") from None
        out[key.strip()] = NULL if parsed is None else parsed
    return out
