"""The form of the tab Create as a request."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

import gradio
from helpers.scripted_worker import EndingWorker

from visuals.configs.schema import load_settings
from visuals.pipeline.jobs.plan import plan_shots
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import resolve
from visuals.pipeline.web.page import studio
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.queue.job_queue import JobQueue
from visuals.pipeline.web.tabs.create.form import NONE, request_of


def words(**changes: Any) -> str:
    g, r = load_settings("mini").generate, load_settings("mini").rerender
    usual = {
        "classes": ["mug"], "prompt": g.prompt, "edit": "", "count": 4, "preset": "mini",
        "seed": 5, "negative": g.negative_prompt, "width": g.width, "height": g.height,
        "sampler": g.sampler, "steps": g.steps, "cfg": g.cfg_scale, "strength": r.strength,
        "refiner": NONE, "noise": 0.8, "more": "", "cutout": "",
    }  # fmt: skip
    assert list(usual) == list(inspect.signature(request_of).parameters)
    return str(request_of(**{**usual, **changes}))


def test_the_untouched_form_names_nothing_but_class_count_and_seed() -> None:
    assert words() == "visuals run --class mug --count 4 --set generate.first_seed=5"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": "a {class}"}, "--prompt 'a {class}'"),
        ({"edit": " red "}, "--edit red"),
        ({"edit": "red\n\n blue glass "}, "--edit red --edit 'blue glass'"),
        ({"seed": 0}, "--set generate.first_seed=0"),
        ({"strength": 0.5}, "--strength 0.5"),
        ({"steps": 9}, "--steps 9"),
        ({"sampler": "DDIM"}, "--sampler DDIM"),
        ({"width": 256.0}, "--width 256"),
        ({"cfg": 7}, "--set generate.cfg_scale=7.0"),
        ({"refiner": "a/refiner"}, "--set refiner.model=a/refiner"),
        ({"refiner": "a/refiner", "noise": 0.7}, "--set refiner.high_noise_frac=0.7"),
        ({"negative": "blur"}, "--negative-prompt blur"),
        ({"cutout": "transparency"}, "--cutout"),
        ({"cutout": "#f0f0f0"}, "--background '#f0f0f0'"),
        ({"more": "generate.clip_skip: 1"}, "--set generate.clip_skip=1"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], text: str) -> None:
    assert text in words(**changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"count": 0}, "Pictures a class 0: expected a whole number from 1 to 1000"),
        ({"count": None}, "Pictures a class, empty: expected"),
        ({"seed": -2}, "Seed -2: expected a whole number from -1 to 4294967295"),
        ({"width": 0}, "Width 0: expected a whole number from 64 to 4096"),
        ({"more": "generate.lora_dirs: [/]"}, "more settings: expected lines NAME: VALUE of gen"),
        ({"more": "refiner: {model: /srv}"}, "more settings: expected lines"),
        ({"more": "- ["}, "more settings: not YAML"),
        ({"edit": "red\nRed"}, "red, Red would have the same names"),
    ],
)
def test_numbers_out_of_range_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        words(**changes)


def test_the_seed_is_that_of_a_class_s_first_picture(mini: Path) -> None:
    request = RunRequest(classes=["mug", "car"], count=2, overrides={"generate.first_seed": 7})
    requests.check(request)
    plan = plan_shots(resolve(request), Reporter())
    assert [shot.seed for shot in plan.shots] == [7, 8, 7, 8]


def test_the_page_has_no_number_whose_limits_gradio_checks_in_silence(tmp_path: Path) -> None:
    blocks = studio(JobQueue(tmp_path / "runs", worker=EndingWorker)).blocks.values()
    limits = {b.elem_id: (b.minimum, b.maximum) for b in blocks if isinstance(b, gradio.Number)}
    assert len(limits) > 5 and set(limits.values()) == {(None, None)}


@pytest.mark.parametrize("seed", [-1, None])
@pytest.mark.usefixtures("random_seeds")
def test_seed_minus_one_is_random_and_named(seed: float | None) -> None:
    drawn = {words(seed=seed).rpartition("generate.first_seed=")[2] for _ in range(3)}
    assert len(drawn) > 1 and all(0 <= int(text) < 2**32 for text in drawn)


def test_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="no product class"):
        words(classes=[])
