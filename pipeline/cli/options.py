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
    """Return the value of an --out that cannot be in an object store."""
    if given is not None and "://" in given:
        raise click.BadParameter(f"{given}: expected a local path; copy it to the store afterwards")
    return given


def _seed(ctx: click.Context, option: click.Parameter, given: int | None) -> int | None:
    """Return the seed, for -1 a random one, which is printed."""
    if given != -1:
        return given
    from ...stages.shot import seed_or_random
    from .output import say

    seed = seed_or_random(given)
    say(f"seed {seed}")
    return seed


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "classes": click.option(
        "--class",
        "classes",
        multiple=True,
        metavar="NAME[=PHRASE|…]",
        help="Product class, with phrases to search for instead of its name; repeatable.",
    ),
    "count": click.option(
        "--count", type=click.IntRange(1), help="Pictures per class. Default: 4."
    ),
    "prompt": click.option(
        "--prompt",
        metavar="TEXT",
        help="Prompt; {class} stands for the class. Default: the preset's.",
    ),
    "prompt_file": click.option(
        "--prompt-file",
        "--prompts",
        metavar="FILE",
        help="Prompts to take in turn, one per line; or a .csv, .tsv or .jsonl table.",
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
        help="coco (default), yolo, voc, masks, metadata; comma-separated or repeated.",
    ),
    "negative_prompt": click.option("--negative-prompt", metavar="TEXT", help="What to avoid."),
    "edit": click.option(
        "--edit", metavar="TEXT", help='What the product should become, as in "red leather".'
    ),
    "init_image": click.option(
        "--init-image", metavar="FILE", help="Start stage 1 from this picture (img2img)."
    ),
    "prompt_strength": click.option(
        "--prompt-strength",
        type=float,
        help="How much of --init-image to replace, 0 to 1. Default: the preset's.",
    ),
    "reference": click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="FILE",
        help="Reference picture for IP-Adapter; repeatable.",
    ),
    "strength": click.option(
        "--strength", type=float, help="Denoising strength of stage 3, 0 to 1."
    ),
    "confidence": click.option(
        "--confidence",
        "--box-threshold",
        type=float,
        help="Minimum score of a detection, 0 to 1.",
    ),
    "mask_min_ratio": click.option(
        "--mask-min-ratio",
        type=float,
        help="Minimum share of the picture that a mask covers, 0 to 1.",
    ),
    "mask_max_ratio": click.option(
        "--mask-max-ratio",
        type=float,
        help="Maximum share of the picture that a mask covers, 0 to 1.",
    ),
    "mask_k": click.option("--mask-k", type=int, help="Keep only the N largest masks; 0: all."),
    "sort": click.option(
        "--sort",
        metavar="ORDER",
        help="Order of the masks: none, left-to-right, center-to-edge, area.",
    ),
    "dilate": click.option(
        "--dilate", type=int, metavar="PX", help="Grow each mask by PX pixels; negative: shrink it."
    ),
    "invert": click.option(
        "--invert", is_flag=True, help="Keep the products and re-render the scene."
    ),
    "sweep": click.option(
        "--sweep",
        is_flag=True,
        help="Only show how many photos pass at each threshold; write nothing.",
    ),
    "control": click.option(
        "--control",
        "controls",
        multiple=True,
        metavar="NAME",
        help="ControlNet that keeps the shape in stage 3: canny, depth, …; repeatable.",
    ),
    "mask": click.option(
        "--mask",
        metavar="PATH",
        help="Mask file (white: re-render), or a folder of masks named like the photos.",
    ),
    "from_file": click.option(
        "--from-file",
        multiple=True,
        metavar="LIST",
        help="File that lists photos, one path per line; same as @LIST; repeatable.",
    ),
    "copy_skipped": click.option(
        "--copy-skipped", is_flag=True, help="Copy skipped originals to skipped/REASON/."
    ),
    "sort_by_class": click.option(
        "--sort-by-class", is_flag=True, help="Copy kept pictures to sorted/CLASS/ too."
    ),
    "format": click.option(
        "--format",
        type=click.Choice(["png", "jpeg", "webp"]),
        help="Format of the results; only png keeps every pixel. Default: png.",
    ),
    "quality": click.option(
        "--quality", type=click.IntRange(1, 100), help="Quality of jpeg and webp. Default: 95."
    ),
    "dry_run": click.option(
        "--dry-run", is_flag=True, help="Show what would be done; load and write nothing."
    ),
    "lora_dir": click.option(
        "--lora-dir",
        "lora_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Folder to search for <lora:name:1>, with its subfolders; repeatable.",
    ),
    "embedding_dir": click.option(
        "--embedding-dir",
        "embedding_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Folder of textual inversions, named in prompts; repeatable.",
    ),
    "retries": click.option(
        "--retries",
        type=int,
        help="Draw a picture that stage 2 rejects again, with up to N other seeds.",
    ),
    "preset": click.option(
        "--preset",
        default="mini",
        show_default=True,
        metavar="NAME",
        help="Preset, or a .yaml file of settings.",
    ),
    "out": click.option(
        "--out",
        metavar="DIR",
        help="Run folder; an existing run is resumed. Default: runs/TIME-CLASS.",
    ),
    "fork": click.option(
        "--fork",
        is_flag=True,
        help="Write to a new folder beside --out if that holds a run with other settings.",
    ),
    "retry_failed": click.option("--retry-failed", is_flag=True, help="Try failed pictures again."),
    "seed": click.option(
        "--seed", type=int, callback=_seed, help="Seed of the run, 0 to 4294967295; -1: random."
    ),
    "batch_size": click.option(
        "--batch-size", type=int, help="Pictures per batch, for all stages."
    ),
    "device": click.option(
        "--device", metavar="NAME", help="Device: auto, cpu, cuda, cuda:1, mps."
    ),
    "low_memory": click.option(
        "--low-memory",
        is_flag=True,
        default=None,
        help="Keep only the models in use in memory; slower.",
    ),
    "allow_pickle": click.option(
        "--allow-pickle",
        is_flag=True,
        default=None,
        help="Allow weights in .ckpt, .pt and .pth files; only for sources that you trust.",
    ),
    "yes": click.option("--yes", is_flag=True, help="Download missing models without asking."),
    "training_setting": click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting, as in max_train_steps=100; repeatable.",
    ),
    "set": click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting, as in rerender.padding=16; repeatable.",
    ),
    "engine": click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        help="Run in this process (local, the default) or on a Ray cluster.",
    ),
    "address": click.option(
        "--address",
        metavar="WHERE",
        help="Ray: local, auto, HOST:6379 or ray://HOST:10001. Default: RAY_ADDRESS, else local.",
    ),
    "workers": click.option(
        "--workers", type=click.IntRange(1), help="Ray: number of workers. Default: as many as fit."
    ),
    "gpus_per_worker": click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        metavar="N",
        help="Ray: GPUs per worker; 0.5: two workers share one. Default: 1 if there are GPUs.",
    ),
    "cpus_per_worker": click.option(
        "--cpus-per-worker",
        type=click.FloatRange(0, min_open=True),
        metavar="N",
        help="Ray: CPUs and threads per worker. Default: up to 4.",
    ),
    "json": click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object to stdout."
    ),
}


ENGINE_OPTIONS = ("engine", "address", "workers", "gpus_per_worker", "cpus_per_worker")


def apply(*names: str) -> Callable[[Any], Any]:
    """Add the named options, in this order in the help."""

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
    from ...configs.text_files import parse_yaml

    out = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change!r}: expected KEY=VALUE, as in run.seed=7")
        try:
            parsed = parse_yaml(value)
        except yaml.YAMLError:
            raise click.UsageError(f"--set {change!r}: the value is no YAML; quote it") from None
        out[key.strip()] = NULL if parsed is None else parsed
    return out


def plain_overrides(changes: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of `--set` with None for a null."""
    from ...configs.schema import NULL

    return {k: None if v is NULL else v for k, v in parse_overrides(changes).items()}
