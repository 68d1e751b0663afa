"""Which presets fit which card: weights counted on meta tensors, and activations that `peak_memory`
traced."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from ...stages.accel.memory import largest_batch
from . import weights_table
from .peak_memory import unet, vae

GIB = 2**30
CARDS = (8, 12, 16, 24, 80)
"""GiB, as they are sold."""
CONTEXT = 0.6
"""GiB that CUDA's context, its libraries' kernels and a screen take of a card."""
FRAGMENTS = 1.1
"""What torch's allocator reserves for each byte that lives."""

TRACED = {
    "sd15 unet": 0.13,
    "sd15 unet, controlnet": 0.16,
    "sd15 vae": 0.38,
    "sdxl unet": 0.31,
    "sdxl unet, controlnet": 0.42,
    "sdxl vae": 1.5,
    "sam": 0.96,
    "sam float32": 1.57,
    "sdxl training": 7.72,
    "sdxl training, checkpointing": 1.13,
}
"""GiB of activations at their peak for one picture, with CFG, in float16: SD 1.5 at 512 × 512, SDXL
at 1024 × 1024, SAM ViT-B encoding in float16. Training: one picture in bfloat16, LoRA of rank 16 on
the UNet, with its weights, gradients and AdamW's state."""
DETECTOR = 0.79
"""GiB of Grounding DINO tiny's activations for a picture of 800 × 800, float32: run on a CPU, since
its shapes depend on values."""


@functools.cache
def weights() -> dict[str, float]:
    """GiB of each model's weights in the precision that a GPU holds them in: float16, and float32
    for those of stage 2 and of control maps."""
    import torch
    import transformers
    from diffusers import ControlNetModel

    from ...checkpoints import reference_configs

    out = {}
    with torch.device("meta"):
        for family in ("sd15", "sdxl", "sdxl-refiner"):
            net = unet(family)
            out[f"{family} unet"] = _gib(net, 2)
            if family == "sdxl-refiner":
                continue
            out[f"{family} controlnet"] = _gib(
                ControlNetModel.from_unet(net, load_weights_from_unet=False), 2
            )
            out[f"{family} vae"] = _gib(vae(family), 2)
            text = 0.0
            for name, config in reference_configs.components(family).items():
                if name.startswith("text_encoder"):
                    kind = getattr(transformers, config["architectures"][0])
                    text += _gib(kind(transformers.CLIPTextConfig(**config)), 2)
            out[f"{family} text"] = text
        checker = transformers.CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
            num_attention_heads=16, patch_size=14,
        )  # fmt: skip
        out["sd15 checker"] = _gib(transformers.CLIPVisionModel(checker), 2)
        out["sam"] = _gib(transformers.SamModel(transformers.SamConfig()), 4)
        out["depth"] = _gib(
            transformers.DepthAnythingForDepthEstimation(transformers.DepthAnythingConfig()), 4
        )
    out["detector"] = DETECTOR_WEIGHTS
    return out


DETECTOR_WEIGHTS = 172_250_626 * 4 / GIB
"""Of Grounding DINO tiny; its class reads values when it is built."""


def _gib(model: Any, size: int) -> float:
    return sum(p.numel() for p in model.parameters()) * size / GIB


@dataclass(frozen=True)
class Need:
    """GiB of a preset. `resident`: weights that are on the card at the time, `each`: activations of
    a picture; a list entry a step of the run."""

    steps: tuple[tuple[float, float], ...]
    find: tuple[float, float]

    def fits(self, batch: int, room: float) -> bool:
        """Whether pictures of stages 1 and 3 fit, `batch` at a time, and one of stage 2."""
        drawn = all(weights + batch * each <= room for weights, each in self.steps)
        return drawn and sum(self.find) <= room

    def find_batch(self, room: float) -> int:
        """Pictures of stage 2 at a time."""
        held, each = self.find
        return largest_batch(8, int((room - held) * GIB), int(each * GIB))


