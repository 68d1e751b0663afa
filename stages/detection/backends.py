"""Detector backends: Grounding DINO, MM-Grounding-DINO, OWLv2 and SAM 3; a phrase to boxes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...configs.errors import UsageError
from ..accel.grounding_dino import backbone_cache

Seen = dict[str, Any]
"""Inputs or features of some pictures that are the same for every phrase."""


class RawDetections(NamedTuple):
    """Each query's box, xyxy in pixels within the picture, float32 (n, 4), and score, 0..1 (n,).

    `mask`: of a model that masks too: the mask of query i, bool (H, W).
    """

    boxes: np.ndarray
    scores: np.ndarray
    mask: Callable[[int], np.ndarray] | None = None


class UnknownDetectorError(UsageError):
    """A model that is none of the known detectors."""


def kind(model: Any) -> str:
    """The model_type of a detector. Raises UnknownDetectorError for one that cannot be asked."""
    name = str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))
    if name not in _ASK:
        raise UnknownDetectorError(
            f"{name} is no known detector: expected one of {', '.join(_ASK)}"
        )
    return name


_LAYOUT = {"input_data_format": "channels_last"}
"""For each processor: it would misread a picture of 1 or 3 rows."""


def scores_words(model: Any) -> bool:
    """Whether the model scores each word of a phrase, so that a text threshold has a meaning."""
    return kind(model).endswith("grounding-dino")


def gives_masks(model: Any) -> bool:
    """Whether its detections have masks, so that no segmenter is needed."""
    return kind(model) == "sam3"


def ask(
    model: Any, processor: Any, images: Sequence[np.ndarray], phrase: str
) -> list[RawDetections]:
    """An answer for each picture; the pictures, uint8 (H, W, 3), are of one size or square."""
    return [one[phrase] for one in ask_all(model, processor, images, [phrase])]


def ask_all(
    model: Any, processor: Any, images: Sequence[np.ndarray], phrases: Sequence[str]
) -> list[dict[str, RawDetections]]:
    """For each picture its answers by phrase; the same, bit for bit, as one `ask` a phrase gives.

    A Grounding DINO that `accel.grounding_dino.apply` patched runs its backbone once.
    """
    import torch

    out: list[dict[str, RawDetections]] = [{} for _ in images]
    seen: Seen = {}
    cache = backbone_cache.shared() if len(phrases) > 1 else contextlib.nullcontext()
    with torch.inference_mode(), cache:
        for phrase in phrases:
            answers = _ASK[kind(model)](model, processor, images, phrase, seen)
            for one, answer in zip(out, answers, strict=True):
                one[phrase] = answer
    return out


def _grounding(
    model: Any, processor: Any, images: Sequence[Any], phrase: str, seen: Seen
) -> list[RawDetections]:
    text = [phrase.lower().rstrip(". ") + "."] * len(images)
    if not seen:
        inputs = processor(images=list(images), text=text, return_tensors="pt", **_LAYOUT)
        inputs = inputs.to(model.device)
        pixels = {k: inputs[k] for k in ("pixel_values", "pixel_mask") if k in inputs}
        seen.update(_with_room_for_queries(pixels, model.config))
        inputs = {**inputs, **seen}
    else:
        inputs = {**processor(text=text, return_tensors="pt").to(model.device), **seen}
    out = model(**inputs)
    scores = out.logits.amax(-1).float().sigmoid().cpu().numpy()
    cxcywh = out.pred_boxes.float().cpu().numpy()
    centre, half = cxcywh[..., :2], cxcywh[..., 2:] / 2
    boxes = np.concatenate([centre - half, centre + half], -1)
    return [
        RawDetections(_within(b * _scale(image), image), s)
        for image, b, s in zip(images, boxes, scores, strict=True)
    ]


def _with_room_for_queries(pixels: Seen, config: Any) -> Seen:
    """The inputs, padded with masked pixels where the picture is too narrow: the model takes its
    queries from the cells of its feature maps, and fails where it has fewer cells than queries."""
    from torch.nn import functional

    height, width = size = list(pixels["pixel_values"].shape[-2:])
    strides = [8 * 2**level for level in range(config.num_feature_levels)]
    while sum(-(-size[0] // s) * -(-size[1] // s) for s in strides) < config.num_queries:
        size[height > width] += 8
    room = (0, size[1] - width, 0, size[0] - height)
    return {name: functional.pad(values, room) for name, values in pixels.items()}


def _owl(
    model: Any, processor: Any, images: Sequence[Any], phrase: str, seen: Seen
) -> list[RawDetections]:
    # the prompt is CLIP's, as OWLv2 was trained with; its boxes relate to the picture padded to a
    # square, which the processor knows
    text = [[f"a photo of a {phrase.strip()}"]] * len(images)
    inputs = processor(
        images=list(images), text=text, truncation=True, return_tensors="pt", **_LAYOUT
    )
    out = model(**inputs.to(model.device))
    return _processed(processor.post_process_grounded_object_detection, out, images)


def _sam3(
    model: Any, processor: Any, images: Sequence[Any], phrase: str, seen: Seen
) -> list[RawDetections]:
    # the processor has no truncation, and a longer text than the model's own breaks it
    words = processor.tokenizer(
        [phrase.strip()] * len(images),
        padding="max_length",
        max_length=model.config.text_config.max_position_embeddings,
        truncation=True,
        return_tensors="pt",
    ).to(model.device)
    if not seen:
        pixels = processor.image_processor(list(images), return_tensors="pt", **_LAYOUT)
        values = pixels["pixel_values"].to(model.device)
        seen["vision_embeds"] = model.get_vision_features(pixel_values=values)
    out = model(
        vision_embeds=seen["vision_embeds"],
        input_ids=words["input_ids"],
        attention_mask=words["attention_mask"],
    )
    answers = _processed(processor.post_process_object_detection, out, images)
    return [
        a._replace(mask=_resized(logits, image.shape[:2]))
        for a, logits, image in zip(answers, out.pred_masks.float().cpu(), images, strict=True)
    ]


def _resized(logits: Any, shape: tuple[int, int]) -> Callable[[int], np.ndarray]:
    """Mask logits (n, h, w) → a function of i. One at a time: all would not fit at 24 MP."""

    def mask(i: int) -> np.ndarray:
        import torch

        with torch.inference_mode():
            share = torch.nn.functional.interpolate(
                logits[i].sigmoid()[None, None], shape, mode="bilinear", align_corners=False
            )
            out: np.ndarray = (share[0, 0] > 0.5).numpy()
        return out

    return mask


def _processed(
    post_process: Callable[..., Any], out: Any, images: Sequence[Any]
) -> list[RawDetections]:
    """Every query, by a processor's own post-processing: scores are above 0, so all pass."""
    sizes = [image.shape[:2] for image in images]
    found = post_process(out, threshold=-1.0, target_sizes=sizes)
    return [
        RawDetections(
            _within(f["boxes"].float().cpu().numpy(), image), f["scores"].float().cpu().numpy()
        )
        for f, image in zip(found, images, strict=True)
    ]


def _scale(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return np.array([width, height, width, height], np.float32)


def _within(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.clip(boxes, 0, _scale(image)).astype(np.float32)
    return out


_ASK: dict[str, Callable[[Any, Any, Sequence[Any], str, Seen], list[RawDetections]]] = {
    "grounding-dino": _grounding,
    "mm-grounding-dino": _grounding,
    "owlv2": _owl,
    "sam3": _sam3,
}
