"""`visuals bench train`: what is measured, on a training that is far too short."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuals.configs.training import check
from visuals.pipeline.bench import caches, look
from visuals.training.lora import train_lora

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("VISUALS_REFERENCE", ROOT.parent / "shared" / "data")) / "ppzocket"


def drawn(*lightness: float) -> look.Drawn:
    """Pictures that are gray all over."""
    profiles = np.zeros((len(lightness), 4, 3))
    profiles[..., 0] = np.array(lightness)[:, None]
    return look.Drawn(profiles, np.array([True] * len(lightness)))


def test_the_share_of_the_way() -> None:
    profile = np.zeros((4, 3))
    before = {"tagged": drawn(40, 60), "plain": drawn(40, 60)}
    after = {"tagged": drawn(20, 40), "plain": drawn(42, 62)}
    values = look.compare(profile, before, after, [(0, 0.4), (9, 0.3)])
    assert values["train_look"] == pytest.approx(0.4)
    assert values["train_plain"] == pytest.approx(0.04)
    assert values["train_loss"] == pytest.approx(0.75)
    assert values["train_kept"] == 1
    assert after["plain"].moved(before["plain"]) == pytest.approx(2)


@pytest.mark.slow
def test_a_look_from_photos_to_numbers(tmp_path: Path, mini: Path) -> None:
    pytest.importorskip("numba")
    given = {**look.SETTINGS, "max_train_steps": 2, "train_batch_size": 2}
    values, detail = look.measure(given, tmp_path, photos=8, count=1, class_count=8)
    assert (detail["pictures"], detail["steps"]) == (8, 2)
    assert detail["learned"] == 7 + 8  # one of the look is held out
    assert set(values) == {
        "train_loss", "train_look", "train_plain", "train_kept", "train_minutes",
    }  # fmt: skip
    assert abs(values["train_look"]) < 0.1  # two steps move nothing
    assert (tmp_path / "out" / "look.safetensors").is_file()


@pytest.mark.slow
def test_cached_steps_take_less(tmp_path: Path, mini: Path) -> None:
    told = caches.measure("mini/sd", tmp_path, size=64, side=256, batch=4, rounds=5)
    assert told["times"] > 1.2, told


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the method's own photos are not here")
def test_the_real_photos_are_learned(tmp_path: Path, mini: Path) -> None:
    """59 photos of many shapes and their captions: the held-out loss falls."""
    changes: dict[str, Any] = {
        "train_data_dir": str(REAL), "output_dir": str(tmp_path / "out"), "max_train_steps": 60,
        "with_prior_preservation": False, "train_batch_size": 4, "bucket_reso_steps": 32,
    }  # fmt: skip
    done = train_lora(check({**look.SETTINGS, **changes}))
    assert done.pictures + round(0.1 * 59) == 59
    assert done.held_out[-1][1] < 0.95 * done.held_out[0][1]
    found = look.photographed(REAL, 64)
    assert found.tag == "ppzocketv2" and found.profile.shape == (4, 3)
