"""What the tab Train says: of a check, of a training at rest, of what is wrong. Text only."""

from __future__ import annotations

from html import escape

from .....configs.errors import one_line
from .....training.check_dataset import DatasetReport
from . import training_files


def called_by(training: training_files.Training, prompt: str) -> str:
    """A prompt that calls the LoRA: its tag first, its own `<lora:name:1>` last."""
    word = f"<lora:{training.name}:1>"
    if training.tag and training.tag not in prompt:
        prompt = f"{training.tag}, {prompt}" if prompt.strip() else training.tag
    return prompt if f"<lora:{training.name}:" in prompt else f"{prompt}, {word}"


def report(check: DatasetReport) -> str:
    """A check of a data set as HTML: counts, buckets, and the problems, broken ones first."""
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
        f"{escape(p.message)}</li>"
        for p in [*broken, *rest][:50]
    )
    more = len(check.problems) - 50
    rows += f"<li>and {more} more</li>" if more > 0 else ""
    return (
        f'<div class="job {"failed" if broken else "done"}"><p class="head" role="status">'
        f'<strong>{verdict}</strong></p><div class="chips">{chips}</div>'
        f'{f"""<ul class="reasons" tabindex="0">{rows}</ul>""" if rows else ""}</div>'
    )


def rested(training: training_files.Training) -> str:
    """What is known of a training that no job of this server is at."""
    if training.lora is not None:
        said = f"Done: {training.lora}"
    elif training.checkpoints:
        said = f"Stopped; Resume goes on from step {training.checkpoints[-1]}"
    else:
        said = "Not begun, or stopped before anything was saved"
    return (
        f'<div class="job"><p class="head" role="status"><strong>{escape(said)}</strong></p></div>'
    )


def wrong(error: Exception) -> str:
    """An error in one line, as HTML."""
    return f'<p class="preview bad" role="alert">{escape(one_line(error))}</p>'
