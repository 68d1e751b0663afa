"""The field of a seed as A1111 has it: -1 is random, with a dice and the last seed again."""

from __future__ import annotations

import gradio as gr

from ....configs.errors import UsageError
from ..queue.job_queue import QueuedJob
from ..queue.requests import Request, seed_of
from .components import QUICK


def box(elem_id: str, info: str) -> tuple[gr.Number, gr.Button]:
    """Return the field, and the button to reuse the last seed, which the caller wires."""
    with gr.Row(equal_height=False, elem_classes="seed"):
        seed = gr.Number(
            -1, label="Seed", info=f"-1: random; {info}", precision=0, min_width=160, scale=3,
            elem_id=elem_id,
        )  # fmt: skip
        dice = gr.Button("⚄ Random", size="sm", min_width=90, elem_id=f"{elem_id}-random")
        reuse = gr.Button("↺ Reuse seed", size="sm", min_width=110, elem_id=f"{elem_id}-reuse")
    dice.click(None, None, seed, js="() => -1", **QUICK)
    return seed, reuse


def whole(name: str, value: float | None, least: int, most: int) -> int:
    """Return the value of a number field; raises UsageError. Gradio's own limits are silent."""
    if value is None or not least <= value <= most:
        shown = f"{name}, empty" if value is None else f"{name} {value:g}"
        raise UsageError(f"{shown}: expected a whole number from {least} to {most}")
    return int(value)


def checked(seed: float | None) -> int:
    """Return a seed, -1 for an empty field; raises UsageError."""
    return whole("Seed", -1 if seed is None else seed, -1, 2**32 - 1)


def used(job: QueuedJob | None) -> int:
    """Return the seed that a job used; raises UsageError where there is none."""
    seed = seed_of(job.request) if job else None
    if seed is None:
        raise UsageError("no seed to reuse: nothing was drawn here yet")
    return seed


def chip(request: Request) -> str:
    """Return the seed of a request as HTML."""
    return seed_chip(seed_of(request))


def seed_chip(seed: int | None) -> str:
    """Return a seed as HTML; "" for None."""
    if seed is None:
        return ""
    return f'<div class="chips"><span class="chip">seed <b>{seed}</b></span></div>'
