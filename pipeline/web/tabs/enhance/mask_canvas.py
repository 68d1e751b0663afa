"""Canvas with brush, eraser and undo on which a photo's mask is painted, as a Gradio component.

Its value, both ways: `id` (the photo), `seq` (how often it was drawn on), `strokes` (see
mask_strokes.py), `picture` (a data URL, to the page only), `alt` (what it shows, in words). The
page sends each stroke when it ends; an update for an older `seq` is not shown.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

HERE = Path(__file__).parent
EMPTY: dict[str, Any] = {"id": "", "seq": 0, "picture": "", "alt": "", "strokes": []}


def canvas(elem_id: str) -> Any:
    """Return the component; `input` is its event."""
    return gr.HTML(
        EMPTY,
        html_template=(HERE / "mask_canvas.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "mask_canvas.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
    )


def value(image: np.ndarray, alt: str, id_: str, drawn: dict[str, Any]) -> dict[str, Any]:
    """Return a value that shows `image`, uint8 (H, W, 3); `drawn` is {seq, strokes} so far."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=92)
    picture = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
    return {**EMPTY, **drawn, "id": id_, "alt": alt, "picture": picture}
