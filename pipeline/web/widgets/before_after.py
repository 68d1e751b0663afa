"""Before and after of a picture, over each other with a movable bar, as a Gradio component.

A range over the picture moves the bar, so that mouse, finger and keyboard all do. The pictures
are the run's own files, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import gradio as gr

from ...exports import cutouts
from ...runs.manifest import ManifestRecord
from ..files.run_folders import RunSummary
from . import components


def component(elem_id: str) -> Any:
    """Return the component, hidden until it has a picture."""
    return components.scripted_html(__file__, {}, elem_id, visible=False)


def nothing() -> Any:
    """Show nothing."""
    return gr.HTML(value={}, visible=False)


def update(
    run: RunSummary, index: int | None = None, records: Sequence[ManifestRecord] | None = None
) -> Any:
    """Show the shot of that number in the gallery, else the first that was re-rendered.

    One without a re-render is shown alone.
    """
    records = components.shown(run, records)
    if index is None:
        rendered = (k for k, record in enumerate(records) if record.files.result)
        index = next(rendered, len(records))
    if index >= len(records):
        return nothing()
    record = records[index]
    value = {"alt": components.caption(record), **addresses(run, record)}
    return gr.HTML(value=value, visible=True)


def address(run: RunSummary, name: str) -> str:
    """Return the address of a file of a run."""
    return f"api/runs/{quote(run.id)}/files/{quote(name)}"


def addresses(run: RunSummary, record: ManifestRecord) -> dict[str, str]:
    """Return the addresses of a shot's picture, `after`, of what was `before` a re-render, and of
    the product alone, `cutout`; the last two where they are."""
    files, name = record.files, cutouts.file_of(record.id)
    cutout = {"cutout": address(run, name)} if (run.folder / name).is_file() else {}
    if files.result and files.source:
        before, after = address(run, files.source), address(run, files.result)
        return {"before": before, "after": after, **cutout}
    if files.picture:
        return {"after": address(run, files.picture), **cutout}
    path = run.picture(record)
    return {"after": f"gradio_api/file={quote(str(path.resolve()))}" if path else ""}