@dataclass(frozen=True)
class Preset:
    """A shipped preset: its family, pictures at a time, and whether it has the refiner."""

    name: str
    family: str
    batch: int
    refined: bool = False

    def need(self, low_memory: bool) -> Need:
        """Its steps, all weights resident or those at work alone."""
        w, f = weights(), self.family
        refiner = w["sdxl-refiner unet"] if self.refined else 0.0
        drawing = (w[f"{f} unet"] + w[f"{f} controlnet"], TRACED[f"{f} unet, controlnet"])
        decoding = (w[f"{f} vae"], 0.0)
        finding = (w["detector"], DETECTOR), (w["sam"], TRACED["sam"])
        others = w[f"{f} text"] + w["depth"] + (w["sd15 checker"] if f == "sd15" else 0.0)
        if low_memory:
            one = TRACED[f"{f} vae"]  # one picture at a time, whatever the batch
            steps = [drawing, (w[f"{f} text"], 0.0), (w[f"{f} vae"] + one, 0.0)]
            steps += [(refiner, TRACED["sdxl unet"])] if refiner else []
            return Need(tuple(steps), max(finding, key=sum))
        every = drawing[0] + decoding[0] + others + refiner + sum(held for held, _ in finding)
        steps = [(every, drawing[1]), (every + TRACED[f"{f} vae"], 0.0)]
        return Need(tuple(steps), (every, max(each for _, each in finding)))


PRESETS = (
    Preset("sd15", "sd15", 4),
    Preset("sd15-fast", "sd15", 4),
    Preset("sdxl", "sdxl", 2),
    Preset("sdxl-fast", "sdxl", 2),
    Preset("sdxl-refined", "sdxl", 2, refined=True),
    Preset("roads", "sdxl", 2),
)


def how(preset: Preset, card: float) -> str:
    """How a preset runs on a card of `card` GiB: the largest batch that fits, first without
    --low-memory."""
    room = (card - CONTEXT) / FRAGMENTS
    for low in (False, True):
        need = preset.need(low)
        for batch in range(preset.batch, 0, -1):
            if need.fits(batch, room):
                option = ", `--low-memory`" if low else ""
                return f"{batch} at a time; stage 2: {need.find_batch(room)}{option}"
    return "does not fit"


def how_large(preset: str, card: float) -> str:
    """How a preset with a large transformer runs on a card of `card` GiB, a picture at a time."""
    w, room = weights(), card - weights_table.ALLOWANCE
    first, last = weights_table.PRESETS[preset]
    drawing = sum(weights_table.size(name, "full") for name in (first, last))
    if drawing + w["detector"] + w["sam"] + w["depth"] <= room:
        return "1 at a time"
    if weights_table.largest_turn(preset) <= room:
        return "1 at a time, `--low-memory`"
    in_parts = weights_table.largest_part(preset) <= room
    return "block by block, `--low-memory`" if in_parts else "does not fit"


def training(card: float, *, checkpointing: bool) -> bool:
    """Whether an SDXL LoRA trains on a card: bfloat16, one picture of 1024 × 1024 at a time."""
    w = weights()
    traced = TRACED["sdxl training, checkpointing" if checkpointing else "sdxl training"]
    held = w["sdxl unet"] + w["sdxl text"] + 2 * w["sdxl vae"]  # the VAE in float32
    return held + traced <= (card - CONTEXT) / FRAGMENTS


def table() -> str:
    """The table of docs/gpu.md, in Markdown."""
    rows = [["preset", *(f"{card} GB (computed)" for card in CARDS)], ["---"] * (len(CARDS) + 1)]
    rows += [[f"`{p.name}`", *(how(p, card) for card in CARDS)] for p in PRESETS]
    large = weights_table.PRESETS
    rows += [[f"`{name}`", *(how_large(name, card) for card in CARDS)] for name in large]
    cells = []
    for card in CARDS:
        plain, spared = (training(card, checkpointing=c) for c in (False, True))
        cells.append("fits" if plain else "`gradient_checkpointing`" if spared else "does not fit")
    rows.append(["LoRA of SDXL, 1024 px, batch 1", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
