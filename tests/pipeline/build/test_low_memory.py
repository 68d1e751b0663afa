"""--low-memory: models by turns, stages loaded late, and the same pictures."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from visuals.configs.schema import Settings, load_settings
from visuals.pipeline.build import low_memory
from visuals.pipeline.build.stages import build_stages
from visuals.pipeline.cli import main
from visuals.pipeline.images.read import read_image
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.stages.accel.offload import Offload
from visuals.stages.shot import Prompted, Shot

ALL = ("generate", "detect", "segment", "rerender")
QUICK = {
    "generate.steps": 2,
    "rerender.steps": 2,
    "detect.box_threshold": 0.0,
    "verify.threshold": 0.0,
    "detect.text_threshold": 0.0,
    "mask.mask_k": 1,
}
LOW = {"run.low_memory": True}


def settings(more: Mapping[str, Any] | None = None, clip: Path | None = None) -> Settings:
    verify = {"verify.model": str(clip), "verify.threshold": 0.0} if clip else {}
    return load_settings("mini", {**QUICK, **verify, **(more or {})})


def prompted(text: str = "a mug, <lora:ppzmini:0.5>") -> list[Shot]:
    return [Shot(f"s{k}", Prompted(text, "blurry", k), ("mug",)) for k in (1, 2)]


def results(stages: Stages) -> list[np.ndarray]:
    done = list(run_shots(prompted(), stages))
    assert [s.status for s in done] == ["enhanced"] * 2, [(s.failure, s.reason) for s in done]
    return [s.result for s in done if s.result is not None]


def all_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(map(np.array_equal, ours, theirs))


@contextmanager
def watched(turns: Offload, models: dict[str, Any]) -> Iterator[dict[str, set[str]]]:
    """Which models are on the device when each is called, while it lasts."""
    seen: dict[str, set[str]] = {}

    def look(name: str) -> Any:
        def hook(module: Any, args: Any) -> None:
            there = {n for n, m in models.items() if any(m is other for other in turns.there)}
            seen[name] = seen.get(name, set()) | there

        return hook

    # What a module calls first: its own hooks are before the ones that bring it.
    handles = [
        next(iter(m.children())).register_forward_pre_hook(look(n)) for n, m in models.items()
    ]
    yield seen
    for handle in handles:
        handle.remove()


def test_only_the_models_at_work_are_on_the_device(mini: Path, clip: Path) -> None:
    controls = {"rerender.controls": ["canny", "depth"]}
    usual = build_stages(settings(controls, clip), (*ALL, "verify"))
    before = results(usual)
    turns = Offload("cpu")
    stages: Any = low_memory.offloaded(usual, turns)
    pipe, nets = stages.generate.default.pipe, stages.rerender.default.pipe.controlnet.nets
    models = {
        "text": pipe.text_encoder,
        "unet": pipe.unet,
        "canny": nets[0],
        "depth": nets[1],
        "vae": pipe.vae,
        "detector": stages.detect.model,
        "verifier": stages.verify.model,
        "segmenter": stages.segment.model,
        "nearness": stages.rerender.default.controls[1].control.model,
    }
    with watched(turns, models) as seen:
        after = results(stages)
    assert all_equal(after, before)
    together = {"unet", "canny", "depth"}
    assert seen["unet"] == together, "a step calls the ControlNets, then the UNet"
    assert all(seen.pop(name) <= together for name in ("unet", "canny", "depth"))
    others = ("detector", "verifier", "segmenter", "nearness")
    assert seen == {name: {name} for name in ("text", "vae", *others)}


def alive(*names: str) -> set[str]:
    gc.collect()
    return {type(o).__name__ for o in gc.get_objects() if type(o).__name__ in names}


def test_on_a_cpu_a_stage_s_models_go_when_another_comes(mini: Path) -> None:
    kinds = ("UNet2DConditionModel", "ControlNetModel", "SamModel")
    before = results(build_stages(settings(), ALL))
    assert alive(*kinds) == set(), "another test's models would be taken for ours"
    said: list[str] = []
    stages = build_stages(settings(LOW), ALL, report=said.append)
    assert sum("grounding-dino" in line for line in said) == 1
    for stage, there in (("generate", kinds[:1]), ("detect", kinds[2:]), ("rerender", kinds[:2])):
        getattr(stages, stage).loaded()
        assert alive(*kinds) == set(there), stage
    assert all_equal(results(stages), before)


def test_stages_on_demand_answer_for_what_the_stage_is_asked(mini: Path) -> None:
    stages: Any = build_stages(settings(LOW), ALL)
    vae = stages.generate.loaded().default.pipe.vae
    assert vae.use_tiling
    assert stages.verify.batch_size == 16 and stages.mask is not None
    stages.rerender.batch_size = 1
    assert stages.detect.batch_size == settings().detect.batch_size
    results(stages)
    assert stages.rerender.batch_size == 1, "what fitted stays when it is loaded again"


@pytest.mark.parametrize(("side", "equal"), [(256, True), (288, False)])
def test_tiles_change_pictures_beyond_the_model_s_size(mini: Path, side: int, equal: bool) -> None:
    size = {"generate.width": side, "generate.height": side}
    both = []
    for low in (False, True):
        stages: Any = build_stages(settings({**size, "run.low_memory": low}), ("generate",))
        both.append([s.image for s in stages.generate(prompted("a mug"))])
    assert all_equal(*both) is equal
    assert all(np.abs(a.astype(int) - b).mean() < 8 for a, b in zip(*both, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_models_come_and_go(mini: Path, clip: Path) -> None:
    gpu = {"run.device": "cuda", "run.dtype": "float32"}
    before = results(build_stages(settings(gpu, clip), (*ALL, "verify")))
    stages: Any = build_stages(settings({**gpu, **LOW}, clip), (*ALL, "verify"))
    after = results(stages)
    for a, b in zip(before, after, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 2
    pipe = stages.rerender.default.pipe
    parts = [pipe.text_encoder, pipe.unet, stages.detect.model, stages.segment.model]
    assert {p.device.type for p in parts} == {"cpu"} and pipe.vae.device.type == "cuda"


def visuals(*words: str) -> Result:
    changes = [word for k, v in QUICK.items() for word in ("--set", f"{k}={v}")]
    return CliRunner().invoke(main, [*words, *changes])


def pixels(folder: Path) -> list[np.ndarray]:
    return [read_image(path).rgb for path in sorted((folder / "images").glob("*.png"))]


def test_the_option_makes_the_pictures_of_the_run_without_it(mini: Path, tmp_path: Path) -> None:
    usual, low = tmp_path / "usual", tmp_path / "low"
    words = ["run", "--class", "mug", "--count", "2", "--seed", "4"]
    assert visuals(*words, "--out", str(usual)).exit_code == 0
    result = visuals(*words, "--low-memory", "--out", str(low))
    assert result.exit_code == 0, result.output
    assert len(pixels(low)) == 2 and all_equal(pixels(usual), pixels(low))
    assert "low_memory: true" in (low / "run.yaml").read_text()
    more = visuals(*words[:3], "--count", "3", "--seed", "4", "--out", str(low), "--json")
    assert json.loads(more.stdout)["resumed"] == 2, "the run goes on without it"
    resumed = CliRunner().invoke(main, ["resume", str(usual), "--low-memory"])
    assert resumed.exit_code == 0, resumed.output
    assert "low_memory: true" in (usual / "run.yaml").read_text()


def test_a_model_that_is_missing_is_said_before_the_run(mini: Path, tmp_path: Path) -> None:
    words = ["run", "--class", "mug", "--low-memory", "--set", f"segment.model={tmp_path}"]
    result = visuals(*words, "--out", str(tmp_path / "o"))
    assert result.exit_code == 2 and "config.json" in result.output
    assert not list((tmp_path / "o").glob("images/*"))


def test_other_commands_know_it(mini: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert visuals("generate", "--class", "mug", "--count", "1", "--out", str(run)).exit_code == 0
    for words in (
        ["replay", str(run), "--out", str(tmp_path / "again")],
        ["grid", "--class", "mug", "--seeds", "1", "--set", "generate.steps=2"],
        ["filter", str(run), "--class", "mug", "--set", "detect.box_threshold=0.1"],
    ):
        result = CliRunner().invoke(main, [*words, "--low-memory"])
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["generate", "--class", "mug"], "add --low-memory"),
        (["generate", "--class", "mug", "--low-memory"], "take a smaller preset"),
        (["dataset", "caption", "photos", "--prefix", "mug"], "--device cpu"),
    ],
)
def test_models_that_do_not_fit_are_one_sentence(
    mini: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], remedy: str
) -> None:
    def full(module: Any, *_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    Path("photos").mkdir()
    Image.new("RGB", (64, 64)).save("photos/a.png")
    monkeypatch.setattr(torch.nn.Module, "to", full)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1, result.output
    (sentence,) = result.stderr.splitlines()[-1:]
    assert "do not fit into the memory of cpu (CUDA out of memory" in sentence
    assert remedy in sentence and "check the name" not in sentence
