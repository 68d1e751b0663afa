"""Errors of ours as a message on the page, beside the button that was pressed.

Gradio's own pop-ups need its queue, which jobs here do not use (they have one of their own).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ....configs.errors import one_line
from ..queue.job_queue import BusyError
from . import components


def told(work: Callable[..., list[Any]], outputs: list[Any]) -> Callable[..., list[Any]]:
    """`work`, whose first output is the message: an error of ours is said there, and the other
    outputs stay as they are."""

    def tried(*values: Any) -> list[Any]:
        try:
            return work(*values)
        except (ValueError, BusyError) as error:
            said = components.refused([one_line(error)])
            return [said, *[gr.skip()] * (len(outputs) - 1)]

    return tried
