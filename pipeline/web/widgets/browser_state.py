"""What a browser keeps of the page, beyond reloads and restarts of the server.

To be made outside of all tabs: what is in a tab that was not opened yet is not there when the page
loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ..files.browser_secret import browser_secret
from .components import LATEST


def browser_state(root: Path, name: str, default: Any = "") -> gr.BrowserState:
    """Return a state of that name, for the studio in the folder `root`."""
    return gr.BrowserState(default, storage_key=f"visuals.{name}", secret=browser_secret(root))


def keep_fields(fields: Mapping[str, Any], kept: gr.BrowserState) -> None:
    """Let a state hold the values of fields, by name, as they are typed."""
    js = f"(...values) => Object.fromEntries({[*fields]}.map((name, k) => [name, values[k]]))"
    changes = [field.change for field in fields.values()]
    gr.on(changes, None, [*fields.values()], kept, js=js, **LATEST)
