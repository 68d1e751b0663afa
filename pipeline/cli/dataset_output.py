"""Output of `visuals dataset`: tables and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..images.read import printable
from .output import console, echo, print_json, say

if TYPE_CHECKING:
    from ...training.captioning.caption_folder import Captioned
    from ...training.catalog_import.import_catalog import ImportReport
    from ...training.catalog_import.product_catalog import Fields
    from ...training.check_dataset import DatasetReport
    from ...training.datasets.images import Problem

_LISTED = 5
"""Problems of a kind that are shown one by one."""
_ALL_LISTED = ("left_out", "not_read", "unreadable", "bad_caption", "not_written")
"""Kinds of which every file is named."""


def imported(report: ImportReport, fields: Fields, out: Path) -> None:
    """Show the counts and problems of an import."""
    rows = [("products", report.products), ("pictures written", len(report.written))]
    rows += [(code.replace("_", " "), n) for code, n in report.counts().items()]
    read = [f"{k} from {v!r}" for k, v in vars(fields).items() if v]
    _table(rows)
    problems(report.problems)
    say(f"{', '.join(read)}; written to {out}, the report to {out / 'import.json'}")


def captioned(
    done: Captioned,
    now: Mapping[str, str],
    tokens: Mapping[str, int],
    limit: int,
    *,
    preview: int | None,
    as_json: bool,
) -> None:
    """Show captions, tag statistics and token counts.

    Args:
        done: Result of the captioning.
        now: Caption of each picture, by name.
        tokens: Tokens of each caption, by name; empty if they were not counted.
        limit: Tokens that the text encoder reads.
        preview: Captions shown instead of written, or None.
        as_json: Print one JSON object.
    """
    from ...training.datasets.caption_edits import tag_frequency

    tags = tag_frequency(now.values())
    long = {name: n for name, n in tokens.items() if n > limit}
    if as_json:
        values: dict[str, Any] = {
            "written": 0 if preview is not None else len(done.changes),
            "kept": done.kept,
            "changes": [vars(change) for change in done.changes],
            "failed": [{"code": p.code, "message": p.message} for p in done.problems],
            "tags": tags,
            "tokens": dict(tokens),
            "max_token_length": limit,
            "too_long": sorted(long),
        }
        print_json(values)
        return
    if preview is not None:
        for change in done.changes:
            was = "" if change.before is None else f"  (was: {change.before})"
            echo(printable(f"{change.name}: {change.after}{was}"))
    rows = [("captions shown" if preview is not None else "captions written", len(done.changes))]
    rows += [("kept", done.kept), ("failed", len(done.problems))]
    if tokens:
        rows += [("tokens, most", max(tokens.values())), (f"over {limit} tokens", len(long))]
    rows += [(f"tag {tag!r}", n) for tag, n in list(tags.items())[:_LISTED] if n > 1]
    _table(rows)
    problems(done.problems)
    for name, n in list(long.items())[:_LISTED]:
        say(f"{name}: {n} tokens; the encoder reads {limit} and the rest is cut")


def checked(report: DatasetReport, epochs: int, shown: int) -> None:
    """Show a data set as the trainer sees it; `shown`: pictures to list."""
    from rich.table import Table

    found, steps = report.dataset, report.steps
    repeats = sorted({s.item.repeats for s in report.seen})
    batch = report.settings["train_batch_size"]
    tokens = [s.tokens for s in report.seen if s.tokens is not None]
    rows: list[tuple[str, Any]] = [("layout", found.layout), ("pictures", len(report.seen))]
    rows += [("repeats", ", ".join(map(str, repeats))), ("batch size", batch)]
    rows += [("steps an epoch", steps), (f"steps of {epochs} epochs", epochs * steps)]
    rows += [("activation tag", found.tag or "none"), ("masks", sum(map(_masked, report.seen)))]
    if tokens:
        rows.append(("tokens, most", max(tokens)))
    _table(rows)
    table = Table("bucket", "pictures", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for (width, height), n in report.buckets.items():
        table.add_row(f"{width} × {height}", str(n))
    _print(table)
    for s in report.seen[:shown]:
        size = f"{s.size_wh[0]} × {s.size_wh[1]}"
        bucket = f"{s.fit.bucket_wh[0]} × {s.fit.bucket_wh[1]}"
        times = f"{size} → {bucket}, {s.item.repeats} times"
        echo(printable(f"{s.item.name}: {times}: {s.item.text}"))
    problems(report.problems)
    broken = len(report.broken)
    say(f"{broken} broken; fix them before training" if broken else "nothing is broken")


def _masked(seen: Any) -> bool:
    return seen.item.mask is not None


def problems(found: Sequence[Problem]) -> None:
    """Print the first problems of each kind on stderr, of files not used all, and count others."""
    kinds: dict[str, list[Problem]] = {}
    for problem in found:
        kinds.setdefault(problem.code, []).append(problem)
    for code, same in kinds.items():
        shown = same if code in _ALL_LISTED else same[:_LISTED]
        for problem in shown:
            say(f"{code.replace('_', ' ')}: {problem.message}")
        if more := len(same) - len(shown):
            say(f"{code.replace('_', ' ')}: and {more} more; --json lists all")


def _table(rows: Sequence[tuple[str, Any]]) -> None:
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, str(value))
    _print(table)


def _print(table: Any) -> None:
    console(highlight=False).print(table)
