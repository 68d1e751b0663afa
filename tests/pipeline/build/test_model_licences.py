"""Licences of a run: recorded, and held against --license commercial before anything is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from helpers.hub_stand_in import Hub, connect, files_of
from PIL import Image

from visuals.configs.errors import UsageError
from visuals.configs.schema import load_settings
from visuals.pipeline.build import model_licences
from visuals.pipeline.build.stages import build_stages
from visuals.pipeline.cli import main
from visuals.pipeline.jobs.execute import execute
from visuals.pipeline.jobs.request import RunRequest

NEEDS = ("generate", "detect", "segment", "rerender")
LOOK = "a mug, <lora:look:0.5>"


def visuals(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def look(mini: Path, tmp_path: Path) -> Path:
    """A LoRA of which nothing says how it is licensed."""
    folder = tmp_path / "loras"
    folder.mkdir()
    shutil.copy(mini / "loras" / "ppzmini.safetensors", folder / "look.safetensors")
    return folder / "look.safetensors"


def test_a_run_records_the_licence_of_each_model_and_lora(look: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    request = RunRequest(
        command="generate", classes=["mug"], count=1, prompt=LOOK, lora_dirs=[str(look.parent)],
        steps=1, out=str(run), license="any",
    )  # fmt: skip
    execute(request)
    facts = {"mini/sd": "Apache-2.0", "lora:look": "unknown"}
    assert yaml.safe_load((run / "run.yaml").read_text())["licences"] == facts
    (picture,) = (run / "images").glob("*.png")
    assert json.loads(Image.open(picture).text["visuals"])["licences"] == facts  # type: ignore[attr-defined]
    execute(request.model_copy(update={"count": 2, "license": None}))  # goes on with other leave
    assert len(list((run / "images").glob("*.png"))) == 2


def test_a_licence_that_is_not_known_is_refused_until_it_is_named(
    look: Path, tmp_path: Path
) -> None:
    words = ["generate", "--class", "mug", "--count", "1", "--prompt", LOOK, "--lora-dir"]
    words += [str(look.parent), "--steps", "1", "--license", "commercial", "--out"]
    for dry in ([], ["--dry-run"]):
        result = visuals(*words, str(tmp_path / "run"), *dry)
        assert result.exit_code == 2, result.output
        assert "lora:look has a licence that is not known" in result.stderr
    assert not (tmp_path / "run").exists()
    named = visuals("checkpoints", "add", "look", str(look), "--license", "openrail")
    assert named.exit_code == 0, named.output
    result = visuals(*words, str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "lora:look: openrail: not for the uses that its attachment A forbids" in result.stderr
    info = visuals("checkpoints", "info", "look", "--json")
    assert json.loads(info.stdout)["commercial"].startswith("yes: not for the uses")
    assert "openrail" in visuals("lora", "info", str(look)).stdout


@pytest.mark.parametrize(
    ("preset", "changes", "why"),
    [
        ("flux-dev", [], "take black-forest-labs/FLUX.1-schnell (Apache-2.0)"),
        (
            "flux-schnell",
            [],
            "Union-Pro-2.0, the ControlNet of stage 3, is licensed 'FLUX.1 [dev] Non-Commercial "
            "License', which forbids commercial use: leave stage 3 out (visuals generate), take",
        ),
        ("mini", ["generate.model=owner/name"], "checkpoints add NAME owner/name --license"),
        (
            "mini",
            ["controls.canny.annotator=depth-anything-v2-large", "controls.canny.kind=depth"],
            "take depth-anything/Depth-Anything-V2-Small-hf (Apache-2.0)",
        ),
        ("sd15", ["rerender.controls=[softedge]"], "lllyasviel/Annotators has a licence that"),
    ],
)
def test_models_are_refused_before_a_download(
    mini: Path, tmp_path: Path, preset: str, changes: list[str], why: str
) -> None:
    sets = [word for change in changes for word in ("--set", change)]
    words = ["run", "--class", "mug", "--preset", preset, "--license", "commercial", *sets]
    result = visuals(*words, "--out", str(tmp_path / "run"))
    assert result.exit_code == 2 and why in result.stderr, result.output
    assert "download" not in result.stderr and not (tmp_path / "run").exists()


def test_what_a_refusal_offers_is_allowed() -> None:
    """visuals generate with the base of a refused ControlNet, and the preset that is named."""
    commercial = {"run.license": "commercial"}
    model_licences.check(load_settings("flux-schnell", commercial), ("generate",))
    model_licences.check(load_settings("zimage", commercial), NEEDS)


def test_only_models_that_are_loaded_count(mini: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save("a.png")
    words = ["filter", "a.png", "--class", "mug", "--set", "generate.model=owner/name"]
    words += ["--set", "run.license=commercial", "--out", str(tmp_path / "run")]
    assert visuals(*words).exit_code == 0
    grid = ["grid", "--class", "mug", "--seeds", "1", "--license", "commercial"]
    grid += ["--set", "generate.sampler=Euler", "--set", "rerender.sampler=Euler"]
    result = visuals(*grid, "--checkpoint", "flux-dev", "--set", "generate.prompt=a mug")
    assert result.exit_code == 2 and "forbids commercial use" in result.stderr


def test_the_hub_is_asked_for_a_card_and_for_nothing_else(
    own_home: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hub() as hub:
        connect(monkeypatch, hub, own_home / "hub")
        card = b"---\nlicense: cc-by-nc-4.0\n---\n"
        hub.add("shop/sd", {**files_of(mini / "sd"), "README.md": card})
        changes = {"generate.model": "shop/sd", "run.license": "commercial"}
        with pytest.raises(UsageError, match=r"shop/sd is licensed .* which forbids"):
            build_stages(load_settings("mini", changes), NEEDS)
        assert not hub.weights()


def test_a_host_s_model_is_not_known(mini: Path) -> None:
    settings = load_settings(
        "mini", {"generate.backend": "replicate", "generate.version": "a/b", "run.license": "any"}
    )
    assert model_licences.licences(settings, ("generate",)) == {"replicate:a/b": "unknown"}
    commercial = settings.model_copy(
        update={"run": settings.run.model_copy(update={"license": "commercial"})}
    )
    with pytest.raises(UsageError, match="read the host's terms"):
        model_licences.check(commercial, ("generate",))
