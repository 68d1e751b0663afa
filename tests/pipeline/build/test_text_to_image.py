"""The pipeline of stage 1 in a process that keeps its models, as the studio's worker does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from visuals.checkpoints.loaded_models import LoadedModels
from visuals.configs.schema import load_settings
from visuals.pipeline.build.text_to_image import text_to_image

LORA = {"generate.base_loras": [{"model": "mini/loras", "weight_name": "ppzmini.safetensors"}]}


@pytest.mark.usefixtures("mini")
def test_a_base_lora_is_merged_once_and_leaves_other_runs_alone() -> None:
    def weights(**changes: Any) -> dict[str, torch.Tensor]:
        settings = load_settings("mini", changes)
        pipe = text_to_image(settings, device="cpu", dtype=torch.float32, report=said.append)
        return {name: value.clone() for name, value in pipe.unet.state_dict().items()}

    def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(one[name], other[name]) for name in one)

    said: list[str] = []
    with LoadedModels():
        plain, merged, twice, after = (weights(**c) for c in ({}, LORA, LORA, {}))
    assert not equal(plain, merged) and equal(merged, twice) and equal(plain, after)
    assert said.count("loading mini/loras") == 2
