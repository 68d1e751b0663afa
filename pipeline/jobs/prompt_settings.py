"""The prompts of both stages that a request's prompt sets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...stages.prompts import lora_tags
from .request import RunRequest

if TYPE_CHECKING:
    from ...configs.schema import Settings


def prompt_settings(
    request: RunRequest, usual: Settings, warn: Callable[[str], None]
) -> dict[str, str | None]:
    """Return what a request's prompt sets; `usual`: the settings without it.

    The prompt of a picture that is to be drawn is no instruction for an edit model, and its LoRAs
    are not for a model of stage 3's own.
    """
    prompt, r, edits = request.prompt, usual.rerender, usual.rerender.method == "edit"
    out = {"generate.prompt": prompt}
    if edits and not request.inputs:
        return out
    is_of_stage_3 = bool(request.inputs)
    if any(request.all_edits) and not re.search("{(class|edit)}", prompt or ""):
        warn("--prompt holds no {class}: stage 3 puts --edit into the preset's prompt")
        prompt = r.prompt or (None if edits else usual.generate.prompt)
        is_of_stage_3 = bool(r.prompt)
    if prompt and r.model and not is_of_stage_3:
        prompt = lora_tags.parse(prompt)[0]
    return {**out, "rerender.prompt": prompt}
