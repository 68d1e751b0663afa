"""Notes below a form on the settings that were chosen: licences that forbid commercial use, and the
field that has no effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape

from ....checkpoints.licences.terms import terms_of
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
        if "rerender" in needs and settings.rerender.method == "edit":
            lines["Strength is not used: an edit model draws all of its window anew."] = None
    return "".join(f'<p class="preview note">{escape(line)}</p>' for line in lines)
