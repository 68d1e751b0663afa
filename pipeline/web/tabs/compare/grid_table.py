"""Grids on the disk as the tab Compare shows them: a table of pictures, the command."""

from __future__ import annotations

import itertools
from html import escape
from pathlib import Path
from urllib.parse import quote

from ....jobs.grid_files import NAME, Drawn

COMMAND = "command.txt"
"""File beside a grid: the command that drew it."""


def folders(root: Path) -> list[str]:
    """Return the names of the grids below `root`, newest first."""
    found = [path.parent for path in root.glob(f"*/{NAME}") if not path.parent.is_symlink()]
    return [p.name for p in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)]


def command(folder: Path | None) -> str:
    """Return the command that drew an earlier grid."""
    try:
        return (folder / COMMAND).read_text(encoding="utf-8") if folder else ""
    except (OSError, UnicodeDecodeError):
        return ""


def table(drawn: Drawn) -> str:
    """Return the pictures under their headings as HTML; those not drawn yet are blank."""
    head = "".join(f'<th scope="col">{_lines(text)}</th>' for text in drawn.columns)
    side = any(drawn.rows)
    numbers, rows = itertools.count(), ""
    for row in drawn.rows:
        cells = "".join(
            f"<td>{_cell(drawn.cells.get(next(numbers)), f'{row}, {column}'.strip(', '))}</td>"
            for column in drawn.columns
        )
        heading = f'<th scope="row">{_lines(row)}</th>' if side else ""
        rows += f"<tr>{heading}{cells}</tr>"
    corner = "<td></td>" if side else ""
    return (
        '<div class="cells" tabindex="0" role="region" aria-label="The grid">'
        f"<table><tr>{corner}{head}</tr>{rows}</table></div>"
    )


def _cell(cell: Path | str | None, what: str) -> str:
    if cell is None:
        return '<span class="blank" aria-label="not drawn yet"></span>'
    if isinstance(cell, str):
        return f'<p class="said">{escape(cell)}</p>'
    url = f"gradio_api/file={quote(str(cell.resolve()))}"
    what = escape(" ".join(what.split()) or "picture")
    return f'<a href="{url}" target="_blank"><img src="{url}" alt="{what}"></a>'


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))
