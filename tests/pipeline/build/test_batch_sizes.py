"""Stage 2's batches by the memory of a card, whose counters are made up: there may be none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from visuals.configs.schema import load_settings
from visuals.pipeline.build import batch_sizes, process
from visuals.pipeline.build.stages import build_stages

MIB = 1 << 20


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A card on which each call takes 100 MiB at its peak."""
    sizes = {"free": 0, "peak": 100 * MIB}
    counters = {
        "reset_peak_memory_stats": lambda device: None,
        "memory_allocated": lambda device: 0,
        "memory_reserved": lambda device: 0,
        "max_memory_allocated": lambda device: sizes["peak"],
        "mem_get_info": lambda device: (sizes["free"], 2 * sizes["free"]),
    }
    for name, counter in counters.items():
        monkeypatch.setattr(torch.cuda, name, counter)
    return sizes


def test_as_many_as_fit_into_four_fifths_of_what_is_free(mini: Path, card: dict[str, int]) -> None:
    stages: Any = build_stages(load_settings("mini"), ("detect", "segment"))
    asked = stages.segment.batch_size
    for free, fits in ((2000, asked), (1000, 8), (100, 1)):
        stages.detect.batch_size = stages.segment.batch_size = asked
        card["free"] = free * MIB
        batch_sizes.fit(stages, "cuda")
        assert (stages.detect.batch_size, stages.segment.batch_size) == (fits, fits)
    stages.detect.batch_size = asked
    batch_sizes.fit(stages, "cpu")
    assert stages.detect.batch_size == asked, "on a CPU they are as asked"


def test_one_picture_that_does_not_fit_leaves_one_at_a_time(
    mini: Path, card: dict[str, int]
) -> None:
    stages: Any = build_stages(load_settings("mini"), ("detect", "segment"))

    def full(module: Any, args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    card["free"] = 1000 * MIB
    stages.segment.model.vision_encoder.register_forward_pre_hook(full)
    batch_sizes.fit(stages, "cuda")
    assert (stages.detect.batch_size, stages.segment.batch_size) == (8, 1)


def test_a_program_computes_in_tf32_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        for device, expected in (("cpu", before), ("cuda", "high")):
            monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
            monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
            process.prepare(load_settings("mini", {"run.device": device}), ())
            assert torch.get_float32_matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision(before)
