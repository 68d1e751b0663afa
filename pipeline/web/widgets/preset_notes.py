"""Notes on the settings that were chosen: below a form, licences that forbid commercial use and the
field that has no effect; in the label of the strength field, the strength of edits."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

import gradio as gr

from ....checkpoints.licences.terms import terms_of
from ....configs.rerender import RerenderSettings
from ....configs.schema import Settings
from ...build.model_licences import licences
from ..visitor_settings import preset_settings
from .components import LATEST


def notes(chosen: Iterable[Settings], needs: Collection[str]) -> str:
    """Return the notes on settings as HTML, each once; "" where there is nothing to note.

    Args:
        chosen: the settings of each preset.
        needs: stages that are run.
    """
    lines: dict[str, None] = {}
    for settings in chosen:
        forbidden = [
            f"{ref} ({licence})"
            for ref, licence in licences(settings, needs).items()
            if terms_of(licence).use == "forbidden"
        ]
        if forbidden:
            lines[f"Not for commercial use: {', '.join(forbidden)}."] = None
        if "rerender" in needs and settings.rerender.method == "edit":
            lines["Strength is not used: an edit model draws all of its window anew."] = None
    return "".join(f'<p class="preview note">{escape(line)}</p>' for line in lines)


def strength_label(rerender: RerenderSettings, label: str) -> str:
    """Return the label of the strength field, with the strength of edits where it is another."""
    own = rerender.edit_strength
    return label if own is None else f"{label} (edits: {own:g} until moved)"


def keep_label(preset: gr.Dropdown, strength: gr.Slider, label: str) -> None:
    """Update the label of the strength field whenever another preset is chosen."""

    def labelled(name: str) -> gr.Slider:
        return gr.Slider(label=strength_label(preset_settings(name).rerender, label))

    preset.change(labelled, preset, strength, **LATEST)
