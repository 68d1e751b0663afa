"""The libraries without their own bars and chatter, which would run through ours."""

from __future__ import annotations

import logging
import warnings
from importlib import import_module


def hush(*libraries: str) -> None:
    """Switch off what `transformers` and `diffusers`, where named, say of themselves; imports
    them, which takes a second for the latter."""
    for name in libraries:
        said = import_module(f"{name}.utils.logging")
        said.set_verbosity_error()
        said.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)


def hush_lost_tasks() -> None:
    """Where a store goes away in the middle of a request, asyncio prints the traceback of aiohttp's
    task that wrote it; the request has raised the same error."""
    logger = logging.getLogger("asyncio")
    if not any(isinstance(one, _LostTask) for one in logger.filters):
        logger.addFilter(_LostTask())


class _LostTask(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        theirs = kind is not None and kind.__module__.startswith("aiohttp")
        return not (theirs and "never retrieved" in record.getMessage())
