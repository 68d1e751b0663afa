"""The runner: order, retries, one bad shot, progress, and that it streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from helpers.stand_ins import STAGES, draw, find, prompted

from visuals.pipeline.runner.run import Stages, Summary, fitted, run_shots
from visuals.stages import adaptive_batching
from visuals.stages.shot import Shot, shot_seed
from visuals.stages.stage import FunctionStage


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
    (shot,) = run_shots(
        [prompted("a", 2)], Stages(generate=FunctionStage(draw), detect=FunctionStage(find))
    )
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
    (shot,) = run_shots([empty], Stages(detect=FunctionStage(find)), retries=5)
    assert shot.status == "skipped"


def test_it_streams_a_batch_at_a_time() -> None:
    drawn: list[str] = []

    def watched(shots: Sequence[Shot]) -> list[Shot]:
        drawn.extend(s.id for s in shots)
        return draw(shots)

    stages = Stages(generate=FunctionStage(watched), detect=FunctionStage(find))
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

    list(run_shots(shots, Stages(generate=FunctionStage(each), detect=sized), batch_size=6))
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
        list(run_shots([prompted("a")], Stages(generate=FunctionStage(stop))))


def test_once_asked_to_stop_it_begins_no_more() -> None:
    out: list[str] = []
    shots = [prompted(f"{k}", 2) for k in range(9)]
    for shot in run_shots(shots, STAGES, batch_size=2, stop=lambda: len(out) >= 3):
        out.append(shot.id)
    assert out == ["0", "1", "2", "3"]


def test_files_are_read_ahead_but_not_all_of_them() -> None:
    read: list[str] = []

    def load(shots: Sequence[Shot]) -> list[Shot]:
        read.extend(s.id for s in shots)
        return draw(shots)

    stages = Stages(load=load, detect=FunctionStage(find))
    stream = run_shots([prompted(f"{k:02}", 2) for k in range(40)], stages, batch_size=4)
    first = next(stream)
    assert first.status == "kept" and first.seconds["load"] >= 0
    assert len(read) <= 10  # a batch in hand, a batch ahead, and what was just taken up
    assert [s.id for s in stream] == [f"{k:02}" for k in range(1, 40)]


def test_the_first_batches_are_small() -> None:
    sizes: list[int] = []

    def count(shots: Sequence[Shot]) -> list[Shot]:
        sizes.append(len(shots))
        return list(shots)

    shots = [prompted(f"{k}", 2) for k in range(70)]
    list(
        run_shots(
            shots, Stages(generate=FunctionStage(draw), verify=FunctionStage(count)), batch_size=32
        )
    )
    assert sizes == [8, 16, 32, 14]


def test_large_pictures_go_in_smaller_batches() -> None:
    sizes: list[int] = []

    def load(shots: Sequence[Shot]) -> list[Shot]:
        # no memory is used: one row, seen again and again
        wide = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (5_000, 5_000, 3))
        return [replace(shot, image=wide) for shot in shots]

    def count(shots: Sequence[Shot]) -> list[Shot]:
        sizes.append(len(shots))
        return list(shots)

    shots = [prompted(f"{k}", 2) for k in range(7)]
    done = list(run_shots(shots, Stages(load=load, verify=FunctionStage(count)), batch_size=6))
    assert [s.id for s in done] == [s.id for s in shots]
    assert sizes == [3, 3, 1]  # 25 megapixels each, 64 are enough


def test_a_file_that_breaks_its_reader_fails_alone() -> None:
    shots = [prompted("a", 2), prompted("bad", 13), prompted("c", 2)]
    out = {
        s.id: s
        for s in run_shots(shots, Stages(load=draw, detect=FunctionStage(find)), batch_size=3)
    }
    assert out["bad"].failure is not None and out["bad"].failure.where == "load"
    assert out["a"].status == out["c"].status == "kept"


def test_a_batch_that_is_too_large_is_told_once() -> None:
    class Small:
        batch_size = 8

        def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
            return adaptive_batching.apply(shots, self.work, where="detect", stage=self)

        def work(self, shots: list[Shot]) -> list[Shot]:
            if len(shots) > 2:
                raise MemoryError
            return find(shots)

    told: list[tuple[str, int]] = []
    summary = Summary()
    shots = [prompted(f"{k}", 2) for k in range(20)]
    out = run_shots(
        shots,
        Stages(generate=FunctionStage(draw), detect=Small()),
        summary=summary,
        smaller=lambda name, size: told.append((name, size)),
    )
    assert [s.status for s in out] == ["kept"] * 20
    assert told == [("detect", 2)] and summary.as_dict()["batch_sizes"] == {"detect": 2}


def photo(number: int) -> Shot:
    (drawn,) = draw([prompted(f"{number}", number)])
    return drawn


def test_parts_of_batches_go_at_once_and_come_out_in_order() -> None:
    threads: dict[str, str] = {}
    first, second = threading.Event(), threading.Event()

    def watched(shots: Sequence[Shot]) -> list[Shot]:
        for shot in shots:
            threads[shot.id] = threading.current_thread().name
        if shots[0].id == "0":  # it waits for the part beside it, which began after it
            first.set()
            assert second.wait(10)
        else:
            assert first.wait(10)
            second.set()
        return find(shots)

    summary, seen = Summary(), list[tuple[str, int, int]]()
    last: list[list[str]] = []

    def whole(shots: Sequence[Shot]) -> list[Shot]:
        last.append([shot.id for shot in shots])
        return list(shots)

    out = list(
        run_shots(
            [photo(2 * k) for k in range(15)],
            Stages(detect=FunctionStage(watched), rerender=FunctionStage(whole), parallel_parts=2),
            batch_size=6,
            summary=summary,
            progress=lambda *told: seen.append(told),
        )
    )
    ids = [f"{2 * k}" for k in range(15)]
    assert [shot.id for shot in out] == ids
    assert [len(shot.batch) for shot in out] == [6] * 12 + [3] * 3
    assert threads["0"] != threads["6"] and "MainThread" not in threads.values()
    assert last == [ids[:6], ids[6:12], ids[12:]], "stage 3 has whole batches"
    assert summary.total == 15 and summary.per_stage["detect"] > 0
    assert ("detect", 15, 15) in seen and seen[-1] == ("rerender", 15, 15)


def test_one_shot_has_the_main_thread_and_all_cores() -> None:
    names: list[str] = []

    def watched(shots: Sequence[Shot]) -> list[Shot]:
        names.append(threading.current_thread().name)
        return find(shots)

    *_, shot = run_shots(
        [photo(2 * k) for k in range(3)],
        Stages(detect=FunctionStage(watched), parallel_parts=2),
        batch_size=2,
    )
    assert shot.status == "kept" and names[-1] == "MainThread" and names.count("MainThread") == 1


def test_several_batches_at_once_stop_when_asked_and_when_left() -> None:
    begun: list[str] = []

    def watched(shots: Sequence[Shot]) -> list[Shot]:
        begun.extend(shot.id for shot in shots)
        return find(shots)

    stages, shots = (
        Stages(detect=FunctionStage(watched), parallel_parts=2),
        [photo(2 * k) for k in range(40)],
    )
    out: list[str] = []
    for shot in run_shots(shots, stages, batch_size=4, stop=lambda: len(out) >= 3):
        out.append(shot.id)
    assert len(out) in (4, 8) and sorted(begun) == sorted(out), "what was begun comes out"
    out.clear()
    drawn = replace(stages, rerender=FunctionStage(list))
    for shot in run_shots(shots, drawn, batch_size=4, stop=lambda: len(out) >= 3):
        out.append(shot.id)
    assert len(out) == 4, "what stage 2 found ahead of stage 3 is not drawn"
    begun.clear()
    left = run_shots(shots, stages, batch_size=4)
    next(left)
    left.close()
    assert len(begun) <= 12


def test_a_batch_too_large_is_told_once_and_counted_with_several_at_once() -> None:
    class Small:
        batch_size = 4

        def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
            def work(part: list[Shot]) -> list[Shot]:
                if len(part) > 2:
                    raise MemoryError
                return find(part)

            return adaptive_batching.apply(shots, work, where="detect", stage=self)

    told: list[tuple[str, int]] = []
    summary = Summary()
    done = run_shots(
        [photo(2 * k) for k in range(24)],
        Stages(detect=Small(), parallel_parts=2),
        batch_size=8,
        summary=summary,
        smaller=lambda *said: told.append(said),
    )
    assert {shot.status for shot in done} == {"kept"}
    assert told[-1] in (("detect", 2), ("detect", 1)) and len(told) <= 2
    assert summary.batch_sizes["detect"] <= 2


def test_sizes_that_fitted_hold_and_where_one_was_all_nothing_goes_beside_it() -> None:
    class Sized:
        batch_size = 8

        def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
            return find(shots)

    stages = Stages(detect=Sized(), segment=Sized(), parallel_parts=2)
    assert fitted(stages, {}).parallel_parts == 2
    two = fitted(stages, {"detect": 2, "rerender": 4})
    assert (two.detect.batch_size, two.segment.batch_size, two.parallel_parts) == (2, 8, 2)  # type: ignore[union-attr]
    assert fitted(stages, {"segment": 1}).parallel_parts == 1
