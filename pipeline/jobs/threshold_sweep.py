"""How many pictures would pass at each threshold, from one look of the detector at each.

Knows no terminal and writes no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...stages.detect import Detector
    from ...stages.shot import Shot
    from .reporter import Reporter
    from .request import RunRequest

THRESHOLDS = tuple(k / 10 for k in range(1, 10))


@dataclass
class Sweep:
    """`best`: class to picture id to the best score 0..1, 0 where no box is left. `passing`: class
    to pictures that pass at each of THRESHOLDS and, last, at its own (`now`); `any`: those where
    some class does. Below `least`, the detector's `text_threshold`, nothing passes.
    """

    now: dict[str, float]
    least: float
    best: dict[str, dict[str, float]] = field(default_factory=dict)
    passing: dict[str, list[int]] = field(default_factory=dict)
    any: list[int] = field(default_factory=lambda: [0] * (len(THRESHOLDS) + 1))
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.now:
            self.best.setdefault(name, {})
            self.passing.setdefault(name, [0] * len(self.any))

    @property
    def pictures(self) -> int:
        """How many could be read."""
        return max((len(scores) for scores in self.best.values()), default=0)

    def histogram(self, name: str) -> list[int]:
        """Pictures by best score, in ten bins from 0 to 1."""
        bins = [0] * 10
        for score in self.best[name].values():
            bins[min(9, int(score * 10))] += 1
        return bins

    def add(self, shot: Shot, detector: Detector) -> None:
        """Count one shot that went through `detector.sweep`."""
        if shot.failure is not None:
            self.errors.append(f"{shot.id}: {shot.failure.message}")
            return
        for name in shot.classes:
            scores = [d.score for d in shot.detections if d.label == name]
            self.best[name][shot.id] = max(scores, default=0.0)
        asked = [dict.fromkeys(self.now, t) for t in THRESHOLDS]
        for k, least in enumerate([*asked, self.now]):
            names = detector.passing(shot.detections, least)
            self.any[k] += bool(names)
            for name in names:
                self.passing[name][k] += 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "pictures": self.pictures,
            "thresholds": list(THRESHOLDS),
            "text_threshold": self.least,
            "classes": {
                name: {
                    "threshold": self.now[name],
                    "passing_now": passing[-1],
                    "passing": passing[:-1],
                    "histogram": self.histogram(name),
                    "best": {id_: round(s, 4) for id_, s in self.best[name].items()},
                }
                for name, passing in self.passing.items()
            },
            "any": {"passing_now": self.any[-1], "passing": self.any[:-1]},
            "failed": len(self.errors),
            "errors": self.errors,
        }


def sweep(
    shots: Sequence[Shot],
    load: Callable[[Sequence[Shot]], list[Shot]],
    detector: Detector,
    *,
    batch_size: int = 8,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Sweep:
    """Look at every shot once, a batch in memory at a time; a bad file is an error of its own."""
    names = dict.fromkeys(name for shot in shots for name in shot.classes)
    out = Sweep({name: detector.threshold(name) for name in names}, detector.text_threshold)
    for start in range(0, len(shots), batch_size):
        for shot in detector.sweep(load(shots[start : start + batch_size])):
            out.add(shot, detector)
        progress("detect", min(start + batch_size, len(shots)), len(shots))
    return out


def run_sweep(request: RunRequest, reporter: Reporter) -> Sweep:
    """Score the photos of a `filter` request once, and count what each threshold would pass.

    Raises:
        InputError: no photo can be read.
    """
    from ..build.stages import build_stages
    from ..inputs import shots as inputs
    from .plan import shots_of
    from .resolve import resolve

    resolved = resolve(request, reporter)
    shots, _ = shots_of(resolved, reporter)
    broken = inputs.first_error(shots)
    if broken:
        raise inputs.InputError(broken)
    settings, needs = resolved.settings, ("detect",)
    with reporter.loading(settings, needs):
        stages = build_stages(settings, needs, report=reporter.status, late=False)
    detector: Any = stages.detect
    size = resolved.settings.run.batch_size
    return sweep(shots, inputs.load, detector, batch_size=size, progress=reporter.progress)
