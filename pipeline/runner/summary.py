"""Run summary: how many shots were made, enhanced, kept, skipped, failed, and the time spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_ERRORS = 100
"""Messages of failed shots that a summary holds; the manifest has all."""


@dataclass
class Summary:
    """Counts of shots by outcome.

    `seconds` and `cpu_seconds` are the whole run's; `per_stage` adds up work that runs in parallel
    and may exceed them.
    """

    made: int = 0
    enhanced: int = 0
    kept: int = 0
    failed: int = 0
    retried: int = 0
    resumed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    per_stage: dict[str, float] = field(default_factory=dict)
    changed_outside: int = 0
    batch_sizes: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.enhanced + self.kept + self.failed + self.skipped.total()

    def count(self, shot: Any) -> None:
        """Count the outcome of a shot, or of its record in the manifest."""
        if shot.status == "skipped" and shot.reason:
            self.skipped[shot.reason.code] += 1
        elif shot.status == "failed" and shot.failure:
            self.failed += 1
            failure = shot.failure
            where = "" if failure.where == "load" else f"{failure.where}: {failure.kind}: "
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(f"{shot.id}: {where}{failure.message}")
        elif shot.status == "enhanced":
            self.enhanced += 1
        else:
            self.kept += 1
        self.changed_outside += int(shot.metrics.get("changed_outside") or 0)

    def take_outcomes(self, other: Summary) -> None:
        """Replace the counts of outcomes by another summary's, of the shots that were written."""
        for name in ("enhanced", "kept", "skipped", "failed", "errors", "changed_outside"):
            setattr(self, name, getattr(other, name))

    def add(self, other: Summary, smaller: Callable[[str, int], None] | None = None) -> None:
        """Add another summary's counts, without its `seconds`, which are a wall clock's. `smaller`
        is called with each stage whose batch size fell, and the new size."""
        for name in ("made", "enhanced", "kept", "failed", "retried", "changed_outside"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped.update(other.skipped)
        self.errors += other.errors[: max(0, MOST_ERRORS - len(self.errors))]
        for stage, seconds in other.per_stage.items():
            self.per_stage[stage] = self.per_stage.get(stage, 0.0) + seconds
        for stage, size in other.batch_sizes.items():
            if size < self.batch_sizes.get(stage, size + 1):
                self.batch_sizes[stage] = size
                if smaller:
                    smaller(stage, size)

    def as_dict(self) -> dict[str, object]:
        return {
            "total": self.total,
            "made": self.made,
            "enhanced": self.enhanced,
            "kept": self.kept,
            "skipped": dict(self.skipped),
            "failed": self.failed,
            "retried": self.retried,
            "resumed": self.resumed,
            "errors": self.errors,
            "changed_outside": self.changed_outside,
            "batch_sizes": dict(self.batch_sizes),
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "seconds_per_picture": round(self.seconds / max(self.total, 1), 3),
            "seconds_per_stage": {k: round(v, 3) for k, v in self.per_stage.items()},
        }


def duration(seconds: float) -> str:
    """Return a duration in words.

    >>> duration(8), duration(180), duration(7500), duration(7_680_000)
    ('8 s', '3 min', '2 h 05 min', '89 days')
    """
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    if minutes >= 72 * 60:
        return f"{round(minutes / 1440)} days"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
