"""One job of `run`, `generate`, `filter` or `enhance`, from options to the closing table.

Checks everything that can be checked before a model is loaded. Progress and tables go to
stderr, results to stdout.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import asked, files, show
from .options import parse_changes

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..annotations import Annotations
    from ..manifest import RunFolder
    from ..run import Stages, Summary

_SETTING = {
    "seed": "run.seed",
    "retries": "run.retries",
    "batch_size": "run.batch_size",
    "device": "run.device",
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
            show.warn("--prompt holds no {class}: stage 3 puts --edit into the preset's prompt")
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
    """Do the job; exits 1 where nothing came out but failures."""
    from ...configs.schema import given
    from .. import inputs as sources
    from .. import loras, reading, wildcards
    from ..annotations import require
    from ..models import check_words
    from ..run import Stages
    from .annotate import annotate_run

    inputs = files.named(command, inputs, options)
    settings = settings_of(options)
    prompts, formats = options.get("prompts", ()), options.get("annotate", ())
    if prompts and (inputs or options.get("prompt") is not None):
        other = "PHOTOS" if inputs else "--prompt"
        raise click.UsageError(f"--prompt-file with {other}: expected one of them")
    if inputs and options.get("init_image"):
        show.warn("with PHOTOS stage 1 draws nothing: --init-image changes nothing here")
    require(formats)
    settings, classes = asked.classes(inputs, options, settings)
    masks = files.own_masks(options, classes)
    output = files.output(settings, options)
    shots, found = shots_of(command, inputs, classes, options, settings)
    shots = wildcards.drawn(shots, wildcards.of(settings))
    needs = tuple(needs) if inputs else ("generate", *needs)
    if masks is not None or (found is not None and command == "enhance"):
        needs = ("rerender",)
        if not settings.mask.is_default:
            theirs = options.get("mask") or inputs[0]
            show.warn(f"{theirs} holds the masks: mask options change nothing here")
    if "generate" in needs or "rerender" in needs:
        drawn = dict.fromkeys(getattr(shot.source, "prompt", "") for shot in shots)
        check_words(settings, [*prompts, *drawn])
        for said in reading.notes(settings, set(drawn))[:5]:
            show.warn(said)
        own = given(options["preset"], parse_changes(options.get("changes", ())))
        draws = "generate" in needs
        settings = loras.ready(
            settings, list(drawn), own, draws=draws, tell=show.say, warn=show.warn
        )
    if options.get("dry_run"):
        out = files.out(command, classes, options)
        files.plan(shots, needs, out, masks, output, as_json=options["as_json"])
        return
    broken = sources.first_error(shots, output) if inputs else ""
    if broken and files.is_plain(inputs):
        raise sources.InputError(broken)
    if masks is not None and masks.single and len(shots) == 1:
        masks.check_size(shots[0])
    if broken:
        needs, masks = (), None
    folder = files.run_folder(command, inputs, classes, options, settings, output)
    file_away = functools.partial(files.file_away, folder.path, options=options)
    for line in folder.done.values():
        file_away(line)
    total = len(shots)
    shots = [shot for shot in shots if shot.id not in folder.done]
    try:
        load = functools.partial(sources.load, found=found, output=output)
        start = Stages(load=load if inputs else None, mask=masks)
        summary = _go(shots, settings, needs, folder, start, file_away, quiet=options["as_json"])
    except KeyboardInterrupt:
        show.warn(f"stopped; the same command with --out {folder.path} goes on")
        raise SystemExit(130) from None
    summary.resumed = total - len(shots)
    written = annotate_run(folder.path, formats, quiet=options["as_json"]) if formats else None
    _close(folder, summary, written, as_json=options["as_json"])
    unwritten = written is not None and written.errors and not written.files
    if unwritten or (summary.total and summary.failed == summary.total):
        raise SystemExit(1)


def shots_of(
    command: str,
    inputs: Sequence[str],
    classes: Sequence[str],
    options: dict[str, Any],
    settings: Settings,
) -> tuple[list[Shot], Any]:
    """The shots to work on, and what looks up the detections of an earlier run, if it is one."""
    from .. import inputs as sources

    edit, seed = options.get("edit") or "", settings.run.seed
    if not inputs:
        g = settings.generate
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
        finder = sources.finder(folder) if own else None
        if finder and not finder(shots[0].id):
            raise sources.InputError(
                f"{folder} holds pictures in which nothing was looked for yet: "
                "add --class, or run `visuals filter` on it first"
            )
        return shots, finder
    outside: list[Path] = []
    shots = sources.photos(inputs, classes, edit=edit, run_seed=seed, outside=outside)
    files.say_outside(outside)
    return shots, None


def _go(
    shots: list[Shot],
    settings: Settings,
    needs: Sequence[str],
    folder: RunFolder,
    start: Stages,
    file_away: Callable[[dict[str, Any]], None],
    *,
    quiet: bool,
) -> Summary:
    from ..run import Summary, run_shots

    summary = Summary()
    if not shots:
        return summary
    with show.Bars(quiet) as bars:
        stages = start
        if needs:
            from ..models import build_stages

            stages = build_stages(settings, needs, tell=bars.say)
            stages = replace(stages, load=start.load, mask=start.mask or stages.mask)
        for shot in run_shots(
            shots,
            stages,
            run_seed=settings.run.seed,
            retries=settings.run.retries,
            batch_size=settings.run.batch_size,
            progress=bars.update,
            summary=summary,
        ):
            file_away(folder.record(shot))
    return summary


def _close(
    folder: RunFolder, summary: Summary, written: Annotations | None, *, as_json: bool
) -> None:
    from ..manifest import to_json
    from ..report import write_report

    report = write_report(folder.path)
    if as_json:
        paths = [
            str(folder.path / (line["files"]["result"] or line["files"]["source"]))
            for line in folder.done.values()
            if line["status"] in ("kept", "enhanced")
        ]
        record = {
            "folder": str(folder.path),
            "report": str(report),
            "manifest": str(folder.path / "manifest.jsonl"),
            "pictures": paths,
            **summary.as_dict(),
        }
        if written is not None:
            record["annotations"] = {k: str(path) for k, path in written.files.items()}
            record["annotation_errors"] = written.errors
        click.echo(to_json(record))
    else:
        show.closing(summary)
        click.echo(f"pictures  {folder.path / 'images'}")
        if written is not None:
            show.annotated(written)
        click.echo(f"report    {report}")
