"""The form of Create as other parts of the page fill it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ...widgets import components
from ...widgets.components import Update


@dataclass(frozen=True)
class CreateForm:
    """The fields by the names of `form.request_of`, and the message above them."""

    fields: Mapping[str, Any]
    message: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `fill_in` updates."""
        return [self.message, *self.fields.values()]

    def fill_in(self, source: str, values: Mapping[str, Any], notes: Sequence[str]) -> Update:
        """Set fields, and say what they were filled in from and what was left out."""
        text = components.status_message(f"Filled in from {source}.", notes)
        return {self.message: text, **{self.fields[name]: v for name, v in values.items()}}
