"""Stage 3: the masked product drawn anew by ControlNet inpainting, the scene kept bit for bit.

Works on a padded crop round the product at the model's own size; the control map is cut from the
same crop. What lies outside the feathered mask is copied from the source. Knows no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import batch, composite, lora
from .generate import to_uint8
from .prompt import expand, parse
from .samplers import scheduler
from .shot import Prompted, Shot, Skip

Control = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Job:
    """One crop of one shot: the products of one class together."""

    shot: int
    source: np.ndarray
    box: tuple[int, int, int, int]
    blend: np.ndarray
    crop: np.ndarray
    crop_mask: np.ndarray
    control: np.ndarray
    prompt: str
    seed: int


class Rerenderer:
    """`pipe`: a StableDiffusionControlNetInpaintPipeline; `control`: picture to control map.

    `strength` 0..1; `size_wh`, `padding`, `mask_blur`, `dilate` in pixels (padding and the mask's
    of the picture); `conditioning_scale` and guidance start and end as in diffusers.
    """

    def __init__(
        self,
        pipe: Any,
        control: Control,
        *,
        prompt_template: str,
        negative_prompt: str = "",
        strength: float = 0.75,
        steps: int = 20,
        cfg_scale: float = 7.0,
        sampler: str = "DPM++ 2M Karras",
        size_wh: tuple[int, int] = (512, 512),
        padding: int = 32,
        mask_blur: int = 4,
        dilate: int = 4,
        conditioning_scale: float = 1.0,
        guidance_start: float = 0.0,
        guidance_end: float = 1.0,
        batch_size: int = 4,
        lora_dirs: Sequence[str | Path] = (),
    ) -> None:
        self.pipe, self.control = pipe, control
        self.template, self.negative = prompt_template, negative_prompt
        self.scheduler = scheduler(sampler, pipe.scheduler.config)
        self.size_wh = size_wh
        self.padding, self.blur, self.dilate = padding, mask_blur, dilate
        self.batch_size = batch_size
        self.lora_dirs = tuple(lora_dirs)
        self.options = {
            "strength": strength,
            "num_inference_steps": steps,
            "guidance_scale": cfg_scale,
            "width": size_wh[0],
            "height": size_wh[1],
            "controlnet_conditioning_scale": conditioning_scale,
            "control_guidance_start": guidance_start,
            "control_guidance_end": guidance_end,
            "output_type": "np",
        }

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots with masks get `result`, `blend`, `control` and become `enhanced`."""
        return batch.apply(shots, self._render, where="rerender", size=self.batch_size)

    def _render(self, shots: list[Shot]) -> list[Shot]:
        out = [self._begin(s) for s in shots]
        rounds = max(len({d.label for d in s.detections}) for s in shots)
        for turn in range(rounds):
            jobs = [j for k, s in enumerate(out) if s.open for j in self._job(k, s, turn)]
            jobs.sort(key=lambda j: repr(parse(j.prompt)[1]))
            for job, patch in zip(jobs, self._draw(jobs) if jobs else [], strict=True):
                shot = out[job.shot]
                assert shot.blend is not None
                result = composite.paste(job.source, patch, job.box, job.blend)
                blend = np.maximum(shot.blend, job.blend)
                control = shot.control if shot.control is not None else job.control
                out[job.shot] = replace(shot, result=result, blend=blend, control=control)
        return [self._end(s) if s.open else s for s in out]

    def _begin(self, shot: Shot) -> Shot:
        if shot.image is None or shot.mask is None or not shot.mask.any():
            return shot.skip(Skip("no_mask", "no mask to re-render; run stage 2 first"))
        none = np.zeros(shot.image.shape[:2], np.float32)
        return replace(shot, result=shot.image.copy(), blend=none)

    def _job(self, index: int, shot: Shot, turn: int) -> list[_Job]:
        labels = list(dict.fromkeys(d.label for d in shot.detections))
        if turn >= len(labels):
            return []
        masks = [d.mask for d in shot.detections if d.label == labels[turn] and d.mask is not None]
        mask = composite.dilate(np.logical_or.reduce(masks), self.dilate)
        blend = composite.feather(mask, self.blur)
        box = composite.crop_box(blend > 0, self.padding, self.size_wh)
        if box is None or shot.result is None:
            return []
        x0, y0, x1, y1 = box
        inside = np.zeros_like(blend)
        inside[y0:y1, x0:x1] = blend[y0:y1, x0:x1]
        crop = composite.resize(shot.result[y0:y1, x0:x1], self.size_wh)
        hard = (inside[y0:y1, x0:x1] > 0).astype(np.uint8) * 255
        prompt = self._prompt(shot, labels[turn])
        return [
            _Job(
                shot=index,
                source=shot.result,
                box=box,
                blend=inside,
                crop=crop,
                crop_mask=composite.resize(hard, self.size_wh),
                control=self.control(crop),
                prompt=prompt,
                seed=shot.seed + turn,
            )
        ]

    def _prompt(self, shot: Shot, label: str) -> str:
        own = isinstance(shot.source, Prompted) and len(shot.classes) == 1
        if own and not shot.edit and isinstance(shot.source, Prompted):
            return shot.source.prompt
        return expand(self.template, label, shot.edit)

    def _draw(self, jobs: list[_Job]) -> list[np.ndarray]:
        """The crops drawn anew, uint8 (h, w, 3) each, in order."""
        import torch
        from PIL import Image

        patches: list[np.ndarray] = []
        start = 0
        while start < len(jobs):
            tags = parse(jobs[start].prompt)[1]
            stop = start
            while stop < len(jobs) and parse(jobs[stop].prompt)[1] == tags:
                stop += 1
            part = jobs[start:stop]
            lora.attach(self.pipe, tags, self.lora_dirs)
            self.pipe.scheduler = self.scheduler
            with torch.inference_mode():
                images = self.pipe(
                    prompt=[parse(j.prompt)[0] for j in part],
                    negative_prompt=[self.negative] * len(part),
                    image=[Image.fromarray(j.crop) for j in part],
                    mask_image=[Image.fromarray(j.crop_mask) for j in part],
                    control_image=[Image.fromarray(j.control) for j in part],
                    generator=[torch.Generator("cpu").manual_seed(j.seed % 2**63) for j in part],
                    **self.options,
                ).images
            patches += list(to_uint8(images))
            start = stop
        return patches

    def _end(self, shot: Shot) -> Shot:
        assert shot.image is not None and shot.result is not None and shot.blend is not None
        changed = composite.changed_outside(shot.image, shot.result, shot.blend)
        structure = composite.edge_iou(shot.image, shot.result, shot.mask)
        return replace(shot, status="enhanced").with_metrics(
            changed_outside=changed, edge_iou=round(structure, 4)
        )
