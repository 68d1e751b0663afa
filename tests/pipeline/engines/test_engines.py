"""What a run on many machines rests on, without a cluster: what is handed out, what fits, what is
said. The cluster itself is in test_ray.py."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from visuals.benchmarks import crash_recovery
from visuals.pipeline.cli import main
from visuals.pipeline.engines.ray_cluster import (
    ClusterError,
    EngineError,
    Pool,
    connected,
    fit,
    place,
)
from visuals.pipeline.engines.work_queue import DEATHS, WorkQueue
from visuals.pipeline.inputs import shots
from visuals.pipeline.runner.summary import MOST_ERRORS, Summary


def shares(count: int, batch_size: int) -> WorkQueue:
    return WorkQueue(shots.prompted(["mug"], count, prompt="x"), batch_size)


def ids(shots: Any) -> list[str]:
    return [shot.id[-1] for shot in shots]


def node(cpu: float, gpu: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpu, "GPU": gpu}}


# --- what is handed out


def test_shares_come_in_order_and_end() -> None:
    left = shares(5, 2)
    assert (len(left), left.count) == (5, 3)
    assert [ids(left.take(idle=False)) for _ in range(4)] == [["1", "2"], ["3", "4"], ["5"], []]
    assert (len(left), left.count) == (0, 0)


def test_what_was_in_hand_at_a_death_comes_back_one_by_one_to_the_idle() -> None:
    left = shares(5, 2)
    share = left.take(idle=True)
    assert not left.suspect(share) and left.lost(share) == []
    assert (len(left), left.count) == (5, 4)
    assert left.take(idle=False) == []
    first = left.take(idle=True)
    assert ids(first) == ["1"] and left.suspect(first)
    assert ids(left.take(idle=True)) == ["2"]
    assert ids(left.take(idle=False)) == ["3", "4"]


def test_a_picture_that_kills_is_given_up_and_its_neighbour_is_not() -> None:
    left = shares(2, 2)
    left.lost(left.take(idle=True))
    for death in range(2, DEATHS + 1):
        poison = next(s for s in (left.take(idle=True), left.take(idle=True)) if ids(s) == ["1"])
        assert ids(left.lost(poison)) == (["1"] if death == DEATHS else [])
    assert left.take(idle=True) == []


def test_summaries_add_up() -> None:
    one, other = Summary(kept=1, seconds=5.0), Summary(kept=2, failed=1, seconds=7.0)
    one.errors, other.errors = ["a"] * (MOST_ERRORS - 1), ["b", "c"]
    one.skipped["blank"], other.skipped["blank"] = 1, 2
    one.per_stage, other.per_stage = {"detect": 1.0}, {"detect": 2.0, "load": 3.0}
    one.batch_sizes, other.batch_sizes = {"detect": 2}, {"detect": 4, "segment": 1}
    one.add(other)
    assert (one.kept, one.failed, one.total, one.seconds) == (3, 1, 7, 5.0)
    assert one.errors[-2:] == ["a", "b"] and one.skipped["blank"] == 3
    assert one.per_stage == {"detect": 3.0, "load": 3.0}
    assert one.batch_sizes == {"detect": 2, "segment": 1}


# --- what fits


@pytest.mark.parametrize(
    ("nodes", "asked", "device", "expected"),
    [
        ([node(2)], Pool(), "auto", Pool(1, 2.0, 0.0)),
        ([node(64)], Pool(), "auto", Pool(16, 4.0, 0.0)),
        ([node(8), node(8, alive=False)], Pool(cpus=2), "auto", Pool(4, 2, 0.0)),
        ([node(16, 1), node(8, 2), node(4)], Pool(), "auto", Pool(3, 4.0, 1.0)),
        ([node(16, 1)], Pool(gpus=0.5), "auto", Pool(2, 4.0, 0.5)),
        ([node(4, 4)], Pool(), "cuda", Pool(4, 1.0, 1.0)),
        ([node(4, 4)], Pool(), "cpu", Pool(1, 4.0, 0.0)),
        ([], Pool(workers=3), "cuda", Pool(3, 1.0, 1.0)),
    ],
)
def test_what_is_left_open_follows_the_machines(
    nodes: list[dict[str, Any]], asked: Pool, device: str, expected: Pool
) -> None:
    assert fit(nodes, asked, device) == expected


@pytest.mark.parametrize(
    ("asked", "device", "said"),
    [
        (
            Pool(cpus=8),
            "auto",
            "a worker needs 8 CPU: the machines of the cluster have 2 CPU and 0 GPU",
        ),
        (Pool(), "cuda", "a worker needs 1 CPU and 1 GPU"),
        (Pool(gpus=1), "cpu", "--gpus-per-worker 1 with --device cpu"),
        (Pool(gpus=0), "cuda", "--gpus-per-worker 0"),
        (Pool(gpus=1.5), "auto", "--gpus-per-worker 1.5: expected below 1, or a whole number"),
        (Pool(), "cuda:1", "--device cuda:1: Ray gives each worker its GPU"),
    ],
)
def test_what_does_not_fit_is_said(asked: Pool, device: str, said: str) -> None:
    with pytest.raises(EngineError) as error:
        fit([node(2)], asked, device)
    assert said in str(error.value)


def test_more_workers_than_fit_wait_and_that_is_said() -> None:
    warned: list[str] = []
    assert fit([node(2)], Pool(5, 1.0), "auto", warned.append).workers == 5
    assert warned == ["--workers 5: there is room for 2 of 1 CPU; the others wait"]


# --- what is said


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert place(None) == "local"
    for given in ("auto", "10.0.0.1:6379", "ray://head:10001"):
        assert place(given) == given
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert place(None) == "head:6379" and place("local") == "local"
    with pytest.raises(EngineError, match="--address 'head': expected local, auto"):
        place("head")


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'product-visuals[ray]'"
)
def test_nobody_at_an_address_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=f"no Ray cluster answers at {address}"),
            connected(address, Pool()),
        ):
            pass


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'product-visuals[ray]'"
)
def test_a_cluster_that_was_killed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(address)
        with (
            pytest.raises(ClusterError, match=f"no Ray cluster answers at {address}"),
            connected("auto", Pool()),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "2"], "--workers needs Ray: add --engine ray"),
        (["--address", "auto"], "--address needs Ray"),
        (["--engine", "ray", "--address", "nowhere"], "--address 'nowhere': expected local"),
        (["--engine", "ray", "--gpus-per-worker", "nan"], "gpus_per_worker nan: should be a"),
        (["--engine", "ray", "--sweep"], "--sweep with --engine ray: expected one of them"),
        (["--out", "s3://bucket"], "s3://bucket: expected a folder, s3://bucket/folder or"),
        (["--out", "s3://b/x", "--annotate", "coco"], "--annotate with --out s3://b/x: expected"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], said: str, tmp_path: Path) -> None:
    crash_recovery.photos(tmp_path, 1, 8)
    result = CliRunner().invoke(main, ["filter", str(tmp_path), "--class", "mug", *options])
    assert result.exit_code == 2 and said in result.stderr + str(result.exception)


def test_without_ray_a_sentence_says_how_to_get_it(tmp_path: Path) -> None:
    without = "import sys; sys.modules['ray'] = None; from visuals.pipeline.cli import main; main()"
    arguments = ["generate", "--class", "mug", "--engine", "ray", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", without, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "visuals: ray is not installed; pip install 'product-visuals[ray]'\n"
    assert not (tmp_path / "out").exists()
