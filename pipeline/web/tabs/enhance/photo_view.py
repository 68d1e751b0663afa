"""The views of a photo (mask to paint on, before and after, result) as a Gradio component.

Its value, both ways: `id` (the photo), `seq` (how often it was drawn on), `strokes` (see
mask_strokes.py), `numbers` (its instances above the threshold, counted from 0); to the page only:
`picture` (a data URL), `alt` (what it shows, in words) and `results`, the latest re-renders, one an
edit: `name`, `made` (in words), and the addresses `before`, `after` and `cutout`. The page sends
each stroke when it ends; an update for an older `seq` is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...widgets import components

EMPTY: dict[str, Any] = {
    "id": "", "seq": 0, "strokes": [], "numbers": [], "picture": "", "alt": "", "results": [],
}  # fmt: skip
SCRIPTS = ("photo_view.js", "photo_zoom.js", "photo_keys.js")


def component(elem_id: str) -> Any:
    """Return the component; `input` is its event."""
    return components.scripted_html(__file__, EMPTY, elem_id, scripts=SCRIPTS)


def value(
    image: np.ndarray, alt: str, id_: str, numbers: Sequence[int], drawn: Mapping[str, Any],
    results: Sequence[Mapping[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """Return a value that shows a photo.

    Args:
        image: the photo with its masks, uint8 (H, W, 3).
        alt: what it shows, in words.
        id_: the photo.
        numbers: its instances above the threshold, counted from 0.
        drawn: {seq, strokes} so far.
        results: {name, made, before, after, cutout} of its latest re-renders.
    """
    picture = components.data_url(image, 92)
    shown = {"id": id_, "alt": alt, "numbers": list(numbers), "picture": picture}
    return {**EMPTY, **drawn, **shown, "results": list(results)}
