"""Executes a run request: plan the shots, check, open the run folder, run the shots."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import RunFolderError
from ..runs.locate import new_folder, resume_hint, run_place
from .plan import ShotPlan, check, plan_shots
from .reporter import Reporter
from .request import RunRequest
from .resolve import ResolvedRequest, resolve

if TYPE_CHECKING:
    import numpy as np

    from ..exports.writer import Exported
    from ..runner.summary import Summary
    from ..runs.folder import RunFolder
    from ..runs.manifest import ManifestRecord
    from ..runs.object_store import ObjectStore


@dataclass(frozen=True)
class RunResult:
    """The result of a request.

    Args:
        folder: the run folder, or the folder of an object store.
        summary: counts of kept, skipped and failed shots, and times.
        report: where the HTML report is; empty for a run that was stopped.
        annotations: the annotations that were asked for.
        stopped: whether the run was stopped before its end.
        resume_hint: the command that resumes it.
    """

    folder: Path | ObjectStore
    summary: Summary
    report: str = ""
    annotations: Exported | None = None
    stopped: bool = False
    resume_hint: str = ""

    def records(self) -> Iterator[ManifestRecord]:
        """Return the manifest: a record for each finished shot."""
        from ..runs.manifest import read_records

        return read_records(self.folder)

    @property
    def pictures(self) -> list[str]:
        """Paths of the pictures that were kept."""
        return [f"{self.folder}/{one.files.picture}" for one in self.records() if one.kept]

    @property
    def failed(self) -> bool:
        """Whether nothing came out but failures."""
        written = self.annotations
        unwritten = written is not None and bool(written.errors) and not written.files
        return unwritten or 0 < self.summary.total == self.summary.failed


def execute(
    request: RunRequest | ResolvedRequest,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Execute a request, or the rest of it where its run folder exists.

    Args:
        request: the request, or one that was resolved before.
        reporter: receives warnings and progress.
        stop: is asked before each batch; once it is true, the run ends with what is finished.

    Raises:
        UsageError: the request cannot be carried out; nothing was written.
        RunError: the disk, a host or a cluster failed; finished shots are kept.
    """
    from ..build.devices import device_and_dtype

    reporter = reporter or Reporter()
    resolved = request if isinstance(request, ResolvedRequest) else resolve(request, reporter)
    plan = check(plan_shots(resolved, reporter), reporter)
    if plan.needs and resolved.settings.run.device not in ("auto", "cpu"):
        device_and_dtype(resolved.settings)  # raises where it is not there
    _download_first(plan, reporter)
    with open_run(plan, reporter) as folder:
        if plan.resolved.random_seed:
            seed = plan.resolved.settings.run.seed
            reporter.note(f"seed {seed}, random; --seed {seed} repeats it")
        return run_plan(plan, folder, reporter, stop)


def _download_first(plan: ShotPlan, reporter: Reporter) -> None:
    """Download what a new run lacks before its folder is made, so that a download that is declined
    or fails leaves nothing behind."""
    from ..build.required_models import required_models

    request = plan.resolved.request
    new = request.out is None or not os.path.lexists(request.out)
    if plan.needs and new and request.engine.engine == "local":
        reporter.download(required_models(plan.resolved.settings, plan.needs))


def run_folder_name(resolved: ResolvedRequest) -> str:
    """Return the run folder of a request: its `out`, else a new one in runs/."""
    request = resolved.request
    if request.out:
        return str(run_place(request.out))
    return new_folder(resolved.classes[:2] or [request.command])


