"""What a re-render came to: its outcome, and what it did to scene, seam and structure."""

from __future__ import annotations

from dataclasses import replace

from ..diffusion.decode import Decoded, NotANumberError
from ..generate import FLAGGED
from ..shot import Shot
from . import composite


def ended(shot: Shot, drawn: Decoded) -> Shot | None:
    """The shot, ended by what was drawn for it; None where that can be shown."""
    if drawn.error:
        return shot.fail(NotANumberError(drawn.error), "rerender")
    return shot.skip(FLAGGED) if drawn.flagged else None


def measured(shot: Shot) -> Shot:
    """The shot with what its re-render did to scene, seam and structure."""
    assert shot.image is not None and shot.result is not None and shot.blend is not None
    image, result, blend = shot.image, shot.result, shot.blend
    changed = composite.changed_outside(image, result, blend)
    if shot.deep is not None:
        deep = composite.deepen(shot.deep, image, result, blend)
        changed = composite.changed_outside(shot.deep, deep, blend)
        shot = replace(shot, deep_result=deep)
    near = composite.surroundings(blend > 0, 3)
    image, result, blend = image[near], result[near], blend[near]
    mask = None if shot.mask is None else shot.mask[near]
    return shot.with_metrics(
        changed_outside=changed,
        edge_iou=round(composite.edge_iou(image, result, mask), 4),
        seam=round(composite.seam(image, result, blend), 3),
    )
