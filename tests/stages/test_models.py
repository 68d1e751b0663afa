"""The stages on real pipelines; untrained models where the trained ones are not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import call_sizes
from safetensors.torch import load_file

from visuals.checkpoints import load
from visuals.checkpoints.catalog import names as catalog
from visuals.checkpoints.lora.file import LoraFileError
from visuals.checkpoints.lora.search import LoraNotFoundError, in_folders
from visuals.configs.detect import DetectOptions
from visuals.configs.generate import GenerateOptions
from visuals.configs.rerender import RerenderOptions
from visuals.pipeline.runner.run import Stages, run_shots
from visuals.stages.detect import Detector
from visuals.stages.diffusion import control_maps, lora_adapters
from visuals.stages.diffusion.inpaint import Controlled
from visuals.stages.diffusion.samplers import UnknownSamplerError, scheduler
from visuals.stages.generate import Generator
from visuals.stages.prompts.instance_prompts import InstancePrompts
from visuals.stages.prompts.lora_tags import LoraTag
from visuals.stages.rerender import Rerenderer
from visuals.stages.segment import Segmenter
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

PROMPT = "ppzmini, {class}, studio photography, <lora:ppzmini:1>"


@pytest.fixture(scope="module")
def pipe(mini: Path) -> Any:
    return load.load_text_to_image("mini/sd")


def prompted(seed: int) -> Shot:
    return Shot(id=f"s{seed}", source=Prompted("red mug", "", seed), classes=("mug",))


def photo(size: tuple[int, int] = (96, 128)) -> Shot:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    return Shot(id="p", source=FileInput("p.png", 5), classes=("mug",), image=image)


def test_a_picture_does_not_depend_on_its_batch(pipe: Any) -> None:
    options: dict[str, Any] = {"steps": 3, "width": 64, "height": 64}
    alone = Generator(pipe, GenerateOptions(batch_size=1, **options))([prompted(1), prompted(2)])
    both = Generator(pipe, GenerateOptions(batch_size=2, **options))([prompted(1), prompted(2)])
    for a, b in zip(alone, both, strict=True):
        assert a.image is not None and b.image is not None
        assert np.abs(a.image.astype(int) - b.image).max() <= 2
    assert (alone[0].image != alone[1].image).any()


def test_a_lora_is_w_plus_scale_times_b_a_and_comes_off(pipe: Any) -> None:
    folder = catalog.resolve("mini/loras")
    weights = load_file(Path(folder) / "ppzmini.safetensors")
    stem = next(k for k in weights if k.endswith("to_q.lora_down.weight"))
    stem = stem.removesuffix(".lora_down.weight")
    down, up = (weights[f"{stem}.lora_{d}.weight"].float() for d in ("down", "up"))
    scale = 0.5 * weights[f"{stem}.alpha"].item() / down.shape[0]
    modules = {"lora_unet_" + n.replace(".", "_"): m for n, m in pipe.unet.named_modules()}
    before = modules[stem]
    base = getattr(before, "base_layer", before)
    x = torch.randn(2, base.in_features)
    plain = base(x)
    lora_adapters.attach(pipe, [LoraTag("ppzmini", 0.5, 0.5)], in_folders([folder]))
    modules = {"lora_unet_" + n.replace(".", "_"): m for n, m in pipe.unet.named_modules()}
    expected = plain + scale * x @ down.T @ up.T
    assert torch.allclose(modules[stem](x), expected, atol=1e-5)
    lora_adapters.attach(pipe, [], in_folders([folder]))
    assert torch.allclose(modules[stem](x), plain, atol=1e-6)


def test_an_unknown_lora_names_those_that_are_there(pipe: Any) -> None:
    with pytest.raises(LoraNotFoundError, match="ppzmini"):
        lora_adapters.attach(pipe, [LoraTag("nope")], in_folders([catalog.resolve("mini/loras")]))


def test_a_broken_lora_is_named_and_leaves_the_model_as_it_was(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\x00\x00")
    for _ in range(2):
        with pytest.raises(LoraFileError, match=r"torn\.safetensors"):
            lora_adapters.attach(pipe, [LoraTag("torn")], in_folders([tmp_path]))


def test_an_unknown_sampler_names_the_nearest() -> None:
    with pytest.raises(UnknownSamplerError, match="did you mean 'DPM\\+\\+ 2M'"):
        scheduler("DPM 2M", {})


def test_detection_skips_with_the_best_score_and_keeps_the_rest_open(mini: Path) -> None:
    model, processor = load.load_detector("mini/grounding-dino")
    strict = Detector(model, processor, DetectOptions(box_threshold=1.0))([photo()])[0]
    assert strict.status == "skipped" and strict.reason is not None
    assert (
        strict.reason.code == "no_detection" and "'mug' above 1; best 0." in strict.reason.message
    )
    loose = Detector(model, processor, DetectOptions(box_threshold=0.0, text_threshold=0.0))(
        [photo(), photo()]
    )
    for shot in loose:
        assert shot.open and shot.detections
        for d in shot.detections:
            x0, y0, x1, y1 = d.box_xyxy
            assert 0 <= x0 < x1 <= 128 and 0 <= y0 < y1 <= 96 and d.label == "mug"


def test_masks_have_the_picture_s_size_and_ragged_boxes_change_nothing(mini: Path) -> None:
    model, processor = load.load_segmenter("mini/sam")
    segment = Segmenter(model, processor, min_ratio=0.0)
    boxes = [Detection((10.0, 10.0, 60.0, 70.0), 0.9, "mug")]
    boxes.append(Detection((40.0, 20.0, 120.0, 90.0), 0.8, "mug"))
    one, two = replace(photo(), detections=(boxes[0],)), replace(photo(), detections=tuple(boxes))
    alone = segment([one])[0]
    together = segment([one, two])
    first, same = alone.detections[0].mask, together[0].detections[0].mask
    assert first is not None and same is not None
    assert first.shape == (96, 128) and first.dtype == bool
    assert (first != same).mean() < 0.001
    assert len(together[1].detections) == 2


def test_a_close_up_s_mask_comes_back_to_its_place(mini: Path) -> None:
    """What SAM sees of a box is its close-up: what lies farther away changes no mask."""
    model, processor = load.load_segmenter("mini/sam")
    segment = Segmenter(model, processor, min_ratio=0.0, crop_padding=0.2)
    near = Detection((90.0, 50.0, 126.0, 86.0), 0.9, "mug")
    wide = Detection((4.0, 2.0, 124.0, 94.0), 0.9, "mug")
    shot = replace(photo(), detections=(near, wide))
    assert shot.image is not None
    other = shot.image.copy()
    other[:, :70] = 255 - other[:, :70]
    first, second = segment([shot, replace(shot, image=other)])
    masks = [d.mask for d in (*first.detections, *second.detections)]
    assert all(m is not None and m.shape == (96, 128) for m in masks)
    assert (masks[0] == masks[2]).all() and (masks[1] != masks[3]).any()


def test_a_mask_does_not_leave_its_box(mini: Path) -> None:
    model, processor = load.load_segmenter("mini/sam")
    box = Detection((40.0, 20.0, 80.0, 60.0), 0.9, "mug")
    done = Segmenter(model, processor, min_ratio=0.0, box_margin=0.1)(
        [replace(photo(), detections=(box,))]
    )[0]
    mask = done.detections[0].mask
    assert mask is not None
    outside = np.ones_like(mask)
    outside[16:64, 36:84] = False
    assert not mask[outside].any()


@pytest.fixture(scope="module")
def inpaint(pipe: Any, mini: Path) -> Any:
    return load.load_controlnet_inpaint("mini/sd", ["mini/controlnet-canny"], base=pipe)


def rerenderer(inpaint: Any, **options: Any) -> Rerenderer:
    usual: dict[str, Any] = {
        "strength": 0.9,
        "steps": 4,
        "width": 64,
        "height": 64,
        "padding": 6,
        "mask_blur": 1,
        "dilate": 1,
    }
    controls = options.pop("controls", [Controlled(control_maps.Canny(60, 140))])
    words = {k: options.pop(k) for k in ("prompts", "edits", "wildcards") if k in options}
    prompts = InstancePrompts(options.pop("prompt", PROMPT), **words)
    find_lora = in_folders([catalog.resolve("mini/loras")])
    drawing = RerenderOptions(**{**usual, **options})
    return Rerenderer(inpaint, controls, prompts, drawing, find_lora=find_lora)


def masked(*boxes: tuple[int, int, int, int]) -> Any:
    """The photo with a rectangle of a mug's mask in each box."""
    found = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros((96, 128), bool)
        mask[y0:y1, x0:x1] = True
        found.append(Detection((float(x0), float(y0), float(x1), float(y1)), 0.9, "mug", mask))
    return replace(photo(), detections=tuple(found))


