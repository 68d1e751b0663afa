"""A grid as the tab Compare shows it: a table of its cells, the command that drew it."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from ....jobs import grid_files as cells

COMMAND = "command.txt"
"""Beside a grid: the command that drew it."""


def command(folder: Path | None) -> str:
    """The command that a grid of before was drawn by."""
    try:
        return (folder / COMMAND).read_text(encoding="utf-8") if folder else ""
    except (OSError, UnicodeDecodeError):
        return ""


def table(drawn: cells.Drawn) -> str:
    """The cells that are there under their headings; the others are blank."""
    width = len(drawn.columns)
    head = "".join(f'<th scope="col">{_lines(text)}</th>' for text in drawn.columns)
    side = any(drawn.rows)
    corner = "<td></td>" if side else ""
    rows = ""
    for k, row in enumerate(drawn.rows):
        rows += f'<tr>{f"""<th scope="row">{_lines(row)}</th>""" if side else ""}'
        for j, column in enumerate(drawn.columns):
            rows += (
                f"<td>{_cell(drawn.cells.get(k * width + j), f'{row}, {column}'.strip(', '))}</td>"
            )
        rows += "</tr>"
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
