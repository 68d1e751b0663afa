"""Ahead and behind: order, bounds, errors."""

from __future__ import annotations

import threading
import time

import pytest

from visuals.pipeline.runner.io_threads import BackgroundWriter, prefetch


def test_ahead_keeps_the_order_and_is_no_farther_than_its_depth() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.002 * (number % 3))
        return number

    most = 0
    for taken, number in enumerate(prefetch(range(30), work, depth=4)):
        assert taken == number
        time.sleep(0.001)
        most = max(most, len(begun) - taken)
    assert len(begun) == 30 and most <= 6  # depth, the one that was handed over, the next asked for


def test_ahead_begins_nothing_while_what_is_done_weighs_too_much() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number

    for taken, _ in enumerate(prefetch(range(12), work, depth=10, weigh=lambda done: 5, most=9)):
        time.sleep(0.01)
        assert len(begun) - taken <= 4  # two of weight, one too many, and the one handed over
    assert len(begun) == 12


def test_ahead_raises_where_its_turn_is_and_ends() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number

    seen = []
    with pytest.raises(ValueError, match="two"):
        for number in prefetch(range(9), work, depth=3):
            seen.append(number)
    assert seen == [0, 1]


def test_behind_finishes_all_in_order() -> None:
    done: list[int] = []

    def prepare(number: int) -> int:
        time.sleep(0.003 * (number % 3))
        return number

    with BackgroundWriter(prepare, done.append, depth=3, threads=3) as sink:
        for number in range(20):
            sink.put(number)
    assert done == list(range(20))


def test_behind_waits_while_it_is_full() -> None:
    gate = threading.Event()
    put: list[int] = []

    def hand_over() -> None:
        with BackgroundWriter(lambda x: gate.wait(10), lambda x: None, depth=2) as sink:
            for number in range(5):
                sink.put(number)
                put.append(number)

    thread = threading.Thread(target=hand_over)
    thread.start()
    time.sleep(0.3)
    assert put == [0, 1]
    gate.set()
    thread.join(10)
    assert put == [0, 1, 2, 3, 4]


def test_behind_waits_while_what_waits_weighs_too_much() -> None:
    gate = threading.Event()
    put: list[int] = []

    def hand_over() -> None:
        with BackgroundWriter(
            lambda x: gate.wait(10), lambda x: None, depth=9, weigh=lambda x: x, most=8
        ) as sink:
            for number in (3, 5, 1, 20, 2):
                sink.put(number)
                put.append(number)

    thread = threading.Thread(target=hand_over)
    thread.start()
    time.sleep(0.3)
    assert put == [3, 5]
    gate.set()
    thread.join(10)
    assert put == [3, 5, 1, 20, 2], "what is too heavy goes alone"


@pytest.mark.parametrize("where", ["prepare", "finish"])
def test_behind_ends_at_the_first_error(where: str) -> None:
    done: list[int] = []

    def bad(number: int) -> int:
        if number == 3:
            raise OSError("disk full")
        return number

    def finish(number: int) -> None:
        done.append(bad(number) if where == "finish" else number)

    put = 0
    with (
        pytest.raises(OSError, match="disk full"),
        BackgroundWriter(bad if where == "prepare" else int, finish, depth=2) as sink,
    ):
        for number in range(1000):
            sink.put(number)
            put += 1
    assert done == [0, 1, 2] and put < 10


def test_behind_drops_what_waits_when_it_is_stopped_at_once() -> None:
    done: list[int] = []
    gate = threading.Event()
    threading.Timer(0.2, gate.set).start()

    def prepare(number: int) -> int:
        gate.wait(10)
        return number

    with pytest.raises(KeyboardInterrupt), BackgroundWriter(prepare, done.append, depth=50) as sink:
        for number in range(50):
            sink.put(number)
        raise KeyboardInterrupt
    assert done in ([], [0])
