"""`visuals bench train`: what is measured, on a training that is far too short."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuals.benchmarks.training import lora_style, lora_style_data, training_cache
from visuals.configs.train import check
from visuals.training.train_lora import train_lora

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("VISUALS_REFERENCE", ROOT.parent / "shared" / "data")) / "ppzocket"


def drawn(light: float) -> lora_style.Drawn:
    """Pictures that lie about one lightness."""
    spread = np.random.default_rng(4).normal(0, 3, (120, 18))
    return lora_style.Drawn(spread + [light, *[0] * 17], np.array([True, False] * 60))


def test_the_share_of_the_way() -> None:
    aim = np.random.default_rng(5).normal(0, 3, (120, 18))
    before = {"tagged": drawn(20), "plain": drawn(20)}
    after = {"tagged": drawn(10), "plain": drawn(20.5)}
    values, detail = lora_style.compare(aim, before, after, [(0, 0.4), (9, 0.3)])
    assert 0.3 < values["train_look"] < 0.6 and values["train_plain"] < 0.05
    assert detail["gain"]["plain"] < 0  # away from it
    assert values["train_loss"] == pytest.approx(0.75)
    assert values["train_kept"] == 0.5
    assert detail["moved"]["plain"] == pytest.approx(0.5)
    assert detail["moved"]["tagged"] == pytest.approx(10)
    low, high = detail["gain_95"]["tagged"]
    assert low < values["train_look"] < high


@pytest.mark.slow
@pytest.mark.usefixtures("renderer")
def test_a_look_from_photos_to_numbers(tmp_path: Path, mini: Path) -> None:
    pytest.importorskip("numba")
    given = {"max_train_steps": 2, "train_batch_size": 2}
    values, detail = lora_style.measure(given, tmp_path, photos=8, count=1, class_count=8)
    assert (detail["pictures"], detail["steps"]) == (8, 2)
    assert detail["learned"] == 7 + 8  # one of the look is held out
    assert set(values) == {
        "train_loss", "train_look", "train_plain", "train_kept", "train_minutes",
    }  # fmt: skip
    assert abs(values["train_look"]) < 0.1  # two steps move nothing
    assert (tmp_path / "out" / "look.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.alone
def test_cached_steps_take_less(tmp_path: Path, mini: Path) -> None:
    told = training_cache.measure("mini/sd", tmp_path, size=64, side=256, batch=4, rounds=5)
    assert told["times"] > 1.2, told


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the method's own photos are not here")
def test_the_real_photos_are_learned(tmp_path: Path, mini: Path) -> None:
    """59 photos of many shapes and their captions: the held-out loss falls."""
    changes: dict[str, Any] = {
        "train_data_dir": str(REAL), "output_dir": str(tmp_path / "out"), "max_train_steps": 60,
        "with_prior_preservation": False, "train_batch_size": 4, "bucket_reso_steps": 32,
    }  # fmt: skip
    done = train_lora(check({**lora_style.SETTINGS, **changes}))
    assert done.pictures + round(0.1 * 59) == 59
    assert done.held_out[-1][1] < 0.95 * done.held_out[0][1]
    found = lora_style_data.photographed(REAL, 64)
    assert found.tag == "ppzocketv2" and found.statistics.shape == (59, 18)
