"""One job of `run`, `generate`, `filter` or `enhance`, from options to the closing table.

Checks everything that can be checked before a model is loaded. Progress and tables go to
stderr, results to stdout.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import asked, show
from .options import parse_changes

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..annotations import Annotations
    from ..manifest import RunFolder
    from ..run import Summary

_SETTING = {
    "seed": "run.seed",
    "retries": "run.retries",
    "batch_size": "run.batch_size",
    "device": "run.device",
    "allow_pickle": "run.allow_pickle",
    "strength": "rerender.strength",
    "box_threshold": "detect.box_threshold",
    "mask_min_ratio": "mask.mask_min_ratio",
    "mask_max_ratio": "mask.mask_max_ratio",
    "mask_k": "mask.mask_k",
    "sort": "mask.sort",
    "dilate": "mask.dilate_erode",
}


def settings_of(options: dict[str, Any]) -> Settings:
    """The preset's settings with what the options change."""
    from ...configs.schema import load_settings

    overrides = parse_changes(options.get("changes", ()))
    for option, name in _SETTING.items():
        if options.get(option) is not None:
            overrides[name] = options[option]
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
    return load_settings(options["preset"], overrides)


def work(
    command: str, inputs: Sequence[str], needs: Sequence[str], options: dict[str, Any]
) -> None:
    """Do the job; exits 1 where nothing came out but failures."""
    from .. import inputs as sources
    from ..annotations import require
    from ..models import check_words
    from .annotate import annotate_run

    settings = settings_of(options)
    prompts, formats = options.get("prompts", ()), options.get("annotate", ())
    if prompts and (inputs or options.get("prompt") is not None):
        other = "PHOTOS" if inputs else "--prompt"
        raise click.UsageError(f"--prompt-file with {other}: expected one of them")
    require(formats)
    settings, classes = asked.classes(inputs, options, settings)
    shots, found = shots_of(command, inputs, classes, options, settings)
    needs = tuple(needs) if inputs else ("generate", *needs)
    if found is not None and command == "enhance":
        needs = ("rerender",)
        if not settings.mask.is_default:
            show.warn(f"{inputs[0]} has its masks already: mask options change nothing here")
    if "generate" in needs or "rerender" in needs:
        check_words(settings, prompts)
    broken = sources.first_error(shots) if inputs else ""
    if broken and not any(Path(given).is_dir() for given in inputs):
        raise sources.InputError(broken)
    if broken:
        needs = ()
    folder = _folder(command, inputs, classes, options, settings)
    total = len(shots)
    shots = [shot for shot in shots if shot.id not in folder.done]
    try:
        summary = _go(shots, settings, needs, folder, found, quiet=options["as_json"])
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
        finder = sources.finder(folder) if command == "enhance" and not classes else None
        if finder and not finder(shots[0].id):
            raise sources.InputError(
                f"{folder} holds pictures in which nothing was looked for yet: "
                "add --class, or run `visuals filter` on it first"
            )
        return shots, finder
    return sources.photos(inputs, classes, edit=edit, run_seed=seed), None


def _folder(
    command: str,
    inputs: Sequence[str],
    classes: Sequence[str],
    options: dict[str, Any],
    settings: Settings,
) -> RunFolder:
    from ..manifest import RunFolder
    from ..models import fingerprints

    name = "-".join([time.strftime("%Y%m%d-%H%M%S"), *(classes[:2] or [command])])
    out, number = options["out"] or f"runs/{name.replace(' ', '-')}", 2
    while not options["out"] and Path(out).exists():
        out, number = f"runs/{name}-{number}".replace(" ", "-"), number + 1
    request = {
        "command": command,
        "inputs": [str(Path(i).absolute()) for i in inputs],
        "preset": options["preset"],
        "classes": list(classes),
        "count": options.get("count"),
        "edit": options.get("edit") or "",
        "prompts": list(options.get("prompts", ())) or None,
    }
    return RunFolder(
        out,
        request=request,
        settings=settings.model_dump(mode="json"),
        checkpoints=fingerprints(settings),
    )


def _go(
    shots: list[Shot],
    settings: Settings,
    needs: Sequence[str],
    folder: RunFolder,
    found: Any,
    *,
    quiet: bool,
) -> Summary:
    from .. import inputs as sources
    from ..run import Stages, Summary, run_shots

    summary = Summary()
    if not shots:
        return summary
    with show.Bars(quiet) as bars:
        stages = Stages()
        if needs:
            from ..models import build_stages

            stages = build_stages(settings, needs, tell=bars.say)
        if "generate" not in needs:
            stages = replace(stages, load=functools.partial(sources.load, found=found))
        for shot in run_shots(
            shots,
            stages,
            run_seed=settings.run.seed,
            retries=settings.run.retries,
            batch_size=settings.run.batch_size,
            progress=bars.update,
            summary=summary,
        ):
            folder.record(shot)
    return summary


def _close(
    folder: RunFolder, summary: Summary, written: Annotations | None, *, as_json: bool
) -> None:
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
        click.echo(json.dumps(record, ensure_ascii=False))
    else:
        show.closing(summary)
        click.echo(f"pictures  {folder.path / 'images'}")
        if written is not None:
            show.annotated(written)
        click.echo(f"report    {report}")
