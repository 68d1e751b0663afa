"""The offer to download the models that a request lacks, before it is queued."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ....checkpoints.hub import first_use
from ....checkpoints.hub.first_use import Needed
from ....checkpoints.hub.pull import format_bytes


def offer(models: Iterable[Needed], button: str) -> str:
    """Return what pressing `button` once more downloads, with sizes, as HTML; "" for nothing.

    Raises PullError where a model is neither here nor to be had.
    """
    downloads = first_use.missing(models)
    if not downloads:
        return ""
    rows = "".join(
        f"<li>{escape(todo.repository)}, {format_bytes(todo.size)}</li>" for todo in downloads
    )
    total = format_bytes(sum(todo.size for todo in downloads))
    return (
        f'<div role="status"><p class="said">Models that are not here yet, {total} in all. Press '
        f"<b>{escape(button)}</b> again to download them first:</p>"
        f'<ul class="reasons">{rows}</ul></div>'
    )
