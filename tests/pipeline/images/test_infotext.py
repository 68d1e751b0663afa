"""Samplers as A1111 reads them back, hires fix, and what a foreign infotext says beyond that."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuals.configs.schema import load_settings
from visuals.pipeline.images.infotext import InfotextError, format_infotext, parse_infotext
from visuals.stages.diffusion.samplers import NAMES
from visuals.stages.shot import Prompted, Shot

AUTOMATIC = {
    "DPM++ 2M": "Karras",
    "DPM++ SDE": "Karras",
    "DPM2": "Karras",
    "DPM2 a": "Karras",
    "DPM++ 2M SDE": "Exponential",
    "DPM++ 3M SDE": "Exponential",
}
"""The samplers of A1111 1.10 for which "Automatic" is not "Uniform"."""
SCHEDULES = ("Karras", "Exponential", "SGM Uniform", "Simple", "Beta", "Align Your Steps")


def infotext(sampler: str) -> str:
    settings = load_settings("mini", {"generate.sampler": sampler}).model_dump(mode="json")
    shot = Shot("a", Prompted("a mug", "", 7), (), image=np.zeros((8, 8, 3), np.uint8))
    return format_infotext(shot, settings)


@pytest.mark.parametrize("name", NAMES)
def test_a1111_uses_the_sampler_that_was_used(name: str) -> None:
    text = infotext(name)
    facts = dict(re.findall(r"(\w[\w ]+): ([^,\n]*)", text.split("\n")[-1]))
    schedule = next((one for one in SCHEDULES if name.endswith(one)), "")
    sampler = name.removesuffix(schedule).strip()
    assert facts["Sampler"] == {"PNDM": "PLMS", "TCD": "LCM"}.get(sampler, sampler)
    used = facts.get("Schedule type", "Automatic")
    known = "DPM++ 2M" if sampler in ("DEIS", "DDPM") else sampler  # A1111 takes its first one
    used = AUTOMATIC.get(known, "Uniform") if used == "Automatic" else used
    assert used == (schedule or "Uniform")
    found = parse_infotext(text)
    assert found.settings["generate.sampler"] == name and not found.ignored


@pytest.mark.parametrize(
    ("line", "hires", "ignored"),
    [
        ("Hires resize: 192x192", {"scale": 1.5, "strength": 0.5}, ()),
        ("Hires resize: 0x256", {"scale": 2.0, "strength": 0.5}, ()),
        ("Hires resize: 192x256", {"scale": 2.0, "strength": 0.5}, ("Hires resize: 192x256",)),
        ("Hires upscale: 1", {"scale": 1.0, "strength": 0.5}, ()),
        (
            "Hires upscale: 2, Hires steps: 3, Hires upscaler: Latent",
            {"scale": 2.0, "strength": 0.5, "steps": 3, "upscaler": "latent"},
            (),
        ),
        (
            "Hires upscale: 2, Hires steps: 0, Hires upscaler: R-ESRGAN 4x+",
            {"scale": 2.0, "strength": 0.5},
            ("Hires upscaler: R-ESRGAN 4x+",),
        ),
        ("First pass size: 64x64", {"scale": 2.0, "strength": 0.5}, ()),
        ("First pass size: 0x0", None, ("First pass size: 0x0",)),
    ],
)
def test_a_hires_fix_is_not_painted_over(
    line: str, hires: dict[str, float] | None, ignored: tuple[str, ...]
) -> None:
    text = f"a mug\nSteps: 5, Seed: 1, Size: 128x128, Denoising strength: 0.5, {line}"
    found = parse_infotext(text)
    assert not found.inpainted and found.settings.get("generate.hires") == hires
    assert found.ignored == ignored
    load_settings("mini", found.settings)


FOREIGN = {
    "VAE": "ft-mse.safetensors",
    "Face restoration": "CodeFormer",
    "ENSD": "31337",
    "Eta": "0.5",
    "RNG": "CPU",
    "Tiling": "True",
    "Emphasis": "No norm",
    "Refiner": "xl [7440042bbd]",
    "Refiner switch at": "0.8",
    "Hires sampler": "Euler a",
    "Hires schedule type": "Karras",
    "Hires prompt": '"red, (sharp:1.2)"',
    "Hires negative prompt": "blurry",
    "ControlNet 0": '"Module: canny, Model: control [1], Weight: 1"',
    "ADetailer model": "face_yolov8n.pt",
    "ADetailer prompt": '"a face, smiling"',
    "Dynamic thresholding enabled": "True",
}


def test_everything_that_is_not_honoured_is_named() -> None:
    facts = ", ".join(f"{key}: {value}" for key, value in FOREIGN.items())
    harmless = 'VAE hash: 1, Hashes: {"model": "12", "lora:x": "34"}, Version: v1.10.1'
    start = "a mug\nSteps: 20, Sampler: Euler, Schedule type: KL Optimal, CFG scale: 7, Seed: 1"
    found = parse_infotext(
        f"{start}, Size: 128x128, Denoising strength: 0.5, Hires upscale: 2, {facts}, {harmless}"
    )
    expected = {key: value.strip('"') for key, value in FOREIGN.items()}
    named = dict(one.split(": ", 1) for one in found.ignored)
    assert named == {**expected, "Schedule type": "KL Optimal"}


@pytest.mark.parametrize(
    ("sampler", "used", "ignored"),
    [
        ("DPM++ 2M, Schedule type: Automatic", "DPM++ 2M Karras", ()),
        ("DPM++ 3M SDE, Schedule type: Automatic", "DPM++ 3M SDE Exponential", ()),
        ("Euler, Schedule type: Automatic", "Euler", ()),
        ("DPM++ 2M, Schedule type: Uniform", "DPM++ 2M", ()),
        ("DPM++ 2M", "DPM++ 2M", ()),  # before 1.9, which had no "Automatic"
        ("DPM++ 2M Karras", "DPM++ 2M Karras", ()),
        ("Euler a, Schedule type: Karras", "Euler a", ("Schedule type: Karras",)),
        ("Euler, Schedule type: Polyexponential", "Euler Exponential", ()),
        ("Heun, Schedule type: Simple", "Heun Simple", ()),
        ("DPM++ SDE, Schedule type: Beta", "DPM++ SDE Beta", ()),
        ("DPM++ 2M, Schedule type: Align Your Steps", "DPM++ 2M Align Your Steps", ()),
        ("Euler, Schedule type: Normal", "Euler", ()),
        ("Euler a Karras", "Euler a", ("Sampler: Euler a Karras",)),
        ("DPM++ 2S a Karras", None, ("Sampler: DPM++ 2S a Karras",)),
        ("DPM adaptive, Schedule type: Karras", None, ("Sampler: DPM adaptive",)),
        ("Euler SGM Uniform", "Euler SGM Uniform", ()),
        ("Euler, Schedule type: Turbo", "Euler", ("Schedule type: Turbo",)),
    ],
)
def test_samplers_of_foreign_pictures(
    sampler: str, used: str | None, ignored: tuple[str, ...]
) -> None:
    found = parse_infotext(f"a\nSteps: 5, Sampler: {sampler}, Seed: 1")
    assert found.settings.get("generate.sampler") == used and found.ignored == ignored


def test_a_variation_seed_comes_back() -> None:
    changes = {"generate.variation": {"seed": 5, "strength": 0.3}}
    settings = load_settings("mini", changes).model_dump(mode="json")
    shot = Shot("a", Prompted("a mug", "", 7), (), image=np.zeros((8, 8, 3), np.uint8))
    text = format_infotext(shot, settings)
    assert "Variation seed: 5, Variation seed strength: 0.3" in text
    found = parse_infotext(text)
    assert found.settings["generate.variation"] == {"seed": 5, "strength": 0.3}
    assert not found.ignored


BIG = "9" * 5000


@pytest.mark.parametrize(
    ("facts", "ignored"),
    [
        *((f"Size: {size}", [f"Size: {size[:60]}"]) for size in ("-64x64", "a", f"{BIG}x{BIG}")),
        *((f"Clip skip: {n}", [f"Clip skip: {n[:60]}"]) for n in ("\u00b2", BIG, "-2", "14", "x")),
        ("Clip skip: 1", []),
        ("Variation seed: 5", ["Variation seed: 5"]),
        ("Variation seed: 5, Variation seed strength: 0", []),
        *(
            (
                f"Variation seed: {seed}, Variation seed strength: {strength}",
                [f"Variation seed: {seed[:60]}", f"Variation seed strength: {strength[:60]}"],
            )
            for seed, strength in (("abc", "0.5"), (BIG, "0.5"), ("5", "1.5"), ("5", BIG))
        ),
        *(
            (f"Hires upscale: 2, {key}: {value}", [f"{key}: {value[:60]}"])
            for key in ("Hires steps", "Denoising strength", "Hires resize")
            for value in ("x", "-1", BIG)
        ),
        ("Hires upscale: x", ["Hires upscale: x"]),
        ("Size: 0x64, Hires resize: 128x128", ["Hires resize: 128x128"]),
        ("First pass size: 64x", ["First pass size: 64x"]),
        ("Version: 1\nTemplate: a {b|c}\n\nNegative Template: d",
         ["Template: a {b|c}", "Negative Template: d"]),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(facts: str, ignored: list[str]) -> None:
    assert list(parse_infotext(f"a\nSteps: 5, Seed: 1, {facts}").ignored) == ignored


@pytest.mark.parametrize("part", ["a", "{", "[", '"', ":", ",", " ", "a: b, ", "\\", "a "])
def test_a_text_of_any_length_is_read_at_once(part: str) -> None:
    with pytest.raises(InfotextError, match="expected A1111's line of parameters"):
        parse_infotext(part * (300_000 // len(part)))


def test_of_thousands_of_keys_99_are_named() -> None:
    keys = ", ".join(f"key {k}: 1" for k in range(5000))
    found = parse_infotext(f"a\nSteps: 5, Seed: 1, {keys}")
    assert len(found.ignored) == 100 and found.ignored[-1] == "and 4901 more"


@given(st.text(alphabet='a1x-.,:"{}[]\n\\ ', max_size=60))
def test_whatever_a_key_holds_is_read_or_refused_in_a_sentence(value: str) -> None:
    for key in ("Steps", "Size", "Clip skip", "Variation seed", "Hires resize", "First pass size"):
        with contextlib.suppress(InfotextError):
            parse_infotext(f"a\nSteps: 5, Seed: 1, Size: 8x8, Hires upscale: 2, {key}: {value}")


def test_a_seed_of_64_bits_is_folded_by_name() -> None:
    found = parse_infotext("a\nSteps: 5, Seed: 4294967297")
    assert found.seed == 1 and found.ignored == ("Seed: 4294967297",)
