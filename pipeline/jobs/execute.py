"""A job carried out: shots through the stages into their folder, stopped or ended in one line."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ...stages.accel.memory import loaded, loading
from ..cli import output as show
from ..cli.interrupt import InterruptHandler, go_on_with
from . import dry_run
from .request import Job, opened

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from ..exports.annotate import Annotations
    from ..inputs.resume import LazyShots
    from ..runner.run import Stages, Summary
    from ..runs.folder import RunFolder


@loading()
def carry_out(job: Job) -> None:
    """Do the job, or what is left of it; exits 1 where nothing came out but failures or the disk
    takes no more, 130 where it was stopped."""
    from ..exports.annotate import require
    from ..inputs import shots as sources
    from ..prompts import wildcards
    from ..runner.run import Stages
    from .request_options import shots_of

    options, settings, inputs, needs = job.options, job.settings, job.inputs, job.needs
    require(options.get("annotate", ()))
    masks = dry_run.own_masks(options, job.classes)
    output = dry_run.output(settings, options)
    shots, found = shots_of(job.command, inputs, job.classes, options, settings)
    if masks is not None or (found is not None and job.command == "enhance"):
        needs = ("rerender",)
        if not settings.mask.is_default:
            theirs = options.get("mask") or inputs[0]
            show.warn(f"{theirs} holds the masks: mask options change nothing here")
    known, own = wildcards.of(settings), not inputs or sources.is_run_folder(inputs)
    if own:
        shots = shots.changed(lambda shot: wildcards.drawn([shot], known)[0])
    if "generate" in needs or "rerender" in needs:
        job = _worded(job, shots, draws="generate" in needs)
        settings = job.settings
    retry = bool(options.get("retry_failed"))
    if options.get("dry_run"):
        out = dry_run.out(job.command, job.classes, options)
        as_json = options["as_json"]
        dry_run.plan(shots, needs, out, masks, output, as_json=as_json, retry_failed=retry)
        return
    broken = sources.first_error(shots, output) if inputs else ""
    if broken and dry_run.is_plain(inputs):
        raise sources.InputError(broken)
    if masks is not None and masks.single and len(shots) == 1:
        masks.check_size(shots[0])
    if broken:
        needs, masks = (), None
    seed = None if own else settings.run.seed
    read = functools.partial(sources.load, found=found, output=output, run_seed=seed)

    def load(part: Sequence[Shot]) -> list[Shot]:
        # A photo's seed, by which its choices are made, is known when it is read.
        return read(part) if own else wildcards.drawn(read(part), known)

    start = Stages(load=load if inputs else None, mask=masks)
    with opened(job, output) as folder:
        _go_on(job, folder, shots, needs, start)


def _worded(job: Job, shots: LazyShots, *, draws: bool) -> Job:
    """The job with what its LoRAs recommend; raises where prompts, samplers or LoRAs are wrong,
    or where the host of stage 1 cannot be asked."""
    from ..build import replicate
    from ..build.stages import check_words
    from ..prompts import explain, loras

    words = dict.fromkeys(getattr(shot.source, "prompt", "") for shot in shots)
    if draws and replicate.draws(job.settings):
        replicate.check(job.settings)
        for said in replicate.notes(words):
            show.warn(said)
        draws = False  # the host has not got the LoRAs: their size is none of its pictures'
    check_words(job.settings, [*job.options.get("prompts", ()), *words])
    for said in explain.notes(job.settings, set(words))[:5]:
        show.warn(said)
    if job.given is None:
        return job
    settings = loras.ready(
        job.settings, list(words), job.given, draws=draws, tell=show.say, warn=show.warn
    )
    return replace(job, settings=settings)


def _go_on(
    job: Job, folder: RunFolder, shots: LazyShots, needs: tuple[str, ...], start: Stages
) -> None:
    """The shots that `folder` does not hold yet, then what is said at the end."""
    from ..cli.annotate import annotate_run
    from ..inputs import shots as sources
    from ..inputs.resume import remaining
    from ..runs.folder import WriteError, read_lines, writing

    options = job.options
    file_away = functools.partial(dry_run.file_away, folder.path, options=options)
    if options.get("batch_size") is not None:
        folder.forget_batch_sizes()
    stopper = InterruptHandler()
    try:
        retry = bool(options.get("retry_failed"))
        left = remaining(shots, read_lines(folder.path), retry_failed=retry)
        folder.forget(left.outdated)
        if left.done and needs and job.inputs and sources.first_error(left.shots):
            needs = ()  # what is left are broken files: no model is needed to say so
        if options.get("copy_skipped") or options.get("sort_by_class"):
            for line in read_lines(folder.path):
                file_away(line)
        summary = _go(job, left.shots, needs, folder, start, file_away, stopper)
        summary.resumed = left.done
        folder.save()
        if stopper.code:
            raise KeyboardInterrupt
        formats, quiet = options.get("annotate", ()), options["as_json"]
        with writing(folder.path):
            written = annotate_run(folder.path, formats, quiet=quiet) if formats else None
            _close(folder, summary, written, as_json=quiet)
    except KeyboardInterrupt:
        with contextlib.suppress(WriteError):
            folder.save()
        show.warn(f"stopped; {go_on_with(folder)}")
        raise SystemExit(stopper.code or 130) from None
    except WriteError as error:
        with contextlib.suppress(WriteError):
            folder.save()
        if not folder.there:
            how = f"put it back and visuals resume {folder.place} goes on, or repeat the command"
            raise WriteError(f"{error}; {how}") from None
        raise WriteError(f"{error}; once that is mended, {go_on_with(folder)}") from None
    unwritten = written is not None and written.errors and not written.files
    if unwritten or (summary.total and summary.failed == summary.total):
        raise SystemExit(1)


def _go(
    job: Job,
    shots: LazyShots,
    needs: tuple[str, ...],
    folder: RunFolder,
    start: Stages,
    file_away: Callable[[dict[str, Any]], None],
    stopper: InterruptHandler,
) -> Summary:
    from ..build import replicate
    from ..runner.run import Summary, fitted, run_shots

    summary, run = Summary(), job.settings.run
    if not shots:
        return summary

    def smaller(stage: str, size: int) -> None:
        show.warn(f"{stage}: out of memory; going on with {size} at a time")
        folder.note_batch_size(stage, size)

    def finish(line: dict[str, Any]) -> None:
        file_away(folder.append(line))

    with show.StageProgress(job.options["as_json"]) as bars:
        if needs and job.options.get("engine") == "ray":
            from ..cli.ray_options import on_ray

            on_ray(
                job, shots, needs, folder, start, finish, stopper,
                bars=bars, summary=summary, smaller=smaller,
            )  # fmt: skip
            return summary
        stages = start
        if needs:
            from ..build.stages import build_stages

            stages = build_stages(job.settings, needs, tell=bars.say)
            stages = replace(stages, load=start.load, mask=start.mask or stages.mask)
        stages = fitted(stages, folder.batch_sizes)
        if not replicate.draws(job.settings):  # what runs at a host is canceled first
            stopper.folder = folder
        with loaded(), stopper, _behind(folder, finish, run.batch_size) as sink:
            for shot in run_shots(
                shots,
                stages,
                run_seed=run.seed,
                retries=run.retries,
                batch_size=run.batch_size,
                progress=bars.update,
                summary=summary,
                stop=stopper,
                smaller=smaller,
            ):
                sink.put(shot)
    return summary


def _behind(folder: RunFolder, finish: Callable[[dict[str, Any]], None], depth: int) -> Any:
    """What writes finished shots; a store takes many at once, each slowly."""
    from ..runner.batching import MOST_PIXELS, pixels
    from ..runner.io_threads import BackgroundWriter

    how: dict[str, Any] = {"depth": depth, "weigh": pixels, "most": MOST_PIXELS}
    if folder.place != folder.path:
        from ..runs.remote_folder import WRITERS

        how |= {"depth": max(depth, 2 * WRITERS), "threads": WRITERS}
    return BackgroundWriter(folder.write, finish, **how)


def _close(
    folder: RunFolder, summary: Summary, written: Annotations | None, *, as_json: bool
) -> None:
    from ..runs.folder import NAME, read_lines, to_json

    report = folder.report()
    if as_json:
        paths = [
            f"{folder.place}/{line['files']['result'] or line['files']['source']}"
            for line in read_lines(folder.path)
            if line["status"] in ("kept", "enhanced")
        ]
        record = {
            "folder": str(folder.place),
            "report": str(report),
            "manifest": f"{folder.place}/{NAME}",
            "pictures": paths,
            **summary.as_dict(),
        }
        if written is not None:
            record["annotations"] = {k: str(path) for k, path in written.files.items()}
            record["annotation_errors"] = written.errors
        click.echo(to_json(record))
    else:
        show.closing(summary)
        click.echo(f"pictures  {folder.place}/images")
        if written is not None:
            show.annotated(written)
        click.echo(f"report    {report}")
