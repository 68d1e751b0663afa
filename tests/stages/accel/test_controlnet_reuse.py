"""What is left out, or done once, changes no picture: against the libraries' own ways."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import asked, calls, cores, noise

from visuals.checkpoints import load
from visuals.configs.detect import DetectOptions
from visuals.configs.rerender import RerenderOptions
from visuals.stages.accel import controlnet_reuse, cpu_parallel, patching
from visuals.stages.accel.grounding_dino import backbone_cache
from visuals.stages.detect import Detector
from visuals.stages.detection import backends
from visuals.stages.diffusion import samplers
from visuals.stages.diffusion.control_maps import Canny
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.prompts.instance_prompts import InstancePrompts
from visuals.stages.rerender import Rerenderer
from visuals.stages.shot import Detection, FileInput, Shot


@pytest.fixture(scope="module")
def inpaint(mini: Path) -> Any:
    return load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"])


def lean_copy(pipe: Any, plan: Any) -> Any:
    copied = copy.copy(pipe)
    copied.scheduler = copy.deepcopy(plan)
    controlnet_reuse.skip_masked_latents(copied)
    return copied


@contextmanager
def counted(linear: Any) -> Iterator[list[tuple[int, ...]]]:
    """The shapes whose product with a layer's weight is made, while it lasts."""
    seen: list[tuple[int, ...]] = []
    whole = torch.nn.functional.linear

    def product(x: Any, weight: Any, bias: Any = None) -> Any:
        if weight is linear.weight:
            seen.append(tuple(x.shape))
        return whole(x, weight, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", product)
        yield seen


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "DPM++ 2M SDE", "Euler a"])
def test_a_lean_pipeline_draws_what_the_whole_one_draws(inpaint: Any, sampler: str) -> None:
    plan = samplers.scheduler(sampler, inpaint.scheduler.config)
    with torch.inference_mode():
        with samplers.using(inpaint, plan):
            whole = inpaint(**asked(3)).images
        words = next(m for n, m in inpaint.unet.named_modules() if n.endswith("attn2"))
        with (
            controlnet_reuse.reuse(inpaint),
            calls(inpaint.vae.encoder) as encoded,
            counted(words.to_k) as keys,
        ):
            lean = lean_copy(inpaint, plan)(**asked(3)).images
    assert torch.equal(lean, whole)
    assert len(encoded) == 2, "the picture of each, and no masked one"
    assert len(keys) == 1
    assert inpaint.scheduler is not plan


def test_a_hint_is_embedded_once_and_a_controlnet_rests_after_its_end(inpaint: Any) -> None:
    plan = samplers.scheduler("DPM++ 2M", inpaint.scheduler.config)
    options = {"control_guidance_end": 0.5, "controlnet_conditioning_scale": 0.8}
    net = inpaint.controlnet
    with torch.inference_mode():
        with samplers.using(inpaint, plan):
            whole = inpaint(**asked(5, **options)).images
        with (
            controlnet_reuse.reuse(inpaint),
            calls(net.controlnet_cond_embedding.conv_in) as hints,
            calls(net.conv_in) as steps,
        ):
            lean = lean_copy(inpaint, plan)(**asked(5, **options)).images
    assert torch.allclose(lean, whole, atol=1e-5)
    assert len(hints) == 1
    assert len(steps) == 2, "4 steps, 2 of them led"
    assert "forward" not in vars(net) and "forward" not in vars(net.controlnet_cond_embedding)


def test_a_detector_looks_at_its_pictures_once_and_scores_as_ever(mini: Path) -> None:
    model, processor = load.load_detector("mini/grounding-dino")
    images, phrases = [noise(1, 96), noise(2, 96)], ["mug", "sneaker", "car"]
    whole = [backends.ask(model, processor, images, phrase) for phrase in phrases]
    patching.install(model, [backbone_cache.PATCH])
    with calls(model.model.backbone.conv_encoder) as looks:
        once = backends.ask_all(model, processor, images, phrases)
        assert len(looks) == 1
        backends.ask_all(model, processor, images, phrases)
        assert len(looks) == 2, "nothing is kept for the next pictures"
    for phrase, answers in zip(phrases, whole, strict=True):
        for k, answer in enumerate(answers):
            assert np.array_equal(once[k][phrase].scores, answer.scores)
            assert np.array_equal(once[k][phrase].boxes, answer.boxes)
    assert not np.array_equal(whole[0][0].scores, whole[1][0].scores)


