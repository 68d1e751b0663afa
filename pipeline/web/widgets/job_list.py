"""The list of the server's jobs over all tabs, each with its bar and Cancel, as a component.

It asks the API itself; its event `input` tells that the number of open jobs has changed.
"""

from __future__ import annotations

from typing import Any

from . import components


def component(elem_id: str) -> Any:
    """Return the component."""
    return components.scripted_html(__file__, {}, elem_id)
