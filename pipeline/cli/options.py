"""The options that several commands share.

Knows click only: nothing heavy is imported here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from ...configs.errors import UsageError
from ...configs.outputs import check_new_file, check_new_folder
from .drawing_options import DRAWING
from .errors import errors as errors


def new_file(ctx: click.Context, option: click.Parameter, path: str) -> str:
    """Return the name of a file to write, which must not be there yet."""
    with _named(ctx, option):
        check_new_file(path)
    return path


def new_folder(ctx: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """Return the name of a folder to write, which must not be there yet, or empty."""
    if path is not None:
        with _named(ctx, option):
            check_new_folder(path)
    return path


@contextlib.contextmanager
def _named(ctx: click.Context, option: click.Parameter) -> Iterator[None]:
    """Return a context whose errors name an option."""
    try:
        yield
    except UsageError as error:
        raise click.BadParameter(str(error), ctx, option) from None


def _formats(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> Any:
    from ..exports.annotate import AnnotationError, parse_formats

    try:
        return parse_formats(given)
    except AnnotationError as error:
        raise click.BadParameter(str(error), ctx, option) from None


def on_a_disk(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """Return the value of an --out that cannot be in an object store."""
    if given == "":
        raise click.BadParameter("'': expected a name", ctx, option)
    if given is not None and "://" in given:
        raise click.BadParameter(f"{given}: expected a local path; copy it to the store afterwards")
    return given


def _seed(ctx: click.Context, option: click.Parameter, given: int | None) -> int | None:
    if given is not None and not -1 <= given < 2**32:
        raise click.BadParameter(
            f"{given}: expected 0 to 4294967295, or -1 for a random one", ctx, option
        )
    return given


def _complete_presets(ctx: click.Context, option: click.Parameter, word: str) -> list[str]:
    from ...configs.schema import presets

    return [name for name in presets() if name.startswith(word)]


def _complete_classes(ctx: click.Context, option: click.Parameter, word: str) -> list[str]:
    from ..prompts.product_classes import preset_classes

    names = preset_classes(ctx.params.get("preset") or "mini").names
    return [name for name in names if name.startswith(word)]


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    **DRAWING,
    "classes": click.option(
        "-c",
        "--class",
        "classes",
        shell_complete=_complete_classes,
        multiple=True,
        metavar="NAME[=PHRASE|…]",
        help="Product class, with phrases to search for instead of its name; repeatable.",
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
    "from_file": click.option(
        "--from-file",
        multiple=True,
        metavar="LIST",
        help="File that lists photos, one path per line; same as @LIST; repeatable.",
    ),
    "limit": click.option(
        "--limit", type=click.IntRange(1), metavar="N", help="Read only the first N photos."
    ),
    "copy_skipped": click.option(
        "--copy-skipped", is_flag=True, help="Copy skipped originals to skipped/REASON/."
    ),
    "sort_by_class": click.option(
        "--sort-by-class", is_flag=True, help="Copy kept pictures to sorted/CLASS/ too."
    ),
    "cutout": click.option(
        "--cutout", is_flag=True, help="Write the products alone, on transparency, to cutouts/."
    ),
    "background": click.option(
        "--background",
        metavar="COLOUR|FILE",
        help="Put the products of cutouts/ on a colour, as in white or #f0f0f0, or on a picture.",
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
    "preset": click.option(
        "--preset",
        shell_complete=_complete_presets,
        default="mini",
        show_default=True,
        metavar="NAME",
        help="Preset, or a .yaml file of settings.",
    ),
    "out": click.option(
        "-o",
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
        "-s",
        "--seed",
        type=int,
        callback=_seed,
        metavar="N",
        help="Seed of the run, 0 to 4294967295; -1, the default: random, and printed.",
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
    "license": click.option(
        "--license",
        type=click.Choice(["any", "commercial"]),
        help="commercial: refuse models and LoRAs whose licence forbids it or is not known.",
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
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors."),
    "verbose": click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Also print what is loaded and each picture's outcome.",
    ),
    "log_file": click.option(
        "--log-file", metavar="FILE", help="Append all messages, with their times, to FILE."
    ),
    "log_json": click.option(
        "--log-json", is_flag=True, help="Print messages and progress to stderr as JSON lines."
    ),
    "open_report": click.option(
        "--open", "open_report", is_flag=True, help="Open the report in the browser at the end."
    ),
    "json": click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object to stdout."
    ),
}


LOGGING_OPTIONS = ("quiet", "verbose", "log_file", "log_json")
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
