"""Report of a data set's check, as HTML."""

from __future__ import annotations

from html import escape

from .....training.check_dataset import DatasetReport
from ...error_text import public_text


def report(check: DatasetReport) -> str:
    """Return counts, buckets, and the problems, pictures that cannot be used first."""
    tokens = [s.tokens for s in check.seen if s.tokens is not None]
    facts = [
        ("pictures", len(check.seen)), ("steps an epoch", check.steps),
        ("tag", check.dataset.tag or "none"),
        ("masks", sum(s.item.mask is not None for s in check.seen)),
        *([("tokens, most", max(tokens))] if tokens else []),
        ("buckets", ", ".join(f"{w} × {h}: {n}" for (w, h), n in check.buckets.items()) or "none"),
    ]  # fmt: skip
    chips = "".join(
        f'<span class="chip">{what} <b>{escape(str(value))}</b></span>' for what, value in facts
    )
    broken = check.broken
    rest = [p for p in check.problems if p not in broken]
    verdict = (
        f"{len(broken)} broken: left out of the training; mend them" if broken
        else "Nothing is broken"
    )  # fmt: skip
    rows = "".join(
        f"<li{' class=refused' if p in broken else ''}><b>{p.code.replace('_', ' ')}</b> "
        f"{escape(public_text(p.message))}</li>"
        for p in [*broken, *rest][:50]
    )
    more = len(check.problems) - 50
    rows += f"<li>and {more} more</li>" if more > 0 else ""
    return (
        f'<div class="job {"failed" if broken else "done"}"><p class="head" role="status">'
        f'<strong>{verdict}</strong></p><div class="chips">{chips}</div>'
        f'{f"""<ul class="reasons" tabindex="0">{rows}</ul>""" if rows else ""}</div>'
    )
