"""Compiled blocks draw what the others draw, beside what is done once and what rests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from visuals.configs.schema import load_settings
from visuals.pipeline.build import stages as build_stages_module
from visuals.stages.accel import compile
from visuals.stages.shot import Detection, FileInput, Shot


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a compiler")
def test_compiled_blocks_draw_the_same(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    mask = np.zeros((96, 96), bool)
    mask[20:60, 30:70] = True
    found = (Detection((30.0, 20.0, 70.0, 60.0), 0.9, "mug", mask),)
    shot = Shot("a", FileInput("a.png", 0), ("mug",), image=image, detections=found)
    results = []
    for compile_ in (False, True):
        changes = {"rerender.steps": 4, "rerender.prompt": "a mug", "run.torch_compile": compile_}
        stage = build_stages_module.build_stages(
            load_settings("mini", changes), ("rerender",)
        ).rerender
        assert stage is not None
        (done,) = stage([shot])
        assert done.result is not None and done.failure is None
        results.append(done.result.astype(int))
    assert (results[0] != image).any()
    assert np.abs(results[0] - results[1]).max() <= 2
    assert list(tmp_path.iterdir()), "what was compiled is kept"


def test_without_a_compiler_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(compile.NoCompilerError, match=r"needs a C\+\+ compiler"):
        compile.blocks(torch.nn.Linear(2, 2))
