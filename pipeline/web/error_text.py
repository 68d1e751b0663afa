"""Error messages as a visitor may read them: beyond this machine without its paths."""

from __future__ import annotations

import re
from contextvars import ContextVar

hides_paths: ContextVar[bool] = ContextVar("hides_paths", default=False)
"""Whether the request at hand may come from another machine."""

_PATH = re.compile(
    r"(?<![\w.:/~<])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\"/\\,;:()]+[/\\])*([^\s'\"/\\,;:()]*)"
)


def public_text(text: str) -> str:
    """Return a message whose absolute paths are cut to their last part, where paths are hidden.

    >>> public_text("no file '/home/ann/mug.png'")
    "no file '/home/ann/mug.png'"
    >>> token = hides_paths.set(True)
    >>> public_text("no file '/home/ann/mug.png': see https://example.org/a or owner/name")
    "no file '…/mug.png': see https://example.org/a or owner/name"
    >>> hides_paths.reset(token)
    """
    return _PATH.sub(r"…/\1", text) if hides_paths.get() else text
