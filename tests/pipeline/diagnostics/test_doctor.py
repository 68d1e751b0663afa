"""`visuals doctor`: what it says of this machine, and which presets fit on which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from visuals.configs.schema import presets
from visuals.pipeline.cli import main
from visuals.pipeline.diagnostics import doctor
from visuals.pipeline.diagnostics.doctor import Device, need


def gpu(gib: float) -> Device:
    return Device("cuda", "the first GPU", "float16", gib, gib)


@pytest.mark.parametrize(
    ("preset", "gib", "fits"),
    [
        ("mini", 1, True),
        ("sd15", 8, True),
        ("sd15", 6, False),
        ("sdxl", 16, True),
        ("sdxl", 12, False),
        ("sdxl-fast", 16, True),
        ("roads", 16, True),
        ("sdxl-refined", 16, False),
        ("sdxl-refined", 24, True),
    ],
)
def test_presets_fit_as_the_page_says(mini: Path, preset: str, gib: float, fits: bool) -> None:
    assert need(preset, gpu(gib)).fits is fits


@pytest.mark.parametrize(
    ("preset", "gib", "low", "fits"),
    [
        ("sd15", 6, 5, True),
        ("sd15", 4, 5, False),
        ("sdxl", 12, 11, True),
        ("sdxl-refined", 12, 11, True),
        ("roads", 8, 11, False),
    ],
)
def test_less_is_needed_with_low_memory(
    mini: Path, preset: str, gib: float, low: float, fits: bool
) -> None:
    found = need(preset, gpu(gib), 32)
    assert (found.fits, found.low_gib, found.fits_low) == (False, low, fits)
    said = "fits with --low-memory (" if fits else f"GiB; {low} GiB with --low-memory)"
    assert said in str(found)
    assert need(preset, gpu(gib), 4).fits_low is False, "the others wait in main memory"


@pytest.mark.parametrize(
    ("preset", "gib", "verdict"),
    [
        ("flux-schnell", 48, "fits (41 GiB)"),
        ("flux-schnell", 16, "fits with --low-memory (16 GiB; 41 GiB without)"),
        ("flux-schnell", 8, "fits with --low-memory, block by block (16 GiB; 41 GiB without)"),
        ("flux-schnell", 3, "does not fit (41 GiB; 16 GiB with --low-memory)"),
        ("qwen-image", 24, "fits with --low-memory (24 GiB"),
        ("zimage", 12, "fits with --low-memory (12 GiB"),
        ("sdxl", 8, "does not fit"),
    ],
)
def test_large_transformers_fit_in_8_bits_or_in_parts(
    mini: Path, preset: str, gib: float, verdict: str
) -> None:
    assert str(need(preset, gpu(gib), 128)).startswith(verdict)


def test_on_a_cpu_stages_take_turns_not_models(mini: Path) -> None:
    cpu = Device("cpu", "", "float32", 14, 14)
    found = need("sd15", cpu)
    assert (found.memory_gib, found.low_gib, found.fits_low) == (16, 12, True)
    assert need("mini", cpu).fits_low is True


def test_float32_takes_twice_as_much(mini: Path) -> None:
    cpu = Device("cpu", "", "float32", 8, 8)
    half, whole = need("sd15", gpu(8)).memory_gib, need("sd15", cpu).memory_gib
    assert half and whole == 2 * half and need("sd15", cpu).fits is False


def test_what_is_missing_is_named_and_a_bad_preset_is_a_sentence(mini: Path) -> None:
    assert "stable-diffusion-v1-5/stable-diffusion-v1-5" in need("sd15", gpu(80)).missing
    assert need("mini", gpu(80)).missing == ()
    assert "did you mean 'sd15-fast'?" in str(need("sd15-fst", gpu(80)))
    own = Path("own.yaml")
    own.write_text("base: mini\ngenerate: {model: nobody/here}\n")
    found = need("own.yaml", gpu(80))
    assert found.missing == ("nobody/here",) and found.fits is None
    assert "cannot be told" in str(found)


def test_the_command_says_it_all_without_a_model_or_the_network(mini: Path) -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    said = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert {"device", "memory", "libraries", "cache", *presets()} <= set(said)
    assert said["mini"].startswith("fits")
    assert f"torch {torch.__version__.split('+')[0]}" in said["libraries"]
    asked = CliRunner().invoke(main, ["doctor", "--json", "--device", "cpu"])
    record = json.loads(asked.stdout)
    assert record["device"]["name"] == "cpu" and record["device"]["why"] == "as asked"
    assert record["cache"]["offline"] and not record["cache"]["token"]
    assert set(record["presets"]) == set(presets())
    if not torch.cuda.is_available():
        none = CliRunner().invoke(main, ["doctor", "--device", "cuda"])
        assert none.exit_code == 2 and "shows no GPU" in none.stderr


def test_every_model_of_the_presets_is_in_the_catalogue() -> None:
    from visuals.checkpoints.catalog.entry import shipped_entries
    from visuals.configs.schema import load_settings

    shipped = shipped_entries()
    known = {entry.repository for entry in shipped.values()} | set(shipped)
    for preset in presets():
        assert set(doctor.refs(load_settings(preset))) <= known, preset
    lora = load_settings("sdxl-fast").generate.base_loras[0]
    assert shipped["lightning-sdxl"].files == (lora.weight_name,)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("foo", "expected auto, cpu, cuda, cuda:1 or mps"),
        ("cuda:x", "expected auto, cpu"),
        ("meta", "expected auto, cpu"),
        ("cuda:64", "shows no GPU" if not torch.cuda.is_available() else "expected cuda:0 to"),
        *([] if torch.backends.mps.is_available() else [("mps", "torch sees none here")]),
    ],
)
def test_a_device_that_is_not_there_is_a_sentence(
    mini: Path, tmp_path: Path, asked: str, said: str
) -> None:
    for words in (["doctor"], ["generate", "--class", "mug", "--out", str(tmp_path / "o")]):
        result = CliRunner().invoke(main, [*words, "--device", asked])
        assert result.exit_code == 2 and f"device {asked!r}: " in result.stderr, result.output
        assert said in result.stderr
    assert doctor.device("cpu:1").name == "cpu", "a CPU is one"
