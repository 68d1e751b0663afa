"""Stages without models, for tests of what stands around them: they know what to answer.

A picture shows its product by its red channel: `find` takes red > 127 as the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from visuals.pipeline.runner.run import Stages
from visuals.stages.shot import Detection, FileInput, Prompted, Shot, Skip
from visuals.stages.stage import FunctionStage


def prompted(name: str, seed: int = 0) -> Shot:
    return Shot(id=name, source=Prompted("a mug", "", seed), classes=("mug",))


def photo(name: str, path: str = "x.png") -> Shot:
    return Shot(id=name, source=FileInput(path, 1), classes=("mug",))


def draw(shots: Sequence[Shot]) -> list[Shot]:
    """8×8 pictures; those of an odd seed hold no product, seed 13 raises."""
    out = []
    for shot in shots:
        if shot.seed == 13:
            raise RuntimeError("out of paint")
        image = np.zeros((8, 8, 3), np.uint8)
        if shot.seed % 2 == 0:
            image[2:6, 2:6, 0] = 255
        out.append(replace(shot, image=image))
    return out


def find(shots: Sequence[Shot]) -> list[Shot]:
    out = []
    for shot in shots:
        assert shot.open and shot.image is not None
        mask = shot.image[..., 0] > 127
        if not mask.any():
            out.append(shot.skip(Skip("no_detection", "no 'mug' above 0.35; best 0.22")))
            continue
        found = Detection((2, 2, 6, 6), 0.9, "mug", mask=mask, mask_score=0.95)
        out.append(replace(shot, detections=(found,)))
    return out


def repaint(shots: Sequence[Shot]) -> list[Shot]:
    out = []
    for shot in shots:
        assert shot.image is not None and shot.mask is not None
        result = shot.image.copy()
        result[shot.mask] = (0, 255, 0)
        done = replace(
            shot,
            result=result,
            blend=shot.mask.astype(np.float32),
            control=np.zeros((8, 8, 3), np.uint8),
            status="enhanced",
        )
        out.append(done.with_metrics(changed_outside=0, edge_iou=0.8))
    return out


STAGES = Stages(
    generate=FunctionStage(draw), detect=FunctionStage(find), rerender=FunctionStage(repaint)
)
