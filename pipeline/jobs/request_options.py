"""One job of `run`, `generate`, `filter` or `enhance`, from its options.

Checks everything that can be checked before a model is loaded; `going` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import output, ray_options
from ..cli.options import parse_changes
from . import check_prompt_rows, dry_run, request_classes
from .request import Job

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..inputs.resume import LazyShots

_SETTING = {
    "seed": "run.seed",
    "retries": "run.retries",
    "batch_size": "run.batch_size",
    "device": "run.device",
    "low_memory": "run.low_memory",
    "allow_pickle": "run.allow_pickle",
    "init_image": "generate.init_image",
    "prompt_strength": "generate.prompt_strength",
    "strength": "rerender.strength",
    "box_threshold": "detect.box_threshold",
    "mask_min_ratio": "mask.mask_min_ratio",
    "mask_max_ratio": "mask.mask_max_ratio",
    "mask_k": "mask.mask_k",
    "sort": "mask.sort",
    "dilate": "mask.dilate_erode",
    "format": "run.format",
    "quality": "run.quality",
}


def settings_of(options: dict[str, Any]) -> Settings:
    """The preset's settings with what the options change."""
    from ...configs.schema import load_settings

    overrides = parse_changes(options.get("changes", ()))
    for option, name in _SETTING.items():
        if options.get(option) is not None:
            overrides[name] = options[option]
    if options.get("references"):
        overrides["generate.ip_adapter.references"] = list(options["references"])
    if options.get("controls"):
        overrides["rerender.controls"] = list(options["controls"])
    if options.get("invert"):
        overrides["mask.merge_invert"] = "merge_and_invert"
    if options.get("batch_size") is not None:
        for section in ("generate", "detect", "segment", "rerender"):
            overrides[f"{section}.batch_size"] = options["batch_size"]
    if options.get("prompt") is not None:
        prompt = options["prompt"]
        overrides["generate.prompt"] = overrides["rerender.prompt"] = prompt
        if options.get("edit") and "{class}" not in prompt and "{edit}" not in prompt:
            # The edit needs a place to stand: "{edit} {class}" in the preset's own prompt.
            usual = load_settings(options["preset"])
            overrides["rerender.prompt"] = usual.rerender.prompt or usual.generate.prompt
            output.warn("--prompt holds no {class}: stage 3 puts --edit into the preset's prompt")
    if options.get("negative_prompt") is not None:
        for section in ("generate", "rerender"):
            overrides[f"{section}.negative_prompt"] = options["negative_prompt"]
    settings = load_settings(options["preset"], overrides)
    if options.get("lora_dirs"):
        overrides["generate.lora_dirs"] = [*options["lora_dirs"], *settings.generate.lora_dirs]
        settings = load_settings(options["preset"], overrides)
    return settings


def work(
    command: str, inputs: Sequence[str], needs: Sequence[str], options: dict[str, Any]
) -> None:
    """Check the options and do the job; see `carry_out` for how it ends."""
    from ...configs.schema import given
    from ..exports.annotate import require
    from .execute import carry_out

    ray_options.check(options)
    inputs = dry_run.named(command, inputs, options)
    settings = settings_of(options)
    if options.get("prompts") and (inputs or options.get("prompt") is not None):
        other = "PHOTOS" if inputs else "--prompt"
        raise click.UsageError(f"--prompt-file with {other}: expected one of them")
    options = check_prompt_rows.of(options, settings, needs_classes=bool(needs))
    if inputs and options.get("init_image"):
        output.warn("with PHOTOS stage 1 draws nothing: --init-image changes nothing here")
    require(options.get("annotate", ()))
    settings, classes = request_classes.classes(inputs, options, settings)
    stages = tuple(needs) if inputs else ("generate", *needs)
    own = given(options["preset"], parse_changes(options.get("changes", ())))
    job = Job(command, tuple(inputs), stages, tuple(classes), settings, options, frozenset(own))
    carry_out(job)


def shots_of(
    command: str,
    inputs: Sequence[str],
    classes: Sequence[str],
    options: dict[str, Any],
    settings: Settings,
) -> tuple[LazyShots, Any]:
    """The shots to work on, and what looks up the detections of an earlier run, if it is one."""
    from ..inputs import previous_run
    from ..inputs import shots as sources

    edit, seed = options.get("edit") or "", settings.run.seed
    g = settings.generate
    if not inputs and options.get("rows"):
        from ..inputs.prompt_rows import shots as of_rows

        return (
            of_rows(
                options["rows"],
                classes,
                prompt=g.prompt,
                negative_prompt=g.negative_prompt,
                edit=edit,
                run_seed=seed,
            ),
            None,
        )
    if not inputs:
        return (
            sources.prompted(
                classes,
                options["count"],
                prompt=g.prompt,
                prompts=options.get("prompts", ()),
                negative_prompt=g.negative_prompt,
                edit=edit,
                run_seed=seed,
            ),
            None,
        )
    if sources.is_run_folder(inputs):
        folder = Path(inputs[0])
        shots = sources.from_run(folder, classes=classes, edit=edit, run_seed=seed)
        own = command == "enhance" and not classes and not options.get("mask")
        finder = previous_run.finder(folder) if own else None
        if finder and not finder(shots[0].id):
            raise sources.InputError(
                f"{folder} holds pictures in which nothing was looked for yet: "
                "add --class, or run `visuals filter` on it first"
            )
        return shots, finder
    outside: list[Path] = []
    shots = sources.photos(inputs, classes, edit=edit, run_seed=seed, outside=outside)
    dry_run.say_outside(outside)
    return shots, None
