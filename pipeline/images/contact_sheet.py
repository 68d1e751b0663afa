"""Contact sheets: labelled pictures in rows and columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def sheet(pictures: Sequence[Any], columns: Sequence[str], rows: Sequence[str]) -> np.ndarray:
    """Arrange pictures in one, uint8 (H, W, 3), with labels of columns and rows.

    `pictures`: row by row, each uint8 (h, w, 3), or a text in place of one that failed.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    shown = [p for p in pictures if not isinstance(p, str)]
    width = max((p.shape[1] for p in shown), default=128)
    height = max((p.shape[0] for p in shown), default=128)
    font = ImageFont.load_default(size=max(11, min(28, round(width / 14))))
    gap = max(4, width // 32)
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def wrapped(text: str, room: int) -> str:
        lines: list[str] = []
        for line in text.split("\n"):
            length = pen.textlength(line, font=font)
            most = len(line) if length <= room else max(1, int(room * len(line) / length))
            lines += textwrap.wrap(line, most, break_long_words=False) if line else [""]
        return "\n".join(lines)

    def extent(texts: Sequence[str]) -> tuple[int, int]:
        boxes = [pen.multiline_textbbox((0, 0), t, font=font) for t in texts if t]
        return (
            round(max((b[2] for b in boxes), default=0)),
            round(max((b[3] for b in boxes), default=0)),
        )

    heads = [wrapped(text, width) for text in columns]
    sides = [wrapped(text, max(160, width)) for text in rows]
    left, top = extent(sides)[0], extent(heads)[1]
    left, top = left + 2 * gap if left else gap, top + 2 * gap if top else gap
    tall = max(height, extent(sides)[1])
    size = left + len(heads) * (width + gap), top + len(sides) * (tall + gap)
    out = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(out)
    for k, text in enumerate(heads):
        middle = left + k * (width + gap) + width / 2
        pen.multiline_text((middle, gap), text, "#222222", font, anchor="ma", align="center")
    for j, text in enumerate(sides):
        pen.multiline_text((gap, top + j * (tall + gap)), text, "#222222", font)
    for n, picture in enumerate(pictures):
        j, k = divmod(n, len(heads))
        x, y = left + k * (width + gap), top + j * (tall + gap)
        if isinstance(picture, str):
            pen.rectangle((x, y, x + width, y + height), "#eeeeee")
            pen.multiline_text(
                (x + gap, y + gap), wrapped(picture, width - 2 * gap), "#a02020", font
            )
        else:
            h, w = picture.shape[:2]
            out.paste(Image.fromarray(picture), (x + (width - w) // 2, y + (height - h) // 2))
    return np.asarray(out)
