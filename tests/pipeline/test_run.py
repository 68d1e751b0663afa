"""The runner: order, retries, one bad shot, progress, and that it streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from stand_ins import STAGES, draw, find, prompted

from visuals.pipeline.run import Stages, Summary, run_shots, shot_seed
from visuals.stages.shot import Shot


def test_every_shot_comes_out_once_in_its_state() -> None:
    summary = Summary()
    shots = [prompted("even", 2), prompted("odd", 1), prompted("bad", 13)]
    out = {s.id: s for s in run_shots(shots, STAGES, summary=summary, batch_size=1)}
    assert {k: s.status for k, s in out.items()} == {
        "even": "enhanced",
        "odd": "skipped",
        "bad": "failed",
    }
    assert out["bad"].failure is not None and out["bad"].failure.where == "generate"
    assert set(out["even"].seconds) == {"generate", "detect", "rerender"}
    record = summary.as_dict()
    assert (record["total"], record["made"], record["failed"]) == (3, 2, 1)
    assert record["skipped"] == {"no_detection": 1}
    assert record["errors"] == ["bad: generate: RuntimeError: out of paint"]


def test_without_stage_3_what_was_found_is_kept() -> None:
    (shot,) = run_shots([prompted("a", 2)], Stages(generate=draw, detect=find))
    assert shot.status == "kept" and shot.result is None


def test_a_refused_drawing_is_drawn_again_with_another_seed() -> None:
    seeds = [shot_seed(0, "a", k) for k in range(20)]
    first_even = next(k for k in range(1, 20) if seeds[k] % 2 == 0)
    summary = Summary()
    (shot,) = run_shots([prompted("a", 1)], STAGES, retries=20, summary=summary)
    assert shot.status == "enhanced" and shot.seed == seeds[first_even]
    assert summary.retried == first_even and shot.metrics["attempts"] == first_even + 1
    (shot,) = run_shots([prompted("a", 1)], STAGES, retries=0)
    assert shot.status == "skipped"


def test_photos_are_never_drawn_again() -> None:
    empty = replace(prompted("a"), image=np.zeros((8, 8, 3), np.uint8))
    (shot,) = run_shots([empty], Stages(detect=find), retries=5)
    assert shot.status == "skipped"


def test_it_streams_a_batch_at_a_time() -> None:
    drawn: list[str] = []

    def watched(shots: Sequence[Shot]) -> list[Shot]:
        drawn.extend(s.id for s in shots)
        return draw(shots)

    stages = Stages(generate=watched, detect=find)
    stream: Iterator[Shot] = run_shots(
        [prompted(f"{k}", 2) for k in range(6)], stages, batch_size=2
    )
    next(stream)
    assert drawn == ["0", "1"]
    assert len(list(stream)) == 5


def test_a_stage_gets_open_shots_only_in_its_own_batches() -> None:
    class Sized:
        batch_size = 2

        def __init__(self) -> None:
            self.sizes: list[int] = []

        def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
            self.sizes.append(len(shots))
            return find(shots)

    sized = Sized()
    shots = [prompted(f"{k}", 13 if k == 0 else 2) for k in range(6)]

    def each(batch: Sequence[Shot]) -> list[Shot]:
        return [s.fail(ValueError("x"), "g") if s.seed == 13 else draw([s])[0] for s in batch]

    list(run_shots(shots, Stages(generate=each, detect=sized), batch_size=6))
    assert sized.sizes == [2, 2, 1]


def test_progress_ends_where_every_stage_is_through() -> None:
    last: dict[str, tuple[int, int]] = {}

    def tell(name: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        last[name] = done, total

    shots = [prompted("a", 2), prompted("b", 1), prompted("c", 4)]
    list(run_shots(shots, STAGES, progress=tell, retries=2))
    assert all(done == total for done, total in last.values())
    assert set(last) == {"generate", "detect", "rerender"}


def test_seeds_depend_on_run_shot_and_attempt() -> None:
    seeds = {shot_seed(r, i, a) for r in (0, 1) for i in ("a", "b") for a in (0, 1)}
    assert len(seeds) == 8 and all(0 <= s < 2**32 for s in seeds)


def test_stopping_is_not_swallowed() -> None:
    def stop(shots: Sequence[Shot]) -> list[Shot]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_shots([prompted("a")], Stages(generate=stop)))