@contextlib.contextmanager
def open_run(plan: ShotPlan, reporter: Reporter) -> Iterator[RunFolder]:
    """Yield the run folder of a plan, new or resumed, locked against a second writer.

    With `fork` a folder beside `out` is taken where that one holds a run with other settings.

    Raises:
        RunFolderError: the folder holds something else.
        WriteError: it cannot be written to.
    """
    from ..build import model_hashes, model_licences
    from ..runs import folder as run_folder
    from ..runs import run_yaml
    from ..runs.lock import RunLock
    from ..runs.object_store import read

    resolved = plan.resolved
    request, settings = resolved.request, resolved.settings
    prompts = resolved.prompts
    edits = [*(row.edit or "" for row in resolved.rows), *request.all_edits]
    negatives = [row.negative_prompt or "" for row in resolved.rows]
    parts: dict[str, Any] = {
        "request": resolved.record(),
        "settings": settings.model_dump(mode="json"),
        "checkpoints": model_hashes.fingerprints(settings, [*prompts, *edits], negatives),
    }
    out = run_folder_name(resolved)
    place = run_place(out)
    if request.fork:
        stem = out.rstrip("/") if Path(out).name.strip(".") else os.path.abspath(out)
        beside = (f"{stem}-{number}" for number in itertools.count(2))
        for name in itertools.chain([out], beside):
            place = run_place(name)
            try:
                run_folder.check_place(place)
                old = read(place)
            except RunFolderError:  # another's
                if name == out:
                    raise
                continue
            if not old or not run_yaml.differences(old, run_folder.plain(parts)):
                break
        if str(place) != str(run_place(out)):
            reporter.note(f"{out} holds a run with other settings: this one goes to {place}")
    hashes = model_hashes.short_hashes(settings, [*prompts, *edits], negatives)
    tags = [f"<{name}:1>" for name in parts["checkpoints"] if name.startswith("lora:")]
    licences = model_licences.licences(settings, plan.needs, tags)
    parts |= {"output": plan.output, "hashes": hashes, "licences": licences}
    if not isinstance(place, Path):
        from ..runs import remote_folder

        with remote_folder.opened(place, parts) as folder:
            yield folder
        return
    run_folder.make(place)
    with contextlib.ExitStack() as stack:
        stack.enter_context(RunLock(place))
        run_folder.sweep(place)
        yield run_folder.RunFolder(place, **parts)


def run_plan(
    plan: ShotPlan, folder: RunFolder, reporter: Reporter, stop: Callable[[], bool]
) -> RunResult:
    """Run the shots that `folder` does not hold yet, then write annotations and report."""
    from ..inputs import shots as inputs
    from ..inputs.resume import remaining
    from ..reports.html import write_run_report
    from ..runner.run import Summary
    from ..runs.folder import WriteError, read_records, writing
    from ..runs.object_store import holds

    request = plan.resolved.request
    photos = {os.path.abspath(name.path) for name in plan.shots.names if name.path}
    on_finished = functools.partial(
        _on_finished, folder.path, request, photos, plan.background, reporter
    )
    if request.batch_size is not None:
        folder.forget_batch_sizes()
    summary, written, stopped = Summary(), Summary(), False

    def finish(record: ManifestRecord) -> None:
        on_finished(folder.append(record))
        written.count(record)

    try:
        left = remaining(
            plan.shots,
            read_records(folder.path),
            retry_failed=request.retry_failed,
            there=holds(folder.place),
        )
        folder.forget(left.outdated)
        if left.done and plan.needs and request.inputs and inputs.first_error(left.shots):
            plan = replace(plan, needs=())  # only broken files are left
        if request.copy_skipped or request.sort_by_class or request.cuts_out:
            for record in read_records(folder.path):
                on_finished(record)
        try:
            if left.shots:
                _run_shots(replace(plan, shots=left.shots), folder, summary, reporter, stop, finish)
        except KeyboardInterrupt:
            stopped = True
        summary.take_outcomes(written)
        summary.resumed = left.done
        with contextlib.suppress(WriteError) if stopped else contextlib.nullcontext():
            folder.save()
        if stopped or stop():
            return RunResult(folder.place, summary, stopped=True, resume_hint=resume_hint(folder))
        with writing(folder.path):
            annotations = _annotate(folder.path, request.annotate, reporter)
            return RunResult(
                folder.place,
                summary,
                report=write_run_report(folder),
                annotations=annotations,
                resume_hint=resume_hint(folder),
            )
    except WriteError as error:
        with contextlib.suppress(WriteError):
            folder.save()
        if not folder.exists:
            raise WriteError(
                f"{error}; put it back and run visuals resume {folder.place}, or repeat the command"
            ) from None
        raise WriteError(f"{error}; once that is mended, {resume_hint(folder)}") from None


