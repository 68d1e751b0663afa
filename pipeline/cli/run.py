"""`visuals run`, `generate`, `filter`, `enhance`: each makes one request of its options."""

from __future__ import annotations

from typing import Any

import click

from .grouped_help import GroupedCommand, examples
from .options import ENGINE_OPTIONS, LOGGING_OPTIONS, apply, errors

_MASKS = ("mask_min_ratio", "mask_max_ratio", "mask_k", "sort", "dilate", "invert")
_DRAW = ("steps", "cfg_scale", "sampler", "width", "height")
_BEGIN = (*_DRAW, "init_image", "prompt_strength", "reference")
_RERENDER = ("strength", "control", "controlnet_weight")
_COMMON = (
    "format", "quality", "preset", "out", "fork", "retry_failed", "seed", "batch_size", "device",
    "low_memory", "license", "allow_pickle", "yes", "set", "dry_run", "open_report", "json",
    *LOGGING_OPTIONS, *ENGINE_OPTIONS,
)  # fmt: skip
_CUTOUT = ("cutout", "background")
_FILES = ("from_file", "limit", "copy_skipped", "sort_by_class")


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "visuals run --class sneaker --count 4",
        'visuals run photos --class handbag --edit "red leather"',
    ),
)
@click.argument("inputs", nargs=-1, metavar="[PHOTOS]...")
@apply(
    "classes", "count", "prompt", "prompt_file", "negative_prompt", *_BEGIN, "lora_dir",
    "embedding_dir", "edit", *_RERENDER, "rerender_steps", "rerender_cfg_scale", "confidence",
    *_MASKS, "retries", "annotate", *_CUTOUT, *_FILES, *_COMMON,
)  # fmt: skip
@errors
def run(inputs: tuple[str, ...], **options: Any) -> None:
    """Generate pictures or read PHOTOS, find the product, and re-render it.

    PHOTOS are files, folders, quoted patterns or @list.txt. Without PHOTOS, stage 1 generates
    --count pictures of each --class. Pictures in which stage 2 finds no product are skipped with
    a reason. The results are written to a run folder.
    """
    from .execute import execute

    execute("run", inputs, options)


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        "visuals generate --class mug --count 8 --seed 1",
        'visuals generate --prompt "a {red|blue} mug on a table" --out mugs',
    ),
)
@apply(
    "classes",
    "count",
    "prompt",
    "prompt_file",
    "negative_prompt",
    *_BEGIN,
    "lora_dir",
    "embedding_dir",
    "annotate",
    *_COMMON,
)
@errors
def generate(**options: Any) -> None:
    """Generate pictures from prompts (stage 1 only).

    A prompt without {class} needs no --class.
    """
    from .execute import execute

    execute("generate", (), options)


@click.command(
    "filter",
    cls=GroupedCommand,
    epilog=examples(
        "visuals filter photos --class mug --class car", "visuals filter photos --class mug --sweep"
    ),
)
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@apply("classes", "confidence", *_MASKS, "sweep", "annotate", *_CUTOUT, *_FILES, *_COMMON)
@errors
def filter_(inputs: tuple[str, ...], sweep: bool, **options: Any) -> None:
    """Find and mask products in PHOTOS (stage 2 only).

    PHOTOS are files, folders, quoted patterns, @list.txt, or a run folder.
    """
    if not sweep:
        from .execute import execute

        execute("filter", inputs, options)
        return
    for name in ("annotate", "cutout", "background"):
        if options[name]:
            raise click.UsageError(f"--{name} with --sweep, which writes nothing: use one of them")
    if options["engine"] == "ray":
        raise click.UsageError("--sweep with --engine ray: expected one of them")
    from .execute import request_of
    from .threshold_sweep import show
    from .verbosity import Verbosity

    verbosity = Verbosity.pop_from(options)
    request = request_of("filter", inputs, options)
    show(request, as_json=options["as_json"], yes=options["yes"], verbosity=verbosity)


@click.command(
    cls=GroupedCommand,
    epilog=examples(
        'visuals enhance photos --class mug --edit "blue clay"',
        "visuals enhance runs/mugs --strength 0.6 --out softer",
    ),
)
@click.argument("inputs", nargs=-1, metavar="PHOTOS...")
@apply(
    "mask", "classes", "prompt", "negative_prompt", "edit", *_RERENDER, "steps", "cfg_scale",
    "lora_dir", "embedding_dir", "confidence", *_MASKS, "annotate", *_CUTOUT, *_FILES, *_COMMON,
)  # fmt: skip
@errors
def enhance(inputs: tuple[str, ...], **options: Any) -> None:
    """Re-render the products in PHOTOS, or in a run folder with the masks that it holds.

    PHOTOS are files, folders, quoted patterns, @list.txt, or a run folder. With --mask, stage 2
    is skipped and the white area is re-rendered.
    """
    from .execute import execute

    execute("enhance", inputs, options)
