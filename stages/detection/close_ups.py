"""Close-ups: scores the boxes that a detector is in doubt of again, on crops of the full picture.

A detector scales a photo to its input size, where a small product has few pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..regions.boxes import iou, square_box
from .backends import RawDetections

IN_DOUBT = 0.3, 0.7
"""Scores between which a box is scored again: below, hardly one passes; above, few are wrong."""
SAME = 0.5
"""Overlap from which two boxes are of the same thing."""


@dataclass(frozen=True)
class View:
    """A box in doubt: of a picture, with the phrase and its queries that found it."""

    picture: int
    phrase: str
    box: np.ndarray
    queries: np.ndarray


@dataclass(frozen=True)
class CloseUp:
    """A part of a picture, uint8 (h, w, 3), whose upper left corner lies at `offset`, in x and y.

    `kind`: close-ups of one kind may share a batch.
    """

    view: View
    image: np.ndarray
    offset: tuple[int, int]

    @property
    def kind(self) -> tuple[str, tuple[int, ...]]:
        height, width = self.image.shape[:2]
        square = height == width  # a model scales these to one size
        return self.view.phrase, (1, 1) if square else (height, width)


def views(answers: Sequence[Mapping[str, RawDetections]]) -> list[View]:
    """The boxes in doubt of each picture's answers by phrase."""
    return [
        View(k, phrase, answer.boxes[of[0]], of)
        for k, found in enumerate(answers)
        for phrase, answer in found.items()
        for of in _groups(answer)
    ]


def close_ups(image: np.ndarray, view: View, paddings: Sequence[float]) -> list[CloseUp]:
    """What of a picture, uint8 (H, W, 3), is shown again, the widest first: for each of `paddings`
    the square round the view's box, padded by that share of its longer side."""
    size_wh = image.shape[1], image.shape[0]
    out = []
    for padding in sorted(paddings, reverse=True):
        x0, y0, x1, y1 = square_box(tuple(view.box.tolist()), padding, size_wh)
        out.append(CloseUp(view, image[y0:y1, x0:x1], (x0, y0)))
    return out


def look(view: View, answers: Sequence[tuple[CloseUp, RawDetections]]) -> tuple[float, np.ndarray]:
    """Score, 0..1, and box of what the view's close-ups show at its place: the mean of the scores,
    the box of the last one, which is the closest, that shows it."""
    scores, box = [], view.box
    for close, answer in answers:
        boxes = answer.boxes + np.array([*close.offset, *close.offset], np.float32)
        seen = np.where(iou(boxes, view.box[None])[:, 0] >= SAME, answer.scores, 0.0)
        scores.append(float(seen.max(initial=0.0)))
        if scores[-1] > 0.5:
            box = boxes[int(seen.argmax())]
    return float(np.mean(scores)), box


def taken_in(
    answers: Sequence[Mapping[str, RawDetections]], looks: Sequence[tuple[View, float, np.ndarray]]
) -> list[dict[str, RawDetections]]:
    """The answers with each view's queries at the mean of both looks, and at the new box."""
    out = [dict(found) for found in answers]
    for view, score, box in looks:
        answer = out[view.picture][view.phrase]
        boxes, scores = answer.boxes.copy(), answer.scores.copy()
        scores[view.queries] = (scores[view.queries] + score) / 2
        boxes[view.queries] = box
        out[view.picture][view.phrase] = answer._replace(boxes=boxes, scores=scores)
    return out


def _groups(answer: RawDetections) -> list[np.ndarray]:
    """For each thing in doubt the queries that found it, the best first."""
    low, high = IN_DOUBT
    left = np.flatnonzero(answer.scores > low)
    left = left[np.argsort(-answer.scores[left], kind="stable")]
    out = []
    while len(left):
        same = iou(answer.boxes[left], answer.boxes[left[:1]])[:, 0] >= SAME
        same[0] = True
        if answer.scores[left[0]] < high:
            out.append(left[same])
        left = left[~same]
    return out
