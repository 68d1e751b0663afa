"""The models of a measure: embedded ones, or random weights in the published configurations, for
which nothing is downloaded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...configs.schema import Settings, load_settings


@dataclass(frozen=True)
class Models:
    """What a measure works with. `family`: "sd15", "sdxl", or "mini" for the embedded models."""

    family: str
    settings: Settings
    inpaint: Any
    detector: tuple[Any, Any]
    segmenter: tuple[Any, Any]
    device: Any

    @property
    def base(self) -> Any:
        """The text-to-image pipeline over the same models."""
        import diffusers

        xl = "XL" if self.family == "sdxl" else ""
        kind = getattr(diffusers, f"StableDiffusion{xl}Pipeline")
        parts = {k: v for k, v in self.inpaint.components.items() if k != "controlnet"}
        return kind(**parts, **({} if xl else {"requires_safety_checker": False}))


def embedded() -> Models:
    """The embedded models on a CPU, a step each."""
    from ...pipeline.build.stages import build_stages

    few = {"generate.steps": 1, "rerender.steps": 1, "generate.width": 64, "generate.height": 64}
    settings = load_settings("mini", {**few, "run.device": "cpu", "generate.prompt": "{class}"})
    stages: Any = build_stages(settings, ("detect", "segment", "rerender"))
    return Models(
        "mini",
        settings,
        stages.rerender.default.pipe,
        (stages.detect.model, stages.detect.processor),
        (stages.segment.model, stages.segment.processor),
        "cpu",
    )


def random(family: str, device: str) -> Models:
    """The models of the preset `family` with random weights on a GPU; control maps are Canny's."""
    import diffusers
    import torch
    import transformers

    from ...checkpoints import load, pipelines, reference_configs

    torch.manual_seed(0)
    parts: dict[str, Any] = {}
    xl = family == "sdxl"
    with tempfile.TemporaryDirectory() as place, torch.device(device):
        reference_configs.write(family, Path(place))
        for name, config in reference_configs.components(family).items():
            if name == "scheduler":
                parts[name] = diffusers.EulerDiscreteScheduler.from_config(config)
            elif name.startswith("text_encoder"):
                kind = getattr(transformers, config["architectures"][0])
                parts[name] = kind(transformers.CLIPTextConfig(**config)).half()
                words = name.replace("text_encoder", "tokenizer")
                parts[words] = transformers.CLIPTokenizer.from_pretrained(Path(place) / words)
            else:
                parts[name] = getattr(diffusers, config["_class_name"]).from_config(config).half()
        net = diffusers.ControlNetModel.from_unet(parts["unet"]).half().to(device)
        find = transformers.GroundingDinoForObjectDetection(transformers.GroundingDinoConfig())
        mask = transformers.SamModel(transformers.SamConfig())
    if xl:
        pipe = diffusers.StableDiffusionXLPipeline(**parts)
    else:
        pipe = diffusers.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    _, words = load.load_detector("mini/grounding-dino")
    processor = transformers.GroundingDinoProcessor(
        transformers.GroundingDinoImageProcessor(), words.tokenizer
    )
    return Models(
        family,
        load_settings(family),
        pipelines.inpainting(pipe, [net]),
        (find.to(device).eval(), processor),
        (mask.to(device).eval(), transformers.SamProcessor(transformers.SamImageProcessor())),
        device,
    )
