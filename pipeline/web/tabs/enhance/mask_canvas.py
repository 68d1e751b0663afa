"""Canvas with brush, eraser and undo on which a photo's mask is painted, as a Gradio component.

Its value, both ways: `id` (the photo), `seq` (how often it was drawn on), `strokes` (see
mask_strokes.py), `picture` (a data URL, to the page only), `alt` (what it shows, in words). The
page sends each stroke when it ends; an update for an older `seq` is not shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...widgets import components

EMPTY: dict[str, Any] = {"id": "", "seq": 0, "picture": "", "alt": "", "strokes": []}


def canvas(elem_id: str) -> Any:
    """Return the component; `input` is its event."""
    return components.scripted_html(__file__, EMPTY, elem_id)


def value(image: np.ndarray, alt: str, id_: str, drawn: dict[str, Any]) -> dict[str, Any]:
    """Return a value that shows `image`, uint8 (H, W, 3); `drawn` is {seq, strokes} so far."""
    return {**EMPTY, **drawn, "id": id_, "alt": alt, "picture": components.data_url(image, 92)}
