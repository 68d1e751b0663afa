"""Builds the control maps of the ControlNets from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError

if TYPE_CHECKING:
    from ...configs.rerender import ControlSettings
    from ...configs.schema import Settings
    from ...stages.diffusion.control_maps import Control

ANNOTATORS = {
    "depth": "depth-anything/Depth-Anything-V2-Small-hf",
    "hed": "lllyasviel/Annotators",
    "softedge": "lllyasviel/Annotators",
    "lineart": "lllyasviel/Annotators",
    "normal": "lllyasviel/Annotators",
    "seg": "openmmlab/upernet-convnext-small",
}
"""What makes the map of a kind, unless the settings name another."""

MODES = {
    "depth": 1,
    "hed": 2,
    "softedge": 2,
    "canny": 3,
    "lineart": 3,
    "normal": 4,
    "seg": 5,
    "tile": 6,
    "inpaint": 7,
}
"""The control_mode of a kind for ControlNet++ Union (6 and 7: its ProMax alone), by diffusers'
documentation, api/pipelines/controlnet_union."""


class UnknownControlModeError(UsageError):
    """A kind of map that a union ControlNet does not take."""


def check_modes(inpaint: Any, settings: Settings) -> None:
    """Raise UnknownControlModeError for a map that a union ControlNet does not take."""
    config = getattr(getattr(inpaint, "controlnet", None), "config", {})
    known = config.get("num_control_type")
    for c in settings.leading:
        if known is not None and MODES[c.kind] >= known:
            kinds = ", ".join(kind for kind, mode in MODES.items() if mode < known)
            raise UnknownControlModeError(
                f"{c.model} takes no {c.kind} map: expected one of {kinds}; set rerender.controls"
            )


def build(settings: Settings, *, device: str = "cpu") -> list[Any]:
    """A `Controlled` for each ControlNet of the settings, in their order."""
    from ...stages.diffusion.inpaint import Controlled

    return [
        Controlled(
            control(c, device=device),
            c.conditioning_scale,
            c.guidance_start,
            c.guidance_end,
            MODES[c.kind],
        )
        for c in settings.leading
    ]


def control(settings: ControlSettings, *, device: str = "cpu") -> Control:
    """What makes the maps of one ControlNet; loads its model, where it has one."""
    from ...checkpoints import annotators
    from ...stages.diffusion import control_maps

    kind = settings.kind
    if kind == "canny":
        return control_maps.Canny(settings.low, settings.high)
    if kind == "tile":
        return control_maps.Tile()
    if kind == "inpaint":
        return control_maps.Inpaint()
    ref = settings.annotator or ANNOTATORS[kind]
    if kind == "depth":
        return control_maps.Depth(*annotators.load_depth(ref, device=device))
    if kind == "seg":
        return control_maps.Segmentation(*annotators.load_semantic(ref, device=device))
    return control_maps.Annotator(annotators.load_annotator(kind, ref, device=device))
