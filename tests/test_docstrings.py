"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "visuals",
    "visuals.checkpoints.hub.pull",
    "visuals.configs.schema",
    "visuals.pipeline.exports.annotate",
    "visuals.benchmarks.caption_accuracy",
    "visuals.pipeline.prompts.product_classes",
    "visuals.pipeline.cli.threshold_sweep",
    "visuals.pipeline.inputs.find_files",
    "visuals.pipeline.runner.run",
    "visuals.pipeline.prompts.vocabulary",
    "visuals.stages.prompts.emphasis",
    "visuals.stages.classes",
    "visuals.stages.regions.mask_ops",
    "visuals.stages.diffusion.passes",
    "visuals.stages.prompts.lora_tags",
    "visuals.stages.prompts.dynamic_prompts",
    "visuals.training.datasets.buckets",
    "visuals.training.datasets.caption_edits",
    "visuals.training.lora.sgm_names",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


def test_every_public_name_is_there() -> None:
    import visuals

    for name in visuals.__all__:
        assert getattr(visuals, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        visuals.nothing  # noqa: B018
