"""The form of the tab Create as a request."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.configs.schema import load_settings
from visuals.pipeline.web.tabs.create import NONE, request_of


def words(**changes: Any) -> str:
    g, r = load_settings("mini").generate, load_settings("mini").rerender
    usual = {
        "classes": ["mug"], "prompt": g.prompt, "edit": "", "count": 4, "preset": "mini",
        "seed": 0, "negative": g.negative_prompt, "width": g.width, "height": g.height,
        "sampler": g.sampler, "steps": g.steps, "cfg": g.cfg_scale, "strength": r.strength,
        "refiner": NONE, "noise": 0.8,
    }  # fmt: skip
    assert list(usual) == list(inspect.signature(request_of).parameters)
    return str(request_of(**{**usual, **changes}))


def test_the_untouched_form_names_nothing_but_class_and_count() -> None:
    assert words() == "visuals run --class mug --count 4"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": "a {class}"}, "--prompt 'a {class}'"),
        ({"edit": " red "}, "--edit red"),
        ({"seed": 7.0}, "--seed 7"),
        ({"strength": 0.5}, "--strength 0.5"),
        ({"steps": 8}, "--set generate.steps=8 --set rerender.steps=8"),
        ({"sampler": "DDIM"}, "--set generate.sampler=DDIM"),
        ({"width": 256.0}, "--set generate.width=256"),
        ({"cfg": 7}, "--set generate.cfg_scale=7.0"),
        ({"refiner": "a/refiner"}, "--set refiner.model=a/refiner"),
        ({"refiner": "a/refiner", "noise": 0.7}, "--set refiner.high_noise_frac=0.7"),
        ({"negative": "blur"}, "--negative-prompt blur"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], text: str) -> None:
    assert text in words(**changes)


@pytest.mark.parametrize(("count", "shown"), [(0, 1), (5000, 1000), (None, 1)])
def test_the_count_is_held_within_its_limits(count: float, shown: int) -> None:
    assert f"--count {shown}" in words(count=count)


def test_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="no product class"):
        words(classes=[])
