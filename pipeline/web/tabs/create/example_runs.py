"""What the tab Create shows before anything was made: three examples that run with one click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ...widgets.example_card import card

PICTURES = Path(__file__).parent / "example_pictures"
SEED = 231335300
"""Of the pictures on the cards, so that a click makes the same ones."""


class Examples:
    """The cards. `drawn`: a card and the fields of Create that it sets; `photo` is for Enhance."""

    def __init__(self) -> None:
        with gr.Column(elem_id="create-examples") as self.column:
            gr.HTML(
                "<h2>Try one</h2><p>One click makes it, on this machine, in seconds.</p>",
                padding=False,
            )
            with gr.Row(equal_height=True):
                mugs = card(
                    "create-mugs", PICTURES / "mugs.webp", "Four mugs, one look",
                    "Drawn from a prompt, each checked and masked",
                )  # fmt: skip
                sneaker = card(
                    "create-sneaker", PICTURES / "sneaker.webp", "A red leather sneaker",
                    "Drawn, found, recoloured; the scene stays",
                )  # fmt: skip
                self.photo = card(
                    "create-photo", PICTURES / "photo.webp", "Recolour a photo",
                    "The product in a photo becomes another, in Enhance",
                )  # fmt: skip
        self.drawn: list[tuple[Any, dict[str, Any]]] = [
            (mugs, {"classes": ["mug"], "count": 4, "seed": SEED}),
            (
                sneaker,
                {"classes": ["sneaker"], "count": 1, "edit": "red leather", "seed": SEED},
            ),
        ]
