"""Detect, mask, re-render as the libraries' own documentation does it: one picture at a time.

Grounding DINO and SAM of transformers, ControlNet inpainting of diffusers with
`padding_mask_crop`. Knows nothing of `visuals`, so that the comparison is with what one would
write today:

    python -m visuals.benchmarks.baseline settings.json photos out

`settings.json`: {"detector", "segmenter", "sd", "controlnet": folders or hub names, "class",
"prompt", "negative_prompt", "box_threshold", "text_threshold", "strength", "steps", "cfg_scale",
"size", "padding", "blur", "low", "high", "karras", "rerender": bool, "seeds": {stem: seed}}.
Writes pictures, masks and `result.json` ({"pictures", "found", "seconds"}); the seconds leave out
what comes before the first picture.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(settings_file: str, photos: str, out: str) -> None:
    import cv2
    import numpy as np
    import torch
    from diffusers import (
        ControlNetModel,
        DPMSolverMultistepScheduler,
        StableDiffusionControlNetInpaintPipeline,
    )
    from PIL import Image
    from transformers import (
        AutoModelForZeroShotObjectDetection,
        AutoProcessor,
        SamModel,
        SamProcessor,
    )

    asked: dict[str, Any] = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.float16 if device == "cuda" else torch.float32
    detector = AutoModelForZeroShotObjectDetection.from_pretrained(
        asked["detector"], dtype=torch.float32
    ).to(device)
    reader = AutoProcessor.from_pretrained(asked["detector"])
    segmenter = SamModel.from_pretrained(asked["segmenter"], dtype=torch.float32).to(device)
    marker = SamProcessor.from_pretrained(asked["segmenter"])
    if asked["rerender"]:
        net = ControlNetModel.from_pretrained(asked["controlnet"], torch_dtype=dtype)
        pipe = StableDiffusionControlNetInpaintPipeline.from_pretrained(
            asked["sd"], controlnet=net, torch_dtype=dtype, safety_checker=None
        ).to(device)
        pipe.scheduler = DPMSolverMultistepScheduler.from_config(
            pipe.scheduler.config, use_karras_sigmas=asked["karras"]
        )
        pipe.set_progress_bar_config(disable=True)
    place = Path(out)
    place.mkdir(parents=True, exist_ok=True)
    files = sorted(p for p in Path(photos).iterdir() if p.suffix in (".png", ".jpg"))
    found = 0
    began = time.perf_counter()
    for path in files:
        image = Image.open(path).convert("RGB")
        with torch.no_grad():
            inputs = reader(images=image, text=f"{asked['class']}.", return_tensors="pt")
            outputs = detector(**inputs.to(device))
        (boxes,) = reader.post_process_grounded_object_detection(
            outputs,
            inputs.input_ids,
            threshold=asked["box_threshold"],
            text_threshold=asked["text_threshold"],
            target_sizes=[image.size[::-1]],
        )
        if not len(boxes["boxes"]):
            continue
        found += 1
        prompts = [boxes["boxes"].tolist()]
        with torch.no_grad():
            inputs = marker(image, input_boxes=prompts, return_tensors="pt").to(device)
            outputs = segmenter(**inputs, multimask_output=False)
        (masks,) = marker.image_processor.post_process_masks(
            outputs.pred_masks.cpu(),
            inputs["original_sizes"].cpu(),
            inputs["reshaped_input_sizes"].cpu(),
        )
        mask = masks[:, 0].any(0).numpy()
        Image.fromarray(mask.astype(np.uint8) * 255).save(place / f"{path.stem}.mask.png")
        if not asked["rerender"]:
            image.save(place / f"{path.stem}.png")
            continue
        edges = cv2.Canny(
            cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY), asked["low"], asked["high"]
        )
        grown = pipe.mask_processor.blur(
            Image.fromarray(mask.astype(np.uint8) * 255), blur_factor=asked["blur"]
        )
        seed = asked["seeds"].get(path.stem, 0)
        result = pipe(
            prompt=asked["prompt"],
            negative_prompt=asked["negative_prompt"],
            image=image,
            mask_image=grown,
            control_image=Image.fromarray(np.repeat(edges[..., None], 3, axis=2)),
            width=asked["size"],
            height=asked["size"],
            padding_mask_crop=asked["padding"],
            strength=asked["strength"],
            num_inference_steps=asked["steps"],
            guidance_scale=asked["cfg_scale"],
            generator=torch.Generator("cpu").manual_seed(seed),
        ).images[0]
        result.save(place / f"{path.stem}.png")
    seconds = time.perf_counter() - began
    record = {"pictures": len(files), "found": found, "seconds": seconds}
    (place / "result.json").write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
