"""Pictures of runs as Gradio's galleries and sliders take them. Knows runs; no jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import panels, runs


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
