"""A strip of small photos of which one is chosen, as a Gradio component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...widgets import components


def component(elem_id: str, label: str, photos: Sequence[dict[str, Any]] = ()) -> Any:
    """Return the component; `input` is its event, and its value then {picked: id}."""
    return components.scripted_html(__file__, value(label, photos), elem_id)


def value(
    label: str, photos: Sequence[dict[str, Any]], current: str = "", of: str = ""
) -> dict[str, Any]:
    """Return a value: `current` is marked of the `photos`, {id, src, alt, done, out}, `of` a
    search."""
    return {"label": label, "photos": list(photos), "current": current, "of": of}


def picked(value: Any) -> str:
    """Return the id that the page sent; "" for what is none."""
    id_ = value.get("picked") if isinstance(value, dict) else None
    return id_ if isinstance(id_, str) else ""
