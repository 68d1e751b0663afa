"""Pictures a second and peaks of memory of the stages; what is drawn is noise.

Every measure runs once to warm up. The baseline of stage 3 is the libraries' own way: a picture a
call.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...stages.shot import Detection, FileInput, Prompted, Shot
from .random_models import Models

GIB = 2**30


def timed(work: Callable[[], Any], count: int, device: Any) -> dict[str, float | None]:
    """Pictures a second of `work`, which makes `count` of them, and its peak of memory in GiB, all
    weights included; None on a CPU."""
    import torch

    cuda = torch.device(device).type == "cuda"
    _check(work())
    if cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    peak = round(torch.cuda.max_memory_allocated(device) / GIB, 2) if cuda else None
    return {"pictures_a_second": round(count / seconds, 3), "peak_gib": peak}


def _check(done: Any) -> None:
    """Raise RuntimeError where a shot of a stage has failed."""
    for shot in done if isinstance(done, list) else ():
        if isinstance(shot, list):
            _check(shot)
        elif shot.failure:
            raise RuntimeError(f"{shot.failure.where}: {shot.failure.message}")


def shots(models: Models, count: int, spread: float = 0.0) -> list[Shot]:
    """Noise of the model's size, with a product whose aspect is log-normal of sigma `spread`."""
    rng, (width, height) = np.random.default_rng(0), _size(models)
    out = []
    for k in range(count):
        aspect = float(np.exp(rng.normal(0, spread) / 2))
        w, h = (min(0.9, 0.4 * f) for f in (aspect, 1 / aspect))
        x0, y0 = int(width * (1 - w) / 2), int(height * (1 - h) / 2)
        mask = np.zeros((height, width), bool)
        mask[y0 : height - y0, x0 : width - x0] = True
        box = (float(x0), float(y0), float(width - x0), float(height - y0))
        out.append(
            Shot(
                str(k),
                FileInput(f"{k}.png", k),
                ("mug",),
                image=rng.integers(0, 256, (height, width, 3), np.uint8),
                detections=(Detection(box, 0.9, "mug", mask),),
            )
        )
    return out


def _size(models: Models) -> tuple[int, int]:
    g = models.settings.generate
    return g.width, g.height


def rerenderer(models: Models, **changes: Any) -> Any:
    """Stage 3 with Canny maps; `changes`: of its options."""
    from ...stages.diffusion.control_maps import Canny
    from ...stages.diffusion.inpaint import Controlled
    from ...stages.prompts.instance_prompts import InstancePrompts
    from ...stages.rerender import Rerenderer

    options = models.settings.rerender.model_copy(update={"min_structure": 0.0, **changes})
    prompts = InstancePrompts("a red {class}")
    return Rerenderer(models.inpaint, [Controlled(Canny())], prompts, options)


def stages(models: Models, count: int) -> dict[str, Any]:
    """Each stage alone, and stage 3 as the documentation of the libraries has it."""
    from ...stages.detect import Detector
    from ...stages.generate import Generator
    from ...stages.segment import Segmenter

    asked = [Shot(str(k), Prompted("a mug", "", k), ("mug",)) for k in range(count)]
    masked = shots(models, count)
    boxed = [replace(s, detections=tuple(replace(d, mask=None) for d in s.detections))
             for s in masked]  # fmt: skip
    bare = [replace(s, detections=()) for s in masked]
    draw = Generator(models.base, models.settings.generate)
    segment = Segmenter(*models.segmenter, batch_size=models.settings.segment.batch_size)
    again = rerenderer(models)
    alone = rerenderer(models, batch_size=1)
    alone.drawer.accelerate = False
    work: dict[str, Callable[[], object]] = {
        "generate": lambda: draw(asked),
        "detect": lambda: Detector(*models.detector, models.settings.detect)(bare),
        "segment": lambda: segment(boxed),
        "rerender": lambda: again(masked),
        "rerender, baseline": lambda: [alone([shot]) for shot in masked],
    }
    return {name: timed(one, count, models.device) for name, one in work.items()}


def grouping(models: Models, count: int) -> dict[str, Any]:
    """Stage 3 over products of many aspects: given whole, and cut before it groups them."""
    stage, varied = rerenderer(models), shots(models, count, spread=0.35)
    size = stage.batch_size
    cut = [varied[k : k + size] for k in range(0, count, size)]
    return {
        "cut, then grouped": timed(lambda: [stage(part) for part in cut], count, models.device),
        "grouped, then cut": timed(lambda: stage(varied), count, models.device),
    }


