"""Stage 2, detection: finds products of the asked classes, or skips the shot with a reason.

Each phrase is a query of its own, so that labels are never merged; only pictures of one size share
a batch, since padding changes scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..configs.detect import DetectOptions
from . import adaptive_batching
from .accel import cpu_parallel, grounding_dino, offload
from .classes import ClassSpec, specs_of
from .detection import backends, close_ups
from .detection.backends import RawDetections
from .detection.non_maximum_suppression import suppress, suppress_across_classes
from .regions.boxes import iou
from .shot import Detection, Shot, Skip
from .stage import Modules

NARROWEST = 100
"""Largest ratio of the sides: beyond it a picture scaled to a model's input has no rows left."""


class Detector:
    """Finds boxes of classes, of SAM 3 with masks.

    Args:
        model: a Grounding DINO, MM-Grounding-DINO, OWLv2 or SAM 3 of transformers.
        processor: the model's.
        options: thresholds and the like.
        classes: phrases, reject phrases and thresholds, by class; a class without an entry stands
            for itself.
        accelerate: False runs the library's own code, without the patches of `stages.accel`.

    Raises:
        UnknownDetectorError: for another kind of model.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        options: DetectOptions | None = None,
        *,
        classes: Mapping[str, ClassSpec] | None = None,
        accelerate: bool = True,
    ) -> None:
        if accelerate:
            grounding_dino.apply(model)
        else:
            grounding_dino.remove(model)
        self.model, self.processor = model, processor
        self.options = options or DetectOptions()
        self.classes = dict(classes or {})
        self.text_threshold = self.options.text_threshold if backends.scores_words(model) else 0.0
        self.batch_size = self.options.batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots get their `detections`, or are skipped as `no_detection`, `rejected` or, where
        one side is over 100 times the other, `too_narrow`."""
        return adaptive_batching.apply(shots, self._find, where="detect", key=_key, stage=self)

    def probe(self) -> None:
        """Run one blank picture of a common shape through the model, whose memory is measured
        meanwhile."""
        blank = np.zeros((720, 1280, 3), np.uint8)
        backends.ask(self.model, self.processor, [blank], "object")

    def modules(self) -> Modules:
        """The detector."""
        return {"detect": [self.model]}

    def sweep(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots get each box that some threshold could pass (see `passing`); no skips."""
        return adaptive_batching.apply(shots, self._all, where="detect", key=_key, stage=self)

    def passing(self, found: Sequence[Detection], least: Mapping[str, float]) -> set[str]:
        """The classes with a box left where each class's scores must be above its `least`, 0..1.

        `found`: what `sweep` gave, so that one look at a picture answers for all thresholds: NMS
        and reject phrases drop a box for a better-scored one, whatever the threshold.
        """
        floor = {name: max(least[name], self.text_threshold) for name in least}
        return {
            d.label
            for d in suppress_across_classes(
                [d for d in found if d.score > floor[d.label]], self.options.cross_class_iou
            )
        }

    def threshold(self, name: str) -> float:
        """The least score of a box of a class, 0..1, exclusive."""
        return max(self._asked(name), self.text_threshold)

    def _asked(self, name: str) -> float:
        spec = self.classes.get(name)
        threshold = spec.threshold if spec else None
        return self.options.box_threshold if threshold is None else threshold

    def _all(self, shots: list[Shot]) -> list[Shot]:
        out = []
        for shot, answers in zip(shots, self._ask(shots), strict=True):
            found, _ = self._pick(shot, answers, dict.fromkeys(shot.classes, 0.0), masks=False)
            out.append(replace(shot, detections=tuple(found)))
        return out

    def _find(self, shots: list[Shot]) -> list[Shot]:
        narrow = _narrow(shots[0])
        if narrow:
            return [shot.skip(Skip("too_narrow", narrow)) for shot in shots]
        out = []
        least = {name: self.threshold(name) for name in shots[0].classes}
        for shot, answers in zip(shots, self._ask(shots), strict=True):
            found, beaten = self._pick(shot, answers, least)
            if found:
                out.append(
                    replace(
                        shot,
                        detections=tuple(
                            suppress_across_classes(found, self.options.cross_class_iou)
                        ),
                    )
                )
            elif beaten:
                out.append(shot.skip(Skip("rejected", "; ".join(beaten))))
            else:
                best = {
                    spec.name: max(float(answers[p].scores.max(initial=0)) for p in spec.queries)
                    for spec in specs_of(shot.classes, self.classes)
                }
                reason = _absent(best, least)
                if any(self._asked(name) < self.text_threshold for name in best):
                    reason += f"; below {self.text_threshold:g} detect.text_threshold decides"
                out.append(shot.skip(Skip("no_detection", reason)))
        return out

    def _ask(self, shots: list[Shot]) -> list[dict[str, RawDetections]]:
        """The answers to every phrase of the shots' classes, once each, for each shot."""
        images = [s.on_white for s in shots]
        if any(image is None for image in images):
            raise ValueError("a shot without a picture: expected one; run generate or load first")
        specs = specs_of(shots[0].classes, self.classes)
        phrases = dict.fromkeys(p for s in specs for p in (*s.queries, *s.reject))

        def answers(part: list[Any]) -> list[dict[str, RawDetections]]:
            return backends.ask_all(self.model, self.processor, part, list(phrases))

        offload.wake(self.model)
        workers = cpu_parallel.workers(self.model.device, self.batch_size)
        parts = cpu_parallel.cut(images, self.batch_size, workers)
        first = [one for found in cpu_parallel.each(answers, parts, workers) for one in found]
        return self._again(images, first, workers) if self.options.second_look else first

    def _again(
        self, images: Sequence[Any], first: list[dict[str, RawDetections]], workers: int
    ) -> list[dict[str, RawDetections]]:
        views = close_ups.views(first)
        close = [
            c
            for view in views
            for c in close_ups.close_ups(images[view.picture], view, self.options.second_look)
        ]
        groups: dict[Any, list[int]] = {}
        for k, one in enumerate(close):
            groups.setdefault(one.kind, []).append(k)

        def answers(part: list[int]) -> list[RawDetections]:
            shown, phrase = [close[k].image for k in part], close[part[0]].view.phrase
            return backends.ask(self.model, self.processor, shown, phrase)

        cuts = [cpu_parallel.cut(of, self.batch_size, workers) for of in groups.values()]
        parts = [part for cut in cuts for part in cut]
        by_close_up: dict[int, RawDetections] = {}
        for part, found in zip(parts, cpu_parallel.each(answers, parts, workers), strict=True):
            by_close_up |= zip(part, found, strict=True)
        each, looks = len(self.options.second_look), []
        for k, view in enumerate(views):
            of = range(k * each, (k + 1) * each)
            looks.append((view, *close_ups.look(view, [(close[i], by_close_up[i]) for i in of])))
        return close_ups.taken_in(first, looks)

    def _pick(
        self,
        shot: Shot,
        answers: Mapping[str, RawDetections],
        least: Mapping[str, float],
        *,
        masks: bool = True,
    ) -> tuple[list[Detection], list[str]]:
        """The detections by falling score, and messages for those that a reject phrase beat."""
        found: list[Detection] = []
        beaten: list[str] = []
        for spec in specs_of(shot.classes, self.classes):
            boxes = np.concatenate([answers[p].boxes for p in spec.queries])
            scores = np.concatenate([answers[p].scores for p in spec.queries])
            origin = [(p, i) for p in spec.queries for i in range(len(answers[p].scores))]
            keep = suppress(boxes, scores, least[spec.name], self.options.nms_iou)
            boxes, scores = boxes[keep], scores[keep]
            lost = np.zeros(len(boxes), bool)
            for phrase in spec.reject:
                other, theirs = answers[phrase].boxes, answers[phrase].scores
                stronger = iou(boxes, other) >= self.options.nms_iou
                stronger &= theirs[None] > scores[:, None]
                for i in np.flatnonzero(stronger.any(1) & ~lost)[:1]:
                    what = f"{theirs[stronger[i]].max():.2f} over {scores[i]:.2f}"
                    beaten.append(f"{phrase!r} fits better than {spec.name!r} ({what})")
                lost |= stronger.any(1)
            for i in np.flatnonzero(~lost):
                x0, y0, x1, y1 = boxes[i].tolist()
                phrase, query = origin[keep[i]]
                mask = answers[phrase].mask if masks else None
                pixels = mask(query) if mask else None
                found.append(Detection((x0, y0, x1, y1), float(scores[i]), spec.name, pixels))
        return sorted(found, key=lambda d: -d.score), beaten


def _narrow(shot: Shot) -> str:
    """Why a picture is too narrow to detect in; "" where it is not."""
    if shot.image is None:
        return ""
    height, width = shot.image.shape[:2]
    if max(height, width) <= NARROWEST * min(height, width):
        return ""
    return f"{width} × {height} pixels: expected sides of at most {NARROWEST} to 1"


def _key(shot: Shot) -> tuple[Any, ...]:
    return (shot.image.shape if shot.image is not None else None, shot.classes)


def _absent(best: Mapping[str, float], least: Mapping[str, float]) -> str:
    if len(set(least.values())) == 1:
        names = " or ".join(repr(name) for name in best)
        threshold = next(iter(least.values()))
        return f"no {names} above {threshold:g}; best {max(best.values()):.2f}"
    each = [f"no {name!r} above {least[name]:g} (best {best[name]:.2f})" for name in best]
    return ", ".join(each)
