"""Before and after of a picture of a run, over each other, as a Gradio component.

A range over the picture moves the bar, so that mouse, finger and keyboard all do. The pictures
are the run's own files, unchanged. Knows runs; no jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ..files import run_folders
from . import components, gallery

HERE = Path(__file__).parent


def component(elem_id: str) -> Any:
    """The component, hidden until it has a picture."""
    return gr.HTML(
        {},
        html_template=(HERE / "before_after.html").read_text(encoding="utf-8"),
        js_on_load=(HERE / "before_after.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        padding=False,
        visible=False,
        elem_id=elem_id,
    )


def of(run: run_folders.RunSummary, index: int | None = None, lines: Any = None) -> Any:
    """The shot of that number among `gallery.shown`, else the first that was re-rendered, before
    and after; alone where there is no re-render of it."""
    lines = gallery.shown(run, lines)
    made = [k for k, line in enumerate(lines) if line["files"]["result"]]
    if index is None:
        index = made[0] if made else len(lines)
    if index >= len(lines):
        return gr.HTML(value={}, visible=False)
    return gr.HTML(value=_value(run, lines[index]), visible=True)


def _value(run: run_folders.RunSummary, line: Mapping[str, Any]) -> dict[str, str]:
    """Addresses of the pictures, and what they show, in words."""
    files, alt = line["files"], components.caption(dict(line))
    result, source = files["result"], files["source"]
    if result and source:
        return {"before": _address(run, source), "after": _address(run, result), "alt": alt}
    name = result or source
    if name:
        return {"after": _address(run, name), "alt": alt}
    path = run.shown(dict(line))
    shown = f"gradio_api/file={quote(str(path.resolve()))}" if path else ""
    return {"after": shown, "alt": alt}


def _address(run: run_folders.RunSummary, name: str) -> str:
    return f"api/runs/{quote(run.id)}/files/{quote(name)}"