@contextmanager
def lora_file(models: Models) -> Iterator[Path]:
    """The folder of a LoRA "x" of random weights, rank 16, on the layers that kohya trains."""
    import torch

    from ...training.lora import network, save

    unet = type(models.inpaint.unet).from_config(models.inpaint.unet.config)
    network.attach(unet, rank=16, alpha=16)
    with torch.no_grad():
        for name, weight in network.parameters(unet).items():
            weight.normal_(0, 0.01 if "lora_B" in name else 0.1)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "x.safetensors"
        tensors = save.diffusers({"unet": list(network.layers(unet))})
        save.write(path, tensors, {"format": "pt"}, hashes=False)
        yield Path(place)


def fusing(models: Models, count: int) -> dict[str, Any]:
    """Stage 1 with a LoRA beside the weights, and added into them."""
    from ...checkpoints.lora.search import in_folders
    from ...stages.generate import Generator

    asked = [Shot(str(k), Prompted("a mug <lora:x:1>", "", k), ("mug",)) for k in range(count)]
    out = {}
    with lora_file(models) as folder:
        for name, fuse in (("beside", False), ("fused", True)):
            options = models.settings.generate.model_copy(update={"fuse_loras": fuse})
            draw = Generator(models.base, options, find_lora=in_folders([folder]))
            out[name] = timed(partial(draw, asked), count, models.device)
            draw([replace(asked[0], source=Prompted("a mug", "", 0))])  # takes it out again
    return out


def precisions(models: Models, count: int) -> dict[str, Any]:
    """Detector and segmenter in float32, in TF32, and the segmenter's encoder in half precision."""
    import torch

    from ...stages.detect import Detector
    from ...stages.segment import Segmenter

    bare = [replace(s, detections=()) for s in shots(models, count)]
    boxed = [replace(s, detections=tuple(replace(d, mask=None) for d in s.detections))
             for s in shots(models, count)]  # fmt: skip
    half = torch.float16 if torch.device(models.device).type == "cuda" else torch.bfloat16
    before = torch.get_float32_matmul_precision()
    out = {}
    try:
        for name, kind, encoder in (
            ("float32", "highest", None),
            ("TF32", "high", None),
            ("half", "high", half),
        ):
            torch.set_float32_matmul_precision(kind)
            torch.backends.cudnn.allow_tf32 = kind == "high"
            segment = Segmenter(*models.segmenter, batch_size=1, encoder_dtype=encoder)
            out[f"segment, {name}"] = timed(partial(segment, boxed), count, models.device)
            if encoder is None:
                find = Detector(*models.detector, models.settings.detect)
                out[f"detect, {name}"] = timed(partial(find, bare), count, models.device)
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = True
    return out


def training(models: Models) -> dict[str, Any]:
    """A step of a LoRA's training, rank 16, one picture, with gradient checkpointing."""
    import torch

    from ...training.lora import network

    cuda = torch.device(models.device).type == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    old = models.inpaint.unet  # loaded in inference mode: its tensors know no gradients
    with torch.device(models.device):
        unet = type(old).from_config(old.config).to(dtype)
    network.attach(unet, rank=16, alpha=8)
    unet.enable_gradient_checkpointing()
    unet.train()
    weights = list(network.parameters(unet).values())
    optimizer = torch.optim.AdamW(weights)
    width, height = _size(models)
    place = {"device": models.device, "dtype": dtype}
    added = None
    if models.family == "sdxl":
        added = {
            "text_embeds": torch.zeros(1, 1280, **place),
            "time_ids": torch.zeros(1, 6, **place),
        }
    inputs = {
        "sample": torch.randn(1, 4, height // 8, width // 8, **place),
        "timestep": torch.tensor([5], device=models.device),
        "encoder_hidden_states": torch.randn(1, 77, unet.config.cross_attention_dim, **place),
        "added_cond_kwargs": added,
        "return_dict": False,
    }

    def step() -> None:
        with torch.autocast(torch.device(models.device).type, dtype=torch.bfloat16, enabled=cuda):
            loss = unet(**inputs)[0].float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(step, 1, models.device)


def measure(models: Models, count: int) -> dict[str, Any]:
    """Every measure."""
    return {
        "stages": stages(models, count),
        "grouping": grouping(models, count),
        "lora": fusing(models, count),
        "precision": precisions(models, count),
        "training": training(models),
    }
