"""Detect, mask, re-render as the libraries' own documentation does it: one picture at a time.

Grounding DINO and SAM of transformers, ControlNet inpainting of diffusers in a window round each
product, pasted back through the feathered mask. Knows nothing of `visuals`, so that the comparison
is with what one would write today:

    python -m visuals.benchmarks.speed.baseline settings.json photos out

`settings.json`: {"detector", "segmenter", "sd", "controlnet": folders or hub names, "class",
"prompt", "negative_prompt", "box_threshold", "text_threshold", "nms_iou", "crop_padding",
"strength", "steps", "cfg_scale", "size", "padding", "blur", "dilate", "low", "high",
"conditioning_scale", "guidance_end", "karras", "rerender": bool, "seeds": {stem: seed}}.
Writes pictures, masks and `result.json` ({"pictures", "found", "seconds", "cpu_seconds"}); both
leave out what comes before the first picture.
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
    from torchvision.ops import nms
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
    began, cpu = time.perf_counter(), time.process_time()
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
        kept = nms(boxes["boxes"], boxes["scores"], asked["nms_iou"])
        if not len(kept):
            continue
        found += 1
        masks = []
        for box in boxes["boxes"][kept].tolist():
            view = _square(box, asked["crop_padding"], image.size)
            x, y = view[:2]
            own = [box[0] - x, box[1] - y, box[2] - x, box[3] - y]
            with torch.no_grad():
                inputs = marker(image.crop(view), input_boxes=[[own]], return_tensors="pt")
                outputs = segmenter(**inputs.to(device), multimask_output=False)
            (cut,) = marker.image_processor.post_process_masks(
                outputs.pred_masks.cpu(),
                inputs["original_sizes"].cpu(),
                inputs["reshaped_input_sizes"].cpu(),
            )
            mask = np.zeros(image.size[::-1], np.uint8)
            mask[y : view[3], x : view[2]] = cut[0, 0].numpy()
            masks.append(mask)
        Image.fromarray(np.max(masks, axis=0) * 255).save(place / f"{path.stem}.mask.png")
        result = np.array(image)
        seed = asked["seeds"].get(path.stem, 0)
        for number, mask in enumerate(masks if asked["rerender"] else []):
            width = 2 * asked["dilate"] + 1
            brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
            side, blur = 4 * asked["blur"] + 1, asked["blur"]
            grown = cv2.dilate(mask, brush).astype(np.float32)
            soft = cv2.GaussianBlur(grown, (side, side), blur) if blur else grown
            soft[soft < 1 / 512] = 0
            x0, y0, x1, y1 = _window(soft, asked["padding"])
            size = (asked["size"], asked["size"])
            crop = _resized(result[y0:y1, x0:x1], size)
            edges = cv2.Canny(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), asked["low"], asked["high"])
            inside = _resized(soft[y0:y1, x0:x1], size) > 0
            drawn = pipe(
                prompt=asked["prompt"],
                negative_prompt=asked["negative_prompt"],
                image=Image.fromarray(crop),
                mask_image=Image.fromarray(inside.astype(np.uint8) * 255),
                control_image=Image.fromarray(np.repeat(edges[..., None], 3, axis=2)),
                controlnet_conditioning_scale=asked["conditioning_scale"],
                control_guidance_end=asked["guidance_end"],
                width=asked["size"],
                height=asked["size"],
                strength=asked["strength"],
                num_inference_steps=asked["steps"],
                guidance_scale=asked["cfg_scale"],
                generator=torch.Generator("cpu").manual_seed(seed + number),
            ).images[0]
            patch = _resized(np.asarray(drawn), (x1 - x0, y1 - y0)).astype(np.float32)
            weight, old = soft[y0:y1, x0:x1, None], result[y0:y1, x0:x1]
            result[y0:y1, x0:x1] = (old + (patch - old) * weight).round().clip(0, 255)
        Image.fromarray(result).save(place / f"{path.stem}.png")
    seconds = time.perf_counter() - began
    record = {
        "pictures": len(files),
        "found": found,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
    }
    (place / "result.json").write_text(json.dumps(record), encoding="utf-8")


def _square(box: list[float], padding: float | None, size_wh: tuple[int, int]) -> Any:
    """What SAM is shown of a box: the square round it, padded by this share of its longer side;
    all, where there is no padding."""
    if padding is None:
        return (0, 0, *size_wh)
    side = max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * padding)
    corners = []
    for low, high, size in zip(box[:2], box[2:], size_wh, strict=True):
        start = min(max(0.0, (low + high - min(side, size)) / 2), size - min(side, size))
        corners.append((round(start), round(start + min(side, size))))
    return corners[0][0], corners[1][0], corners[0][1], corners[1][1]


def _window(soft: Any, padding: int) -> tuple[int, int, int, int]:
    """The square round a mask, padded and moved into the picture."""
    import numpy as np

    height, width = soft.shape
    rows, columns = np.flatnonzero(soft.any(1)), np.flatnonzero(soft.any(0))
    x0, x1 = max(0, columns[0] - padding), min(width, columns[-1] + 1 + padding)
    y0, y1 = max(0, rows[0] - padding), min(height, rows[-1] + 1 + padding)
    side = max(x1 - x0, y1 - y0)
    w, h = min(side, width), min(side, height)
    left = min(max(0, (x0 + x1 - w) // 2), width - w)
    top = min(max(0, (y0 + y1 - h) // 2), height - h)
    return int(left), int(top), int(left + w), int(top + h)


def _resized(image: Any, size_wh: tuple[int, int]) -> Any:
    import cv2

    shrink = image.shape[0] * image.shape[1] > size_wh[0] * size_wh[1]
    return cv2.resize(
        image, size_wh, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LANCZOS4
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
