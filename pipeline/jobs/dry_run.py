"""What a request would do with each shot, from the headers of its files; writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..runs.locate import run_place
from .execute import run_folder_name
from .plan import ShotPlan, check_licences, check_prompts, plan_shots
from .reporter import Reporter
from .resolve import ResolvedRequest

if TYPE_CHECKING:
    from ...stages.shot import Shot

LISTED = 20
"""Pictures that are listed; of the others, those with a problem."""


@dataclass(frozen=True)
class DryRun:
    """What a request would do.

    Args:
        folder: where it would write.
        stages: what pictures go through.
        pictures: how many there are.
        shots: a record for each photo, or for the first LISTED pictures that stage 1 would draw:
            these have no file that could have a problem. Made one by one.
        more_to_do: pictures beyond `shots` that are to be drawn.
    """

    folder: str
    stages: tuple[str, ...]
    pictures: int
    shots: Iterator[dict[str, Any]]
    more_to_do: int


def dry_run(resolved: ResolvedRequest, reporter: Reporter) -> DryRun:
    """Return what a request would do; raises what `execute` would raise before it writes."""
    from ..inputs.resume import remaining
    from ..runs.folder import check_place
    from ..runs.manifest import read_records
    from ..runs.object_store import holds

    plan = plan_shots(resolved, reporter)
    check_licences(plan, reporter)
    if "generate" in plan.needs or "rerender" in plan.needs:
        plan = check_prompts(plan, reporter)
    out = run_folder_name(resolved)
    place = run_place(out)
    check_place(place)
    left = remaining(
        plan.shots,
        read_records(place),
        retry_failed=resolved.request.retry_failed,
        there=holds(place),
    )
    todo = {(name.id, name.path) for name in left.shots.names} if left.done else None
    stages = (*(["mask"] if plan.masks else []), *plan.needs)
    names = plan.shots.names
    looked_at = len(names) if resolved.request.inputs else LISTED
    more = names[looked_at:]
    shots = (
        _shot_record(
            plan,
            plan.shots.make(name),
            stages if todo is None or (name.id, name.path) in todo else (),
        )
        for name in names[:looked_at]
    )
    more_to_do = len(more) if todo is None else sum((name.id, name.path) in todo for name in more)
    return DryRun(out, stages, len(names), shots, more_to_do)


def _shot_record(plan: ShotPlan, shot: Shot, stages: tuple[str, ...]) -> dict[str, Any]:
    from ..images.read import PictureError, read_header

    path = getattr(shot.source, "path", None)
    size, problem = None, ""
    if path is not None:
        try:
            size = read_header(path).size_wh
            problem = plan.output.refusal(size, None)
            if plan.masks is not None and plan.masks.file(shot) is None:
                problem = plan.masks.missing
            elif plan.masks is not None:
                plan.masks.check_size(shot)
        except PictureError as error:
            problem = str(error)
    return {
        "id": shot.id,
        "input": path,
        "prompt": getattr(shot.source, "prompt", None),
        "size_wh": size and list(size),
        "classes": list(shot.classes),
        "stages": [] if problem else list(stages),
        "problem": problem,
    }