def test_rerender_keeps_every_pixel_outside_and_changes_the_inside(inpaint: Any) -> None:
    done, empty = rerenderer(inpaint)([masked((40, 30, 90, 70)), photo()])
    assert done.status == "enhanced" and done.metrics["changed_outside"] == 0, done.failure
    assert done.image is not None and done.result is not None and done.blend is not None
    outside = done.blend == 0
    assert outside.sum() > 96 * 128 / 2
    assert (done.result[outside] == done.image[outside]).all()
    mask = done.detections[0].mask
    assert (done.result[mask] != done.image[mask]).any()
    assert empty.status == "skipped" and empty.reason is not None
    assert empty.reason.code == "no_mask"
    assert {"edge_iou", "seam"} <= set(done.metrics)


def test_a_product_keeps_its_colour_unless_it_is_asked_to_change(inpaint: Any) -> None:
    box = (40, 30, 90, 70)
    plain, edited, named = masked(box), masked(box), masked(box)
    edited = replace(edited, edit="yellow")
    named = replace(named, detections=(replace(named.detections[0], prompt="a red mug"),))
    shots = [plain, edited, named]
    free, kept = (rerenderer(inpaint, keep_color=k)(shots) for k in (False, True))

    def drift(shot: Any) -> float:
        mask = shot.detections[0].mask
        return float(np.abs(shot.result[mask].mean(0) - shot.image[mask].mean(0)).max())

    assert drift(kept[0]) < 3 < drift(free[0])
    for a, b in zip(free[1:], kept[1:], strict=True):
        assert np.array_equal(a.result, b.result)


