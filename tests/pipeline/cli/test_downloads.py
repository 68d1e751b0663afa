"""What a command says and asks before it downloads models, against a stand-in of the hub."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.command_line import checked, json_of, visuals
from helpers.hub_stand_in import Hub, connect, files_of

from visuals.checkpoints.hub.first_use import Needed, missing
from visuals.checkpoints.hub.pull import format_bytes
from visuals.configs.schema import load_settings
from visuals.pipeline.build.process import quiet
from visuals.pipeline.build.required_models import STAGES, required_models
from visuals.pipeline.cli import main
from visuals.pipeline.cli.downloads import DownloadDeclinedError, download

SAM = "facebook/sam-vit-base"
SAYS = "visuals: to download: "
SIDES = ("width", "height")
HALVES = ("sd", "controlnet-depth")


@pytest.fixture
def hub(own_home: Path, mini: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as made:
        connect(monkeypatch, made, own_home / "hub")
        made.add(SAM, files_of(mini / "sam"))
        yield made


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "yes", "downloaded"),
    [("y\n", False, True), ("\n", False, True), ("n\n", False, False), ("", False, False)]
    + [("n\n", True, True)],
)
def test_a_terminal_is_asked(
    hub: Hub, answer: str, yes: bool, downloaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    models = missing([Needed(SAM), Needed("sam-vit-base"), Needed("mini/sd")])
    quiet("transformers")
    if downloaded:
        download(models, yes=yes)
    else:
        with pytest.raises(DownloadDeclinedError, match="nothing was downloaded; --yes"):
            download(models, yes=yes)
    size = sum(map(len, hub.repositories[SAM].commits["a" * 40].values()))
    assert f"to download: {SAM}, {format_bytes(size)}" in screen.getvalue()
    assert ("Download? [Y/n]" in screen.getvalue()) is not yes
    assert ("100%" in screen.getvalue()) is downloaded  # a progress bar
    assert hub.weights() == ({"model.safetensors"} if downloaded else set())


def test_the_first_run_of_a_preset_says_all_that_it_downloads_and_goes_on(
    hub: Hub, mini: Path
) -> None:
    """Without a terminal. The embedded models stand in for the preset's; one resumes without."""
    parts = {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": "sd",
        "IDEA-Research/grounding-dino-tiny": "grounding-dino",
        "lllyasviel/control_v11f1p_sd15_depth": "controlnet-depth",
        "depth-anything/Depth-Anything-V2-Small-hf": "depth",
    }
    for name, part in parts.items():
        hub.add(name, files_of(mini / part, variant="fp16" if part in HALVES else ""))
    sizes = [f"{stage}.{side}=64" for stage in ("generate", "rerender") for side in SIDES]
    steps = ["generate.steps=2", "rerender.steps=2", "detect.box_threshold=0"]
    changes = [word for change in (*sizes, *steps) for word in ("--set", change)]
    run = ("run", "--preset", "sd15", "--class", "mug", "--count", "1", "--out", "run", *changes)
    planned = json_of(*run, "--dry-run")["estimate"]["missing"]
    result = checked(*run)
    assert all(f"{name}, {format_bytes(size)}" in result.stderr for name, size in planned.items())
    assert set(planned) == {SAM, *parts}
    said = {line.split()[3].rstrip(",") for line in result.stderr.splitlines() if SAYS in line}
    assert said == {SAM, *parts} and " in all, into " in result.stderr
    got = {path.split("/resolve/")[0][1:] for _, path, _ in hub.requests if "/resolve/" in path}
    assert got == said
    halves = {name for name in hub.weights() if "fp16" in name}
    assert hub.weights() - halves == {"model.safetensors"} and len(halves) == 4
    assert SAYS not in checked(*run).stderr


@pytest.mark.usefixtures("mini", "own_home")
def test_a_download_that_fails_leaves_no_run_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = visuals("run", "--preset", "sd15", "--class", "mug", "--yes")
    assert result.exit_code == 1 and "HF_HUB_OFFLINE is set" in result.stderr
    assert not Path("runs").exists()


def test_every_command_that_runs_models_takes_yes() -> None:
    names = ["run", "generate", "filter", "enhance", "resume", "replay", "grid", "train"]
    for command in (*([name] for name in names), ["dataset", "caption"], ["bench", "quality"]):
        assert "--yes" in CliRunner().invoke(main, [*command, "--help"]).output, command


@pytest.mark.parametrize("preset", ["sd15", "sdxl", "sdxl-fast", "sdxl-refined", "mini"])
def test_the_models_of_a_preset_are_those_that_its_stages_load(preset: str) -> None:
    settings = load_settings(preset, {"generate.ip_adapter": None})
    wanted = {model.ref for model in required_models(settings, STAGES)}
    found = {settings.detect.model, settings.segment.model}
    found |= {settings.verify.model} if settings.verify else set()
    drawn = {settings.generate.model, *(c.model for c in settings.leading)}
    assert found | drawn <= wanted
    assert (settings.refiner is not None) == any("refiner" in ref for ref in wanted)
    assert ("ByteDance/SDXL-Lightning" in wanted) == (preset == "sdxl-fast")
    assert any("Depth-Anything" in ref for ref in wanted) == (preset != "mini")
    assert {model.ref for model in required_models(settings, ("detect", "segment"))} == found
    hosted = settings.model_copy(
        update={"generate": settings.generate.model_copy(update={"backend": "replicate"})}
    )
    assert not required_models(hosted, ("generate",))


def test_no_segmenter_is_downloaded_for_a_detector_with_masks() -> None:
    settings = load_settings("sd15", {"detect.model": "facebook/sam3"})
    assert required_models(settings, ("detect", "segment")) == [Needed("facebook/sam3")]
    assert Needed(SAM) in required_models(settings, ("segment",))
