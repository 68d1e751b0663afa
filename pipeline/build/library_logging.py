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
