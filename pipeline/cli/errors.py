"""The errors that become one line. Knows click only: nothing heavy is imported here."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from ...configs.errors import one_line


def errors(command: Callable[..., None]) -> Callable[..., None]:
    """Domain errors become one line on stderr: usage exit 2, the rest exit 1."""

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            _end("stopped", 130)
        except ValueError as error:
            if not type(error).__module__.startswith("visuals."):
                raise
            _end(one_line(error), 2)
        except ImportError as error:
            name = (error.name or str(error)).split(".")[0]
            if name == "visuals":
                raise
            _end(f"{name} is not installed; pip install 'visuals[{_extra(name)}]'", 1)
        except OSError as error:
            _end(one_line(error), 1)

    return guarded


def _extra(module: str) -> str:
    extras = {
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
    return extras.get(module, "dev")


def _end(message: str, code: int) -> None:
    click.echo(f"visuals: {message}", err=True)
    sys.exit(code)