def test_instances_of_all_shots_share_calls_and_overlapping_ones_take_turns(inpaint: Any) -> None:
    apart = masked((4, 4, 30, 30), (90, 50, 120, 90))
    over = masked((20, 20, 60, 60), (40, 40, 90, 90))
    with call_sizes(inpaint) as calls:
        done = rerenderer(inpaint, batch_size=4)([apart, over])
    assert [d.status for d in done] == ["enhanced"] * 2 and calls == [3, 1]
    assert all(d.metrics["changed_outside"] == 0 for d in done)


def test_shots_of_a_whole_batch_share_the_calls(inpaint: Any) -> None:
    boxes = [(10, 40, 110, 60), (40, 10, 60, 110)] * 3
    shots = [replace(masked(box), id=str(k)) for k, box in enumerate(boxes)]
    stage = rerenderer(inpaint, batch_size=3, aspect_buckets=True, padding=0, steps=2)
    with call_sizes(inpaint) as calls:
        done = list(run_shots(shots, Stages(rerender=stage), batch_size=6))
    assert [d.status for d in done] == ["enhanced"] * 6 and calls == [3, 3]


def test_a_window_s_size_follows_its_mask_s_aspect(inpaint: Any) -> None:

    stage = rerenderer(inpaint, aspect_buckets=True, padding=0)
    wide = stage.window(masked((10, 40, 110, 60)).mask)
    assert wide is not None and wide.size_wh[0] > 1.5 * wide.size_wh[1]
    assert stage([masked((10, 40, 110, 60))])[0].status == "enhanced"


def test_prompts_go_by_instance_and_skip_leaves_one_alone(inpaint: Any) -> None:
    stage = rerenderer(inpaint, prompts={"mug": "red {class} [SEP] [SKIP]"})
    done = stage([masked((4, 4, 30, 30), (90, 50, 120, 90))])[0]
    assert done.blend is not None and done.blend[10, 10] == 1 and done.blend[70, 100] == 0


