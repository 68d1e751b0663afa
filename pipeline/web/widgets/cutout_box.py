"""The fields of cut-outs: on what the product alone is written, if it is, for a download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ....configs.errors import UsageError
from ...exports.cutouts import is_color
from ...jobs.request import RunRequest
from ..files import uploads
from .components import QUICK

NONE, CLEAR, PICTURE = "", "transparency", "picture"
CHOICES = [
    ("none", NONE),
    ("on transparency", CLEAR),
    ("on white", "white"),
    ("on a picture", PICTURE),
]


def box(elem_id: str, info: str = "") -> tuple[gr.Dropdown, gr.File]:
    """Return the field, whose value is one of CHOICES or a colour, and that of the picture."""
    cutout = gr.Dropdown(
        CHOICES, value=NONE, allow_custom_value=True, label="Cut-outs: the product alone",
        info=f"{info}A colour may be typed, as #f0f0f0", elem_id=elem_id,
    )  # fmt: skip
    picture = gr.File(
        label="Picture behind the product", file_types=["image"], visible=False, height=120,
        elem_id=f"{elem_id}-picture",
    )  # fmt: skip
    cutout.change(lambda value: gr.File(visible=value == PICTURE), cutout, picture, **QUICK)
    return cutout, picture


def fields(cutout: str | None) -> dict[str, Any]:
    """Return the fields of a request, but for a picture; raises UsageError for what is no colour.

    >>> fields("transparency"), fields("#f0f0f0"), fields("")
    ({'cutout': True}, {'background': '#f0f0f0'}, {})
    """
    cutout = (cutout or NONE).strip()
    if cutout in (NONE, PICTURE):
        return {}
    if cutout == CLEAR:
        return {"cutout": True}
    if not is_color(cutout):
        raise UsageError(f"cut-outs on {cutout!r}: expected a colour, as in white or #f0f0f0")
    return {"background": cutout}


def with_picture(root: Path, request: RunRequest, cutout: str, picture: str | None) -> RunRequest:
    """Return a request that was checked with the picture that was uploaded, where one is chosen."""
    if cutout != PICTURE:
        return request
    if not picture:
        raise UsageError("no picture behind the product: choose one below Cut-outs")
    upload = uploads.receive(root, [(Path(picture).name, Path(picture))])
    if not upload.pictures:
        raise UsageError("; ".join(upload.refused))
    return request.model_copy(update={"background": str(upload.pictures[0])})


def value_of(options: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the field's value for the options of a run, and what is left to do by hand."""
    background = str(options.get("background") or "")
    if background and not is_color(background):
        return PICTURE, [f"choose the picture behind the product again: {Path(background).name}"]
    return background or (CLEAR if options.get("cutout") else NONE), []
