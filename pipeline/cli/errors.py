"""Turns the errors of visuals into one line and an exit code. Imports nothing heavy."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from ...configs.errors import UsageError, VisualsError, one_line
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
            _refuse_empty_arguments(kwargs)
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


def _refuse_empty_arguments(values: Mapping[str, Any]) -> None:
    """Raise UsageError for an argument "", which would stand for the folder of the shell."""
    context = click.get_current_context()
    for param in context.command.params:
        if isinstance(param, click.Argument):
            given = values.get(str(param.name))
            if "" in (given if isinstance(given, tuple) else (given,)):
                name = param.make_metavar(context).strip("[].")
                raise UsageError(f"{name} '': expected a name or text")


def _end(message: str, code: int) -> None:
    echo(f"visuals: {message}", err=True)
    sys.exit(code)
