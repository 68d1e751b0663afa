"""Every preset loads and draws at its real size, offline, from random weights. Memory and time are
printed (pytest -s). Slow; where memory is short a preset is skipped with a sentence."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import real_configs

from visuals.configs.schema import load_settings, presets
from visuals.pipeline.build import text_to_image

pytestmark = pytest.mark.usefixtures("loaded_models")

# Two steps each; the refiner draws the second.
SMALL = {
    "sd15": ("64", "generate.sampler=DPM++ 2M Karras"),
    "sd15-fast": ("64", "generate.sampler=LCM"),
    "sdxl": ("128", "generate.sampler=DPM++ 2M Karras"),
    "sdxl-refined": ("128", "refiner.high_noise_frac=0.5"),
    "sdxl-fast": ("128", "generate.sampler=Euler SGM Uniform"),
    "roads": ("128", "generate.sampler=DPM++ 2M Karras"),
}


LONG = ("sd15-fast", "sdxl", "sdxl-refined", "sdxl-fast", "roads")
"""Those that CI leaves out, for the minutes that they take."""
HUGE = (
    "flux-schnell", "flux-dev", "flux-edit", "flux-fill", "qwen-image", "qwen-image-edit", "zimage",
    "sd35",
)  # fmt: skip
"""Those of 6 billion parameters and more, of which only small ones are drawn (stages/families)."""
SWITCH = "VISUALS_EVERY_PRESET"


def _available() -> float:
    """GiB of memory that a new program may take."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 2**20
    return 0.0


def test_every_preset_that_ships_is_here() -> None:
    assert set(presets()) == {"mini", *SMALL, *HUGE}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hub")
    yield folder
    shutil.rmtree(folder)  # 13 GiB, which pytest would keep


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_preset_draws_offline(name: str, cache: Path, tmp_path: Path) -> None:
    if name in LONG and not os.environ.get(SWITCH):
        pytest.skip(f"preset {name} takes minutes and up to 13 GiB of disk: set {SWITCH}=1")
    settings = load_settings(name)
    wanted = [settings.generate.model, *text_to_image.refs(settings)]
    families = [real_configs.FAMILIES[ref] for ref in wanted if ref in real_configs.FAMILIES]
    needed = sum(real_configs.GIBIBYTES[family] for family in families)
    if not Path("/proc/meminfo").exists() or _available() < needed:
        pytest.skip(f"preset {name} takes {needed} GiB in bfloat16, and fewer are free")
    names = {lora.model: lora.weight_name for lora in settings.generate.base_loras}
    began = time.perf_counter()
    missing = [ref for ref in wanted if not _there(cache, ref)]
    real_configs.write(cache, missing, {k: v for k, v in names.items() if v})
    wrote = time.perf_counter() - began
    size, change = SMALL[name]
    command = [
        sys.executable, "-m", "visuals", "generate", "--preset", name, "--class", "car",
        "--count", "1", "--out", str(tmp_path / "out"), "--device", "cpu", "--set", change,
        "--set", "run.dtype=bfloat16", "--set", "generate.steps=2",
        "--set", f"generate.width={size}", "--set", f"generate.height={size}",
    ]  # fmt: skip
    place = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **place})
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list((tmp_path / "out" / "images").glob("*.png"))) == 1
    # The largest of the children so far: a later preset may show an earlier one's.
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"\n{name}: {size} px, 2 steps, CPU, bfloat16: {seconds:.0f} s with loading, at most "
        f"{most:.1f} GiB (weights written in {wrote:.0f} s)"
    )


def _there(cache: Path, repository: str) -> bool:
    return (cache / f"models--{repository.replace('/', '--')}").is_dir()


_PEAK = """
import re, sys
from visuals.pipeline.cli import main
try:
    main(sys.argv[1:], prog_name="visuals")
finally:  # not ru_maxrss: that of who began it counts there too
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
def test_low_memory_takes_less_for_a_large_picture(cache: Path, tmp_path: Path) -> None:
    """SD 1.5 at 768 px: beyond its VAE's 512, so that it is decoded in tiles."""
    if not os.environ.get(SWITCH):
        pytest.skip(f"two pictures of 768 px take minutes: set {SWITCH}=1")
    if not Path("/proc/meminfo").exists() or _available() < 6:
        pytest.skip("6 GiB are needed, and fewer are free")
    name = load_settings("sd15").generate.model
    if not _there(cache, name):
        real_configs.write(cache, [name], {})
    place = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    peaks = []
    for low in ([], ["--low-memory"]):
        words = [
            "generate", "--preset", "sd15", "--class", "car", "--count", "1", *low, "--device",
            "cpu", "--out", str(tmp_path / f"out{len(low)}"), "--set", "run.dtype=bfloat16",
            "--set", "generate.steps=1", "--set", "generate.sampler=Euler",
            "--set", "generate.width=768", "--set", "generate.height=768",
        ]  # fmt: skip
        command = [sys.executable, "-c", _PEAK, *words]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **place})
        assert done.returncode == 0, done.stderr[-3000:]
        peaks.append(int(done.stdout.split()[-1]) / 2**20)
    print(f"\nsd15, 768 px: {peaks[0]:.1f} GiB, with --low-memory {peaks[1]:.1f} GiB")
    assert peaks[1] < peaks[0] - 0.2
