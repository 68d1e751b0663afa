"""Notes below a form on the settings that were chosen: licences that forbid commercial use, and
where the field of the strength is not what counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

from ....checkpoints.licences.terms import terms_of
from ....configs.rerender import RerenderSettings
from ....configs.schema import Settings
from ...build.model_licences import licences


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
        if "rerender" in needs and (text := _of_strength(settings.rerender)):
            lines[text] = None
    return "".join(f'<p class="preview note">{escape(line)}</p>' for line in lines)


def _of_strength(rerender: RerenderSettings) -> str:
    if rerender.method == "edit":
        return "Strength is not used: an edit model draws all of its window anew."
    if rerender.edit_strength is not None:
        return f"Edits are drawn at strength {rerender.edit_strength:g} until Strength is moved."
    return ""
