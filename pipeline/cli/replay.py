"""`visuals replay`: finished pictures made again from what they say of themselves, and compared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..jobs import dry_run
from . import output as show
from .options import apply, errors, on_a_disk, parse_changes

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..jobs.replay_compare import Compared
    from ..jobs.replay_plan import ReplayPlan


@click.command()
@click.argument("target", metavar="RUN|PICTURE")
@click.argument("shots", nargs=-1, metavar="[SHOT]...")
@click.option(
    "--photos",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Where the photos of a PICTURE lie; may be repeated.",
)
@click.option(
    "--out",
    metavar="DIR",
    callback=on_a_disk,
    help="Folder of the new pictures. Default: runs/<time>.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    help="Another seed for the first shot; the next ones count up.",
)
@click.option(
    "--preset",
    default="mini",
    show_default=True,
    metavar="NAME",
    help="For a PICTURE that has A1111's parameters only: whose models draw it.",
)
@apply("device", "low_memory", "allow_pickle", "set", "json")
@errors
def replay(target: str, shots: tuple[str, ...], out: str | None, **options: Any) -> None:
    """Make the shots of a RUN again, or one PICTURE from what stands in its file.

    All shots that did not fail, or those of the ids SHOT, go into a new folder, and their pixels
    are compared with the old ones: exit code 1 where they are not equal. With --set or --seed the
    pictures are others, and nothing but that is said.
    """
    with dry_run.on_disk(target) as place:
        _replay(target, place, shots, out, options)


def _replay(
    target: str, place: str, shots: tuple[str, ...], out: str | None, options: dict[str, Any]
) -> None:
    """`place`: where `target` lies on a disk of this machine."""
    from ...configs.schema import check
    from ..build import recorded_hashes, replicate
    from ..build.model_hashes import fingerprints
    from ..build.stages import check_words
    from ..jobs import replay_plan
    from ..jobs.replay_compare import differences

    changes = parse_changes(options["changes"])
    asked = bool(changes) or options["seed"] is not None
    if options["device"]:
        changes["run.device"] = options["device"]
    if options["low_memory"]:
        changes["run.low_memory"] = True
    if options["allow_pickle"]:
        changes["run.allow_pickle"] = True
    if Path(place).is_dir():
        plan = replay_plan.of_run(Path(place), shots)
    elif shots:
        raise click.UsageError(f"{shots[0]!r} after {target}: expected one picture, or RUN SHOT …")
    else:
        plan = _of_picture(Path(place), options["photos"], options["preset"])
    plan = replay_plan.changed(plan, changes, options["seed"])
    settings = check(plan.settings)
    prompts = [getattr(s.source, "prompt", "") for batch in plan.batches for s in batch.shots]
    if {"generate", "rerender"} & set(plan.needs):
        check_words(settings, prompts)
    if "generate" in plan.needs and replicate.draws(settings):
        show.warn("stage 1 is drawn by the host once more, which may differ")
    checkpoints = fingerprints(settings, prompts)
    for said in [*plan.notes, *(() if asked else differences(plan, checkpoints))]:
        show.warn(f"{said}: pixels may differ")
    new = Path(out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}-replay")
    short = recorded_hashes.of(settings, prompts)
    compared = _make(plan, settings, new, checkpoints, short, target, quiet=options["as_json"])
    _say(compared, new, options["as_json"], changed=asked)
    if not asked and not all(one.equal for one in compared):
        raise SystemExit(1)


def _of_picture(path: Path, photos: Sequence[Path], preset: str) -> ReplayPlan:
    """By its own record, else by A1111's parameters."""
    from ..images import provenance
    from ..jobs import replay_infotext, replay_plan

    try:
        return replay_plan.of_picture(path, photos)
    except provenance.ProvenanceError:
        plan = replay_infotext.of_picture(path, preset)
        if plan is None:
            raise
        return plan


def _make(
    plan: ReplayPlan,
    settings: Settings,
    place: Path,
    checkpoints: dict[str, str],
    hashes: dict[str, str],
    target: str,
    *,
    quiet: bool,
) -> list[Compared]:
    """The wanted shots made into `place`, or what it does not hold yet, each compared."""
    from dataclasses import replace

    from ..build.stages import build_stages
    from ..images.write import Format
    from ..jobs import replay as replays
    from ..jobs.replay_compare import compare
    from ..runner.run import Stages
    from ..runs import folder as run_folder
    from ..runs.lock import RunLock
    from ..runs.object_store import is_url

    output = Format(settings.run.format, settings.run.quality)
    needs = ("rerender",) if plan.masks else plan.needs
    request = {
        "command": "replay",
        "needs": list(plan.needs),
        "of": target if is_url(target) else str(Path(target).absolute()),
        "shots": list(plan.wanted),
        "seeds": [s.seed for batch in plan.batches for s in batch.shots if s.id in batch.wanted],
        "masks_given": plan.masks is not None,
    }
    run_folder.make(place)
    with RunLock(place), show.StageProgress(quiet) as bars:
        folder = run_folder.RunFolder(
            place,
            request=request,
            settings=settings.model_dump(mode="json"),
            checkpoints=checkpoints,
            output=output,
            hashes=hashes,
        )
        if set(plan.wanted) - set(folder.done):
            stages = Stages()
            if needs:
                stages = build_stages(settings, needs, tell=bars.say)
            stages = replace(stages, load=replays.loader(plan, output))
            if plan.masks:
                stages = replace(stages, mask=None)
            for shot in replays.make(plan, stages, done=folder.done, progress=bars.update):
                folder.record(shot)
        return [compare(plan.wanted[id_], folder.done[id_], place) for id_ in plan.wanted]


def _say(compared: list[Compared], place: Path, as_json: bool, *, changed: bool) -> None:
    from ..reports.html import write_report
    from ..runs.folder import NAME, to_json

    report = write_report(place)
    if as_json:
        shots = [
            {
                "id": one.id,
                "status": one.now,
                "equal": one.equal,
                "changed": one.changed,
                "largest": one.largest,
            }
            for one in compared
        ]
        record = {"folder": str(place), "manifest": str(place / NAME), "shots": shots}
        click.echo(to_json({**record, "equal": sum(one.equal for one in compared)}))
        return
    for one in compared:
        click.echo(f"{one.id}\t{one}")
    same = sum(one.equal for one in compared)
    why = "as asked" if changed else "another device or library rounds otherwise"
    rest = f"; the others are not ({why})" if same < len(compared) else ""
    click.echo(f"{same} of {len(compared)} are equal{rest}", err=True)
    click.echo(f"report    {report}")
