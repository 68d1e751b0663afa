"""Settings to control maps: which ControlNet is led by which map, and what makes the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..configs.schema import ControlSettings, Settings
    from ..stages.condition import Control

ANNOTATORS = {
    "depth": "depth-anything/Depth-Anything-V2-Small-hf",
    "hed": "lllyasviel/Annotators",
    "softedge": "lllyasviel/Annotators",
    "lineart": "lllyasviel/Annotators",
    "normal": "lllyasviel/Annotators",
    "seg": "openmmlab/upernet-convnext-small",
}
"""What makes the map of a kind, unless the settings name another."""


def build(settings: Settings, *, device: str = "cpu") -> list[Any]:
    """A `Controlled` for each ControlNet of the settings, in their order."""
    from ..stages.rerender import Controlled

    return [
        Controlled(
            control(c, device=device), c.conditioning_scale, c.guidance_start, c.guidance_end
        )
        for c in settings.leading
    ]


def control(settings: ControlSettings, *, device: str = "cpu") -> Control:
    """What makes the maps of one ControlNet; loads its model, where it has one."""
    from ..checkpoints import load
    from ..stages import condition

    kind = settings.kind
    if kind == "canny":
        return condition.Canny(settings.low, settings.high)
    if kind == "tile":
        return condition.Tile()
    if kind == "inpaint":
        return condition.Inpaint()
    ref = settings.annotator or ANNOTATORS[kind]
    if kind == "depth":
        return condition.Depth(*load.load_depth(ref, device=device))
    if kind == "seg":
        return condition.Segmentation(*load.load_semantic(ref, device=device))
    return condition.Annotator(load.load_annotator(kind, ref, device=device))
