"""What the tests of the command line share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of embedded models that holds their words and no weights but a LoRA's."""
    import numpy as np
    from safetensors.numpy import save_file

    from visuals.samples.vocabulary import words

    folder = tmp_path / "mini"
    for name in ("sd", "grounding-dino", "sam", "classifier", "controlnet-canny", "loras"):
        (folder / name).mkdir(parents=True)
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    halves = {f"{layer}.lora_{half}.weight": np.ones((2, 2)) for half in ("down", "up")}
    save_file(halves, folder / "loras" / "ppzmini.safetensors")
    (folder / "words.json").write_text(json.dumps(words()))
    monkeypatch.setenv("VISUALS_MINI", str(folder))
    return folder
