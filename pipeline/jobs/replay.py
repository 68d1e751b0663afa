"""Finished shots made again by their plan (see `plans`), and held beside what they were (see
`compare`). Knows no terminal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .replay_plan import ReplayError, ReplayPlan

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from ..runner.run import Stages


def loader(plan: ReplayPlan, output: Any) -> Callable[[Sequence[Shot]], list[Shot]] | None:
    """The first stage: reads the photos, which must hold what they held then; None for none."""
    from ..inputs import previous_run
    from ..inputs import shots as inputs

    if not any(hasattr(shot.source, "path") for batch in plan.batches for shot in batch.shots):
        return None
    found = previous_run.finder(plan.masks) if plan.masks else None

    def load(shots: Sequence[Shot]) -> list[Shot]:
        out = []
        for before, shot in zip(shots, inputs.load(shots, found, output), strict=True):
            then = (getattr(before.source, "content", None) or {}).get("sha256")
            now = (getattr(shot.source, "content", None) or {}).get("sha256")
            if shot.open and then and now != then:
                path = getattr(shot.source, "path", "")
                shot = shot.fail(ReplayError(f"{path} is another photo than then"), "load")
            out.append(shot)
        return out

    return load


def make(
    plan: ReplayPlan, stages: Stages, *, done: Collection[str] = (), **options: Any
) -> Iterator[Shot]:
    """Each wanted shot made again, but those that are `done`; `options` go to `run_shots`."""
    from ..runner.run import run_shots

    for batch in plan.batches:
        asked = set(batch.wanted) - set(done)
        if asked:
            for shot in run_shots(batch.shots, stages, batch_size=len(batch.shots), **options):
                if shot.id in asked:
                    yield shot
