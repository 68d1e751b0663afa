"""What a browser keeps of the page, beyond reloads and restarts of the server.

To be made outside of all tabs: what is in a tab that was not opened yet is not there when the page
loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ..files.browser_secret import browser_secret


def browser_state(root: Path, name: str, default: Any = "") -> gr.BrowserState:
    """Return a state of that name, for the studio in the folder `root`."""
    return gr.BrowserState(default, storage_key=f"visuals.{name}", secret=browser_secret(root))
