"""Models kept from call to call, within a LoadedModels only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from visuals.checkpoints import annotators, load
from visuals.checkpoints.loaded_models import LoadedModels, anew
from visuals.configs.errors import UsageError


@pytest.fixture
def models() -> Iterator[tuple[LoadedModels, list[Any]]]:
    loaded: list[Any] = []
    with LoadedModels(on_load=loaded.append) as made:
        yield made, loaded


def test_nothing_is_kept_by_default() -> None:
    assert load.load_segmenter("mini/sam")[0] is not load.load_segmenter("mini/sam")[0]


def test_the_same_call_gets_the_same_model(models: tuple[LoadedModels, list[Any]]) -> None:
    kept, loaded = models
    first = load.load_segmenter("mini/sam")
    assert load.load_segmenter("mini/sam") is first
    depth = annotators.load_depth("mini/depth")
    assert annotators.load_depth("mini/depth") is depth
    assert loaded == [first, depth]
    assert load.load_segmenter("mini/sam", device="cpu") is not first  # other arguments
    kept.release()
    assert annotators.load_depth("mini/depth") is not depth


def test_pipelines_that_share_weights_are_replaced_together(
    models: tuple[LoadedModels, list[Any]],
) -> None:
    base = load.load_text_to_image("mini/sd")
    lead = load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"], base=base)
    assert load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"], base=base) is lead
    assert lead.unet is base.unet
    other = load.load_text_to_image("mini/sd", device="cpu")
    assert other is not base
    again = load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"], base=other)
    assert again is not lead and again.unet is other.unet


def test_a_model_that_cannot_be_loaded_is_not_kept(models: tuple[LoadedModels, list[Any]]) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match="is no verifier"):
            load.load_verifier("mini/sam")
    assert not models[1]


def test_one_cache_at_a_time_and_none_after_it(models: tuple[LoadedModels, list[Any]]) -> None:
    with pytest.raises(RuntimeError, match="another LoadedModels is active"), LoadedModels():
        pass
    models[0].__exit__()
    try:
        first = load.load_segmenter("mini/sam")
        assert load.load_segmenter("mini/sam") is not first
    finally:
        models[0].__enter__()


def test_a_model_that_will_be_changed_is_no_one_elses(
    models: tuple[LoadedModels, list[Any]],
) -> None:
    kept = load.load_segmenter("mini/sam")
    with anew():
        assert load.load_segmenter("mini/sam") is not kept
    assert load.load_segmenter("mini/sam") is kept
