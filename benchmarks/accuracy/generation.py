"""What stage 1 draws: is it the class, the colour, the look? And how true is the VAE?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ...pipeline.inputs.shots import prompted
from ...pipeline.runner.run import Stages
from ...samples import vocabulary
from . import color_metrics, sharpness
from .detection import detected, held_out, mask_iou, shot_of

Classify = Callable[[list[np.ndarray]], list[str]]


def classifier(ref: Any) -> Classify:
    """The recipe's classifier of a folder; knows renders only."""
    import torch
    from transformers import AutoImageProcessor, ResNetForImageClassification

    model = ResNetForImageClassification.from_pretrained(ref, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(ref)

    @torch.inference_mode()
    def classify(images: list[np.ndarray]) -> list[str]:
        logits = model(**processor(images=images, return_tensors="pt")).logits
        return [model.config.id2label[int(k)].split(",")[0] for k in logits.argmax(1)]

    return classify


def draw(stages: Stages, names: list[str], count: int, prompt: str, seed: int) -> list[Any]:
    """`count` shots a class through stages 1 and 2."""
    assert stages.generate and stages.segment
    shots = prompted(names, count, prompt=prompt, run_seed=seed)
    return stages.segment(detected(stages, stages.generate(shots)))


def measure_classes(
    stages: Stages, classify: Classify, prompt: str, count: int, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Stage 2's verdict and the classifier's on `count` pictures of each class."""
    shots = draw(stages, list(vocabulary.CLASSES), count, prompt, seed)
    named = classify([s.image for s in shots])
    steepness: dict[str, list[float]] = defaultdict(list)
    kept: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for shot, name in zip(shots, named, strict=True):
        kept[shot.classes[0]].append(shot.open)
        right[shot.classes[0]].append(name == shot.classes[0])
        seen[shot.classes[0]][name] += 1
        if shot.open and shot.mask is not None and shot.mask.any():
            steepness[shot.classes[0]].append(sharpness.gradient(shot.image, shot.mask))
    sharp = {n: float(np.mean(v)) / _rendered_gradient(n, shots) for n, v in steepness.items()}
    values = {
        "kept": float(np.mean([v for vs in kept.values() for v in vs])),
        "classified": float(np.mean([v for vs in right.values() for v in vs])),
        "classified_worst": float(min(np.mean(v) for v in right.values())),
        "edge_sharpness": float(np.mean(list(sharp.values()))) if sharp else 0.0,
    }
    detail = {
        name: {
            "kept": float(np.mean(kept[name])),
            "classified": float(np.mean(right[name])),
            "called": dict(seen[name]),
            "edge_sharpness": sharp.get(name),
        }
        for name in kept
    }
    return values, {"pictures_a_class": count, "classes": detail}


def _rendered_gradient(label: str, shots: list[Any], count: int = 8) -> float:
    """The mean gradient in the mask of held-out renders of a class, of the shots' size."""
    size = shots[0].image.shape[1]
    offset = 6 + vocabulary.CLASSES.index(label) / 10
    renders = held_out(count, size, offset=offset, products=1, others=0, label=label)
    return float(np.mean([sharpness.gradient(r.image, r.instances > 0) for r in renders]))


def measure_colours(
    stages: Stages, prompt: str, count: int, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Each colour word with `count` of the classes; refused pictures do not count."""
    obeyed: dict[str, list[bool]] = defaultdict(list)
    for k, word in enumerate(vocabulary.COLOURS):
        names = [vocabulary.CLASSES[(k + j) % len(vocabulary.CLASSES)] for j in range(count)]
        asked = prompt.replace("{class}", f"{word} {{class}}")
        for shot in draw(stages, names, 1, asked, seed + k):
            if shot.open and shot.mask is not None and shot.mask.any():
                got = color_metrics.nearest_word(shot.image, shot.mask, vocabulary.COLOUR_RGB)
                obeyed[word].append(got == word)
    all_ = [v for vs in obeyed.values() for v in vs]
    detail = {word: float(np.mean(v)) for word, v in obeyed.items()}
    values, pairs = _two_colours(stages, count, seed + 50)
    return {"colour_obeyed": float(np.mean(all_)) if all_ else 0.0, **values}, {
        "pictures": len(all_),
        "words": detail,
        "two": pairs,
    }


def _two_colours(stages: Stages, count: int, seed: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Pictures of "a red mug on a teal background": both words obeyed, and blotches beside the
    product, against renders of the same words. Twelve pairs of words, each with `count` classes;
    refused pictures do not count."""
    obeyed: dict[str, list[bool]] = defaultdict(list)
    drawn, rendered = [], []
    bright = [w for w in vocabulary.COLOURS if w not in ("black", "white", "gray", "brown")]
    for k, word in enumerate(vocabulary.COLOURS):
        behind = bright[(k + 3) % len(bright)]
        names = [vocabulary.CLASSES[(k + j) % len(vocabulary.CLASSES)] for j in range(count)]
        asked = f"a {word} {{class}} on a {behind} background"
        for j, shot in enumerate(draw(stages, names, 1, asked, seed + k)):
            if not shot.open or shot.mask is None or shot.mask.mean() in (0, 1):
                continue
            size = shot.image.shape[1]
            words = {"label": names[j], "colour": word, "scene": f"{behind} background"}
            (render,) = held_out(1, size, offset=7 + k / 100, products=1, others=0, **words)
            drawn.append(sharpness.blotches(shot.image, shot.mask))
            rendered.append(sharpness.blotches(render.image, render.instances > 0))
            got = [
                color_metrics.nearest_word(shot.image, where, vocabulary.COLOUR_RGB)
                for where in (shot.mask, sharpness.backdrop(shot.mask))
            ]
            obeyed[f"{word} on {behind}"].append(got == [word, behind])
    all_ = [v for vs in obeyed.values() for v in vs]
    return {
        "two_colours_obeyed": float(np.mean(all_)) if all_ else 0.0,
        "blotches": float(np.mean(drawn) / np.mean(rendered)) if drawn else 0.0,
    }, {name: float(np.mean(v)) for name, v in obeyed.items()}


def measure_drawn_masks(
    stages: Stages, pipe: Any, count: int, size: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Masks of pictures as stage 1 draws them: held-out renders drawn anew at strength 0.4, where
    outlines stay, so that the render's mask is the truth (SDEdit, Meng et al. 2022)."""
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline
    from PIL import Image

    assert stages.segment
    again = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    again.set_progress_bar_config(disable=True)
    fits = []
    for k, render in enumerate(held_out(count, size, offset=9, products=1, others=0)):
        product = render.meta["products"][0]
        picture = again(
            prompt=f"a {product['colour']} {product['label']}, {render.meta['scene']}",
            image=Image.fromarray(render.image),
            strength=0.4,
            num_inference_steps=20,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(k),
            output_type="np",
        ).images[0]
        shot = shot_of(render, product["label"], k)
        shot = replace(shot, image=np.rint(picture * 255).astype(np.uint8))
        (shot,) = detected(stages, [shot])
        if shot.open:
            (shot,) = stages.segment([shot])
            if shot.mask is not None:
                fits.append(mask_iou(shot.mask, render.instances > 0))
    return {"drawn_mask_iou": float(np.mean(fits)) if fits else 0.0}, {
        "pictures": count,
        "found": len(fits),
    }


def measure_vae(vae: Any, count: int, size: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Encode and decode held-out renders: PSNR, and CIEDE2000 on the products by colour word."""
    import torch

    renders = held_out(count, size, offset=1, products=1)
    ratios, differences = [], defaultdict(list)
    for render in renders:
        x = torch.from_numpy(render.image).permute(2, 0, 1)[None].to(vae.dtype) / 127.5 - 1
        with torch.inference_mode():
            z = vae.encode(x.to(vae.device)).latent_dist.mode()
            y = vae.decode(z).sample[0].clamp(-1, 1).float().cpu()
        back = ((y + 1) * 127.5).permute(1, 2, 0).numpy()
        error = np.square(back - render.image.astype(np.float64)).mean()
        ratios.append(10 * np.log10(255**2 / error))
        mask = render.instances > 0
        for product in render.meta["products"]:
            e = color_metrics.delta_e2000(
                color_metrics.lab(back[mask]), color_metrics.lab(render.image[mask])
            ).mean()
            differences[product["colour"]].append(float(e))
    by_word = {word: float(np.mean(v)) for word, v in differences.items()}
    return {"psnr": float(np.mean(ratios)), "worst_delta_e": max(by_word.values())}, {
        "pictures": count,
        "delta_e": by_word,
    }


def measure_look(
    stages: Stages, prompt: str, count: int, size: int, seed: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """How far the LoRA moves pictures to the look it learned, the class kept.

    The look is the mean profile (`colour.rings`) of held-out pictures in that look; a picture's
    distance is the mean CIELAB distance of its own profile. The gain is 1 - on / off.
    """
    looks = held_out(24, size, offset=2, products=1, others=0, scene="white background")
    target = np.mean(
        [color_metrics.rings(spot(r), r.instances > 0) for r in looks],
        axis=0,
    )
    import re

    bare = re.sub(r"<lora:[^>]*>", "", prompt).rstrip(" ,")
    distances = {}
    kept = 0.0
    for name, text in (("on", prompt), ("off", bare)):
        shots = draw(stages, list(vocabulary.CLASSES), count, text, seed)
        if name == "on":
            kept = float(np.mean([s.open for s in shots]))
        none = np.zeros((size, size), bool)
        masks = [s.mask if s.open and s.mask is not None else none for s in shots]
        profiles = [color_metrics.rings(s.image, m) for s, m in zip(shots, masks, strict=True)]
        distances[name] = float(
            np.mean([np.linalg.norm(p - target, axis=1).mean() for p in profiles])
        )
    return {
        "look_gain": 1 - distances["on"] / distances["off"],
        "look_class_kept": kept,
    }, {"distance": distances, "pictures": count * len(vocabulary.CLASSES)}


def spot(render: Any) -> np.ndarray:
    """A render in the LoRA's look, uint8."""
    from ...samples import studio

    return np.rint(studio.spotlight(render.image / 255) * 255).astype(np.uint8)
