"""The comparison with the baseline: its pictures are those of a run, so that the work is equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from visuals.benchmarks.speed import throughput
from visuals.configs.schema import load_settings


@pytest.mark.slow
def test_the_baseline_draws_the_same_pictures(tmp_path: Path, mini_is_trained: bool) -> None:
    if not mini_is_trained:
        pytest.skip("needs models that find something")
    change = {"rerender.steps": 4, "rerender.cache_interval": 1}
    found = throughput.compare(
        load_settings("mini", change),
        tmp_path,
        preset="mini",
        class_="mug",
        count=2,
        changes=tuple(f"{name}={value}" for name, value in change.items()),
    )
    assert found["found"] == found["baseline_found"] == 2
    assert found["psnr_inside"] >= 35
    assert found["cpu_seconds_a_picture"] > 0 and found["baseline_cpu_seconds_a_picture"] > 0