def test_an_instance_may_have_words_and_a_strength_of_its_own(inpaint: Any) -> None:
    boxes = (4, 4, 30, 30), (90, 50, 120, 90)
    shot = masked(*boxes)
    first, second = shot.detections
    usual = rerenderer(inpaint, steps=4)([shot])[0]

    def drawn(**own: Any) -> Shot:
        found = first, replace(second, **own)
        return rerenderer(inpaint, steps=4)([replace(shot, detections=found)])[0]

    worded, weaker, same = drawn(prompt="old {class}"), drawn(strength=0.3), drawn(strength=0.9)
    assert worded.prompts[0] == usual.prompts[0] and worded.prompts[1] == "old mug"
    assert "huge mug" in drawn(edit="huge").prompts[1]
    assert drawn(prompt="[SKIP]").prompts == usual.prompts[:1]
    here, there = (slice(50, 90), slice(90, 120)), (slice(4, 30), slice(4, 30))
    for other in (worded, weaker):
        assert other.result is not None and usual.result is not None, other.failure
        near = np.abs(other.result[there].astype(int) - usual.result[there])
        assert near.max() <= 2 and (other.result[here] != usual.result[here]).any()
    assert same.result is not None and np.array_equal(same.result, usual.result)
    with pytest.raises(ValueError, match=r"strength 1\.5"):
        replace(first, strength=1.5)


def test_a_result_that_lost_its_structure_is_drawn_again_more_weakly(inpaint: Any) -> None:
    shot = masked((40, 30, 90, 70))
    tries = [rerenderer(inpaint, strength=s)([shot])[0].metrics["edge_iou"] for s in (1, 0.7, 0.49)]
    best = rerenderer(inpaint, strength=1.0, min_structure=1.0)([shot])[0]
    assert best.metrics["edge_iou"] == max(tries)
    assert best.metrics.get("strength", 1.0) == (1.0, 0.7, 0.49)[tries.index(max(tries))]
    content = rerenderer(inpaint, strength=1.0, min_structure=min(tries) / 2)([shot])[0]
    assert content.metrics["edge_iou"] == tries[0]


def test_two_controlnets_lead_together(pipe: Any, mini: Path) -> None:
    refs = ["mini/controlnet-canny", "mini/controlnet-canny"]
    both = load.load_controlnet_inpaint("mini/sd", refs, base=pipe)
    controls = [
        Controlled(control_maps.Canny(60, 140), 0.6),
        Controlled(control_maps.Tile(1.0), 0.3, 0.0, 0.5),
    ]
    done = rerenderer(both, controls=controls)([masked((40, 30, 90, 70)), masked((4, 4, 30, 30))])
    assert [d.status for d in done] == ["enhanced"] * 2, done[0].failure


def test_choices_and_weights_act_on_each_instance_by_its_seed(inpaint: Any) -> None:
    """[SEP] parts templates by instance; what each was drawn from is told, choices made."""
    boxes = (4, 4, 40, 40), (70, 40, 120, 90)
    template = "{a|b|c|d} (__colour__:1.3) {class} [SEP] plain {class}"
    options: dict[str, Any] = {
        "prompt": template,
        "edits": {"mug": "{tiny|huge}"},
        "wildcards": {"colour": ["red", "blue", "green"]},
        "steps": 2,
    }
    drawn = [rerenderer(inpaint, **options)([masked(*boxes)])[0] for _ in range(2)]
    assert [s.status for s in drawn] == ["enhanced", "enhanced"], drawn[0].failure
    first, second = drawn[0].prompts
    assert drawn[1].prompts == (first, second)
    assert not set("{_|") & set(first) and ":1.3)" in first
    assert first.split()[-1] == second.split()[-1] == "mug"
    assert second.split()[-2] in ("tiny", "huge")
    others = [seeded(masked(boxes[0]), seed) for seed in range(6)]
    done = rerenderer(inpaint, **options)(others)
    assert len({s.prompts for s in done}) >= 3, [s.failure for s in done]


def seeded(shot: Shot, seed: int) -> Shot:
    return replace(shot, source=FileInput("p.png", seed))


def test_a_prompt_s_weights_change_the_product_and_never_the_scene(inpaint: Any) -> None:
    plain, same, heavy, long = (
        rerenderer(inpaint, prompt=text)([masked((40, 30, 90, 70))])[0]
        for text in ("red mug", "red mug", "(red:1.8) mug", "red mug, " * 40)
    )
    assert plain.result is not None and same.result is not None, plain.failure
    assert np.array_equal(plain.result, same.result)
    for other in (heavy, long):
        assert other.result is not None, other.failure
        assert not np.array_equal(plain.result, other.result)
        assert other.metrics["changed_outside"] == 0
