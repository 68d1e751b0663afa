"""Pictures of runs as Gradio's galleries and sliders take them. Knows runs; no jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from . import panels, runs


def shown(run: runs.Run) -> list[dict[str, Any]]:
    """The lines of the shots that have a picture, as `of` shows them."""
    return [
        line
        for line in run.lines
        if (path := run.shown(line)) is not None and path.is_relative_to(run.folder)
    ]


def slider(run: runs.Run, index: int | None = None) -> Any:
    """Before and after of the shot of that number, else of the first that was re-rendered."""
    lines = shown(run)
    made = [k for k, line in enumerate(lines) if line["files"]["result"]]
    index = index if index is not None else (made or [-1])[0]
    if index not in made:
        return gr.ImageSlider(visible=False)
    return gr.ImageSlider(value=pair(run, lines[index]["files"]), visible=True)


def of(run: runs.Run, lines: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    """(picture, caption) of the shots that have one."""
    return [
        (str(path), panels.caption(line))
        for line in (run.lines if lines is None else lines)
        if (path := run.shown(line)) is not None and path.is_relative_to(run.folder)
    ]


def pair(run: runs.Run, files: Mapping[str, str]) -> Any:
    """(before, after) for a slider, at most 1024 pixels."""
    return tuple(panels.read(run.folder / files[k], 1024) for k in ("source", "result"))
