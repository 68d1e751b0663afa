"""Pictures of runs as Gradio's galleries take them. Knows runs; no jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..files import run_folders
from . import components


def shown(
    run: run_folders.RunSummary, lines: Sequence[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """The lines of the shots whose picture lies below the studio's folder."""
    root = run.folder.parent.resolve()
    return [
        line
        for line in (run.lines if lines is None else lines)
        if (path := run.shown(line)) is not None and path.resolve().is_relative_to(root)
    ]


def of(
    run: run_folders.RunSummary, lines: Sequence[dict[str, Any]] | None = None
) -> list[tuple[str, str]]:
    """(picture, caption) of the shots that have one."""
    return [(str(run.shown(line)), components.caption(line)) for line in shown(run, lines)]


def holding(pictures: Sequence[tuple[str, str]], least: int = 1) -> Any:
    """A gallery with these pictures, shown where there are at least so many."""
    return gr.Gallery(value=list(pictures), visible=len(pictures) >= least)