def shots(count: int) -> list[Shot]:
    mask = np.zeros((64, 64), bool)
    mask[20:50, 16:48] = True
    found = (Detection((16.0, 20.0, 48.0, 50.0), 0.9, "mug", mask),)
    return [
        Shot(f"s{k}", FileInput(f"{k}.png", k), ("mug",), image=noise(k), detections=found)
        for k in range(count)
    ]


def test_parts_at_the_same_time_draw_and_find_what_they_do_one_after_the_other(
    inpaint: Any, mini: Path
) -> None:
    stage = Rerenderer(
        inpaint,
        [Controlled(Canny(60, 140))],
        InstancePrompts("a {class}"),
        RerenderOptions(
            steps=3, width=64, height=64, padding=4, mask_blur=1, dilate=1, batch_size=2
        ),
    )
    bare = [replace(s, detections=()) for s in shots(4)]
    find = Detector(
        *load.load_detector("mini/grounding-dino"), DetectOptions(box_threshold=0.0, batch_size=4)
    )
    with cores(1):
        alone, found_alone = stage(shots(4)), find(bare)
    threads: set[str] = set()
    hook = inpaint.unet.register_forward_pre_hook(
        lambda m, args: threads.add(threading.current_thread().name)
    )
    with cores(2):
        both, found = stage(shots(4)), find(bare)
        assert torch.get_num_threads() == 2
        held = cpu_parallel.each(lambda part: torch.get_num_threads(), [1, 2], 2)
    hook.remove()
    assert len(threads) == 2 and held == [1, 1]
    for a, b in zip(alone, both, strict=True):
        assert a.status == b.status == "enhanced", (a.failure, b.failure)
        assert a.result is not None and b.result is not None
        assert np.abs(a.result.astype(int) - b.result).max() <= 2
    for a, b in zip(found_alone, found, strict=True):
        assert [d.score for d in a.detections] == pytest.approx(
            [d.score for d in b.detections], abs=1e-4
        )


def test_a_part_that_fails_is_told_the_others_end_and_the_cores_come_back() -> None:
    going, dropped = threading.Event(), threading.Event()

    def work(part: int) -> None:
        if part == 2:
            assert going.wait(10)
            raise MemoryError("part 2")
        try:
            for _ in range(10_000):
                going.set()
                cpu_parallel.step()
                time.sleep(0.001)
        except cpu_parallel.PartDroppedError:
            dropped.set()
            raise

    with cores(2):
        with pytest.raises(MemoryError, match="part 2"):
            cpu_parallel.each(work, [2, 1], 2)
        assert dropped.is_set()
        assert torch.get_num_threads() == 2
    cpu_parallel.step()  # none to drop: nothing happens


def test_a_batch_is_cut_evenly_and_one_thing_at_a_time_means_one() -> None:
    assert cpu_parallel.workers("cpu", 1) == 1
    assert cpu_parallel.cut([1, 2, 3, 4, 5], 2, 2) == [[1, 2], [3, 4], [5]]
    assert cpu_parallel.cut([], 4, 2) == []


def test_a_stream_keeps_its_order_takes_what_it_needs_and_ends_where_it_is_left() -> None:
    taken: list[int] = []
    begun, ended = threading.Event(), threading.Event()

    def parts() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(part: int) -> tuple[int, int]:
        if part == 1:
            time.sleep(0.05)  # the next do not wait for it
        if part == 7:
            begun.set()
            try:
                while True:
                    cpu_parallel.step()
                    time.sleep(0.001)
            except cpu_parallel.PartDroppedError:
                ended.set()
                raise
        return part, torch.get_num_threads()

    with cores(2):
        stream = cpu_parallel.stream(work, parts(), 2)
        assert [next(stream) for _ in range(5)] == [(k, 1) for k in range(5)]
        assert len(taken) <= 8
        next(stream)
        assert begun.wait(10)
        stream.close()
        assert ended.is_set() and len(taken) < 12
        assert list(cpu_parallel.stream(lambda part: part, [1, 2], 1)) == [1, 2]
        with pytest.raises(ZeroDivisionError):
            list(cpu_parallel.stream(lambda part: 1 // part, [1, 0, 1], 2))
