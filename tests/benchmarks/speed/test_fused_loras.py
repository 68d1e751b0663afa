"""The benchmark of fused LoRAs, at its smallest."""

from __future__ import annotations

from pathlib import Path

from visuals.benchmarks.speed import fused_loras


def test_each_state_is_measured(mini: Path) -> None:
    found = fused_loras.measure(repeats=1)
    assert set(found) == {"without", "attached", "fused", "fusing", "the way back"}
    assert all(milliseconds > 0 for milliseconds in found.values())
