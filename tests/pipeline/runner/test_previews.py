"""Previews: what has come out of each stage is shown; the shots are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from helpers.stand_ins import STAGES, prompted

from visuals.pipeline.runner.previews import previewed
from visuals.pipeline.runner.run import Stages, fitted, run_shots
from visuals.stages.shot import Shot

SHOTS = [prompted("even", 2), prompted("odd", 1), prompted("bad", 13)]


def test_shots_are_shown_after_each_stage_and_stay_the_same() -> None:
    seen: list[tuple[str, list[str]]] = []

    def show(stage: str, shots: Sequence[Shot]) -> None:
        seen.append((stage, [f"{shot.id} {len(shot.detections)}" for shot in shots]))
        raise OSError("disk full")  # of a preview only

    plain = list(run_shots(SHOTS, STAGES, batch_size=1))
    shown = list(run_shots(SHOTS, previewed(STAGES, show), batch_size=1))
    assert [replace(shot, seconds={}) for shot in shown] == [
        replace(shot, seconds={}) for shot in plain
    ]
    assert seen == [
        ("generate", ["even 0"]),
        ("detect", ["even 1"]),
        ("generate", ["odd 0"]),
        ("detect", ["odd 0"]),
    ]


def test_batch_sizes_are_those_of_the_stage_within() -> None:
    stages = previewed(STAGES, lambda stage, shots: None)
    before = STAGES.generate.batch_size if STAGES.generate else 0
    fitted(stages, {"generate": 3})
    assert STAGES.generate is not None and STAGES.generate.batch_size == 3
    STAGES.generate.batch_size = before


def test_photos_that_are_only_filtered_are_not_shown_before_they_are_finished() -> None:
    stages = Stages(detect=STAGES.detect)
    assert previewed(stages, lambda stage, shots: None) is stages
