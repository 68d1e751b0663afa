"""Text boxes of which each line is a value of its own."""

from __future__ import annotations

from typing import Any

import gradio as gr


def edit_box(label: str, elem_id: str, max_lines: int = 6, **options: Any) -> gr.Textbox:
    """Return the field of edits. With fewer than two lines Gradio would take Enter for "done"."""
    return gr.Textbox(
        label=label, lines=2, max_lines=max_lines, max_length=2000, elem_id=elem_id, **options
    )


def lines(text: str | None) -> tuple[str, ...]:
    """Return the lines that are not empty.

    >>> lines(" red \\n\\nblue")
    ('red', 'blue')
    """
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())
