"""Models that take turns: pipelines that share theirs draw what they draw without, LoRAs, refiner,
reference pictures and another VAE included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_flux, tiny_xl

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions, HiresSettings
from visuals.configs.rerender import RerenderOptions
from visuals.stages.accel import controlnet_reuse
from visuals.stages.accel.offload import Offload, wake
from visuals.stages.diffusion import control_maps
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.passes import Refiner
from visuals.stages.generate import Generator
from visuals.stages.prompts.instance_prompts import InstancePrompts
from visuals.stages.rerender import Rerenderer
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

SMALL: dict[str, Any] = {"steps": 3, "width": 64, "height": 64, "sampler": "Euler"}


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("xl")
    tiny_xl.write(folder)
    base = load.load_text_to_image(folder / "base")
    tiny_xl.write_ip_adapter(folder / "adapter", base.unet)
    return folder


class Stages:
    """Stage 1 with hires fix, refiner and reference, and stage 3, over one SDXL."""

    def __init__(self, xl: Path) -> None:
        red = np.full((40, 50, 3), (250, 20, 20), np.uint8)
        with torch.inference_mode():
            self.pipe = load.load_text_to_image(xl / "base")
            self.refiner = load.load_refiner(xl / "refiner", self.pipe)
            load.attach_ip_adapter(
                self.pipe,
                xl / "adapter",
                subfolder="models",
                weight_name="ip-adapter.safetensors",
                scale=1.0,
            )
            self.inpaint = load.load_controlnet_inpaint("", [xl / "controlnet"], base=self.pipe)
        self.generate = Generator(
            self.pipe,
            GenerateOptions(
                hires=HiresSettings(scale=1.5, upscaler="lanczos", strength=0.5, steps=2), **SMALL
            ),
            refiner=Refiner(self.refiner, 0.6),
            references=[red],
        )
        self.rerender = Rerenderer(
            self.inpaint,
            [Controlled(control_maps.Canny(60, 140))],
            InstancePrompts("blue {class}"),
            RerenderOptions(steps=3, width=64, height=64, sampler="Euler"),
            references=[red],
        )

    def take_turns(self, turns: Offload) -> None:
        for pipe in (self.pipe, self.inpaint):
            for name, part in pipe.components.items():
                if isinstance(part, torch.nn.Module):
                    turns.add("drawing" if name in ("unet", "controlnet") else name, part)
        turns.add("refiner", self.refiner.unet)

    def __call__(self) -> list[np.ndarray]:
        image = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
        mask = np.zeros((96, 96), bool)
        mask[30:70, 30:70] = True
        found = (Detection((30, 30, 70, 70), 0.9, "mug", mask),)
        photo = Shot("p", FileInput("p.png", 5), ("mug",), image=image, detections=found)
        source = Prompted("red mug", "", 1)
        drawn, again = self.generate([Shot(id="s", source=source, classes=("mug",))]) + (
            self.rerender([photo])
        )
        assert drawn.image is not None and again.result is not None, (drawn, again)
        return [drawn.image, again.result]


def test_pipelines_that_share_models_draw_the_same_by_turns(xl: Path) -> None:
    stages = Stages(xl)
    before = stages()
    turns = Offload("cpu")
    stages.take_turns(turns)
    asked: list[str] = []
    for name, net in (("base", stages.pipe.unet), ("refiner", stages.refiner.unet)):

        def hook(module: Any, args: Any, name: str = name, net: Any = net) -> None:
            assert net in turns.there and stages.pipe.vae not in turns.there
            asked.append(name)

        net.conv_in.register_forward_pre_hook(hook)
    after = stages()
    assert "base" in asked and "refiner" in asked
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert turns.there == [stages.pipe.vae], "the last one stays until another comes"


def test_what_spares_work_is_taken_off_and_the_hooks_stay(xl: Path) -> None:
    stages = Stages(xl)
    turns = Offload("cpu")
    stages.take_turns(turns)
    net = stages.inpaint.controlnet
    hooked = net.forward
    with controlnet_reuse.reuse(stages.inpaint):
        assert net.forward is not hooked
    assert net.forward is hooked
    stages()
    assert net.forward is hooked and net._hf_hook.execution_device == "cpu"


@pytest.mark.parametrize("weights", ["full", "fp8"])
def test_models_that_have_no_room_move_in_parts(tmp_path: Path, weights: Any) -> None:
    """By diffusers' group offloading, around the casting of weights in 8 bits; here to a CPU."""
    tiny_flux.write(tmp_path)
    with torch.inference_mode():
        pipe = load.load_text_to_image(tmp_path / "base", dtype=torch.bfloat16, weights=weights)
    draw = Generator(pipe, GenerateOptions(**{**SMALL, "cfg_scale": 3.5}))

    def picture() -> np.ndarray:
        (shot,) = draw([Shot("s", Prompted("red mug", "", 1), ("mug",))])
        assert shot.image is not None, shot.failure
        return shot.image

    before = picture()
    turns = Offload("cpu", room=0)
    turns.add("denoising", pipe.transformer, parts="block_level")
    turns.add("prompt", pipe.text_encoder, pipe.text_encoder_2, parts="leaf_level")
    turns.add("vae", pipe.vae)
    moved: list[str] = []
    for name, block in pipe.transformer.named_modules():
        hooks = getattr(block, "_diffusers_hook", None)
        group = hooks and hooks.get_hook("group_offloading")
        if group:
            assert group.config.onload_device == group.config.offload_device == torch.device("cpu")
            block.register_forward_pre_hook(lambda *_, name=name: moved.append(name))
    assert np.array_equal(picture(), before)
    steps = ["", "transformer_blocks.0", "single_transformer_blocks.0"] * SMALL["steps"]
    assert moved == steps
    assert turns.there == [pipe.vae], "what moves in parts never stays, and others leave for it"
    roomy = Offload("cpu", room=2**40)
    roomy.add("denoising", net := torch.nn.Linear(2, 2), parts="leaf_level")
    assert not hasattr(net, "_diffusers_hook")


def test_a_model_is_woken_before_it_is_asked_where_it_is() -> None:
    turns = Offload("cpu")
    one, two, free = (torch.nn.Linear(2, 2) for _ in range(3))
    turns.add("one", one)
    turns.add("two", two)
    turns.add("other", one)  # keeps its group
    wake(two, free, None)
    assert turns.there == [two]
    one(torch.zeros(1, 2))
    assert turns.there == [one]

    class Annotator:
        def __init__(self, model: torch.nn.Module) -> None:
            self.model, self.size = model, 64

    wake(Annotator(two))
    assert turns.there == [two]