def _run_shots(
    plan: ShotPlan,
    folder: RunFolder,
    summary: Summary,
    reporter: Reporter,
    stop: Callable[[], bool],
    finish: Callable[[ManifestRecord], None],
) -> None:
    from ..build import replicate
    from ..runner.previews import previewed
    from ..runner.run import fitted, run_shots

    settings = plan.resolved.settings
    run = settings.run

    def smaller(stage: str, size: int) -> None:
        reporter.warn(f"{stage}: out of memory; going on with {size} at a time")
        folder.note_batch_size(stage, size)

    if plan.needs and plan.resolved.request.engine.engine == "ray":
        from .execute_ray import run_on_cluster

        run_on_cluster(plan, folder, summary, reporter, stop, finish=finish, smaller=smaller)
        return
    stages = plan.start
    if plan.needs:
        from ..build.stages import build_stages

        with reporter.loading(settings, plan.needs):
            built = build_stages(settings, plan.needs, report=reporter.status)
        stages = replace(built, load=stages.load, mask=stages.mask or built.mask)
    stages = previewed(fitted(stages, folder.batch_sizes), reporter.preview)
    hosted = replicate.draws(settings)  # predictions are canceled before the process ends
    with reporter.running(folder, may_abandon=not hosted), _writer(folder, finish, run) as sink:
        for shot in run_shots(
            plan.shots,
            stages,
            run_seed=run.seed,
            retries=run.retries,
            batch_size=run.batch_size,
            progress=reporter.progress,
            summary=summary,
            stop=stop,
            smaller=smaller,
        ):
            sink.put(shot)


def _writer(folder: RunFolder, finish: Callable[[ManifestRecord], None], run: Any) -> Any:
    """Return what writes finished shots in the background; a store takes many at once."""
    from ..runner.io_threads import BackgroundWriter
    from ..runner.shot_batches import MOST_PIXELS, pixels

    options: dict[str, Any] = {"depth": run.batch_size, "weigh": pixels, "most": MOST_PIXELS}
    if folder.place != folder.path:
        from ..runs.remote_folder import WRITERS

        options |= {"depth": max(run.batch_size, 2 * WRITERS), "threads": WRITERS}
    return BackgroundWriter(folder.write, finish, **options)


def _on_finished(
    folder: Path,
    request: RunRequest,
    photos: Collection[str],
    background: np.ndarray | None,
    reporter: Reporter,
    record: ManifestRecord,
) -> None:
    """Report a finished shot; copy it to skipped/, sorted/ or cutouts/ where the request says so.

    A copy that fails does not end the run.
    """
    from ..exports.cutouts import write_cutout
    from ..runs import sorted_copies

    reporter.finished(record)
    try:
        if request.copy_skipped:
            sorted_copies.copy_skipped(folder, record, photos)
        if request.sort_by_class:
            sorted_copies.sort_by_class(folder, record)
        if request.cuts_out:
            write_cutout(folder, record, background)
    except (OSError, ValueError) as error:  # also of a name that cannot be encoded
        reporter.warn(f"{record.id}: not copied ({getattr(error, 'strerror', error)})")


def _annotate(folder: Path, formats: Sequence[str], reporter: Reporter) -> Exported | None:
    """Write annotations at the end of a run; their errors do not undo the run."""
    from ..exports.annotate import AnnotationError, NothingToAnnotateError, annotate
    from ..exports.writer import Exported

    if not formats:
        return None
    try:
        return annotate(folder, formats, progress=reporter.progress)
    except NothingToAnnotateError as error:
        reporter.warn(f"no annotations: {error}")
        return Exported()
    except AnnotationError as error:
        reporter.warn(str(error))
        return Exported(errors=[str(error)])
