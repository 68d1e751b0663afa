"""Turns the errors of visuals into one line and an exit code. Imports nothing heavy."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from ...configs.errors import VisualsError, one_line
from .output import echo

_EXTRAS = {
    "numba": "recipe",
    "scipy": "recipe",
    "controlnet_aux": "aux",
    "pycocotools": "annotate",
    "ray": "ray",
    "s3fs": "s3",
    "gcsfs": "gcs",
    "gradio": "ui",
    "fastapi": "ui",
    "uvicorn": "ui",
}
"""Modules that an extra installs."""


def errors(command: Callable[..., None]) -> Callable[..., None]:
    """Print errors of visuals in one line; exit 2 for a usage error, 1 for others.

    Other exceptions are defects, and keep their traceback.
    """

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            _end("stopped", 130)
        except VisualsError as error:
            _end(one_line(error), error.exit_code)
        except ModuleNotFoundError as error:
            name = (error.name or "").split(".")[0]
            if name not in _EXTRAS:
                raise
            _end(f"{name} is not installed; pip install 'product-visuals[{_EXTRAS[name]}]'", 1)

    return guarded


def _end(message: str, code: int) -> None:
    echo(f"visuals: {message}", err=True)
    sys.exit(code)
