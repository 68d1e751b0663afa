"""The benchmark of GPUs in its smoke mode, and the computed table of docs/gpu.md."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import source

from visuals.benchmarks.gpu import __main__ as command
from visuals.benchmarks.gpu import card_table, peak_memory, weights_table
from visuals.checkpoints.catalog.entry import shipped_entries
from visuals.pipeline.diagnostics import doctor


def test_every_measure_runs_on_a_cpu(mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--smoke"])
    report = json.loads(capsys.readouterr().out)["mini"]
    assert set(report) == {"stages", "grouping", "lora", "precision", "training"}
    values = [one for part in list(report.values())[:-1] for one in part.values()]
    assert len(values) == 14 and all(one["pictures_a_second"] > 0 for one in values)
    assert {one["peak_gib"] for one in values} == {None}, "there is no GPU's memory to read"


def test_the_table_is_what_the_numbers_give() -> None:
    page = (source.ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert card_table.table() in page
    for name, value in card_table.TRACED.items():
        assert f"| {name} | {value:g} |" in page


def test_an_activation_is_traced_as_it_is_written_down() -> None:
    def decode(vae: Any) -> None:
        vae.decode(torch.empty(1, 4, 64, 64, dtype=torch.float16), return_dict=False)

    peak = peak_memory.traced_peak(
        functools.partial(peak_memory.vae, "sd15"), decode, torch.float16
    )
    assert peak == pytest.approx(card_table.TRACED["sd15 vae"], abs=0.01)


def test_a_tensor_counts_while_it_lives_and_once() -> None:
    with peak_memory.PeakMemory() as memory:
        one = torch.zeros(1000)
        two = one.view(10, 100) + 1
        one.add_(1)
        del one
        three = torch.zeros(10)
    assert memory.peak == 8000 and memory.live == 4000 + 40
    assert two.shape == (10, 100) and three.shape == (10,)


@pytest.mark.parametrize(("card", "expected"), [(8, False), (12, True), (80, True)])
def test_an_sdxl_lora_trains_on_12_gb(card: int, expected: bool) -> None:
    assert card_table.training(card, checkpointing=True) is expected


def test_weights_of_large_transformers_are_those_of_the_page_and_the_catalogue() -> None:
    page = (source.ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert weights_table.table() in page
    for name in weights_table.MODELS:
        entry = shipped_entries()[name]
        room = weights_table.ALLOWANCE if entry.kind != "controlnet" else 0
        full, low = weights_table.size(name, "full"), weights_table.denoising(name, "fp8")
        assert entry.memory_gib == round(full + room), name
        assert entry.low_memory_gib == round(low + room), name
    for preset in weights_table.PRESETS:
        part = weights_table.largest_part(preset)
        assert round(part + weights_table.ALLOWANCE) <= doctor.IN_PARTS, preset
