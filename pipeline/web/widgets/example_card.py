"""A card that shows an example and runs it with one click, as a Gradio component."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from . import components


def card(elem_id: str, picture: Path, title: str, text: str) -> Any:
    """Return a card with a WebP file; its event is `input`."""
    data = base64.b64encode(picture.read_bytes()).decode()
    value = {"picture": f"data:image/webp;base64,{data}", "title": title, "text": text}
    return components.scripted_html(__file__, value, elem_id, min_width=150)
