"""What a command prints while it works: more or fewer messages, as JSON, into a file as well."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ...configs.errors import UsageError
from .output import LOGGER, TerminalHandler, echo, shown


@dataclass(frozen=True)
class Verbosity:
    """What a command prints while it works.

    Args:
        quiet: only warnings and errors.
        verbose: also what is loaded and what became of each picture.
        log_json: each message as a JSON object on a line of its own.
        log_file: a file that receives all messages, with their times, at its end.
    """

    quiet: bool = False
    verbose: bool = False
    log_json: bool = False
    log_file: str | None = None

    @classmethod
    def pop_from(cls, options: dict[str, Any]) -> Verbosity:
        """Take the options of that name out of a command's options."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})


class _JsonLines(logging.Handler):
    """Prints messages on stderr as JSON, one object a line."""

    def emit(self, record: logging.LogRecord) -> None:
        when = datetime.fromtimestamp(record.created, timezone.utc)
        values = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        echo(json.dumps(values), err=True)


class _OneLine(logging.Formatter):
    """A message as one line of a log file, without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record).replace("\n", " "))


@contextlib.contextmanager
def logging_as(verbosity: Verbosity) -> Iterator[None]:
    """Return a context in which messages go where `verbosity` sends them.

    Raises UsageError where the log file cannot be written.
    """
    screen = _JsonLines() if verbosity.log_json else TerminalHandler()
    usual = logging.WARNING if verbosity.quiet else logging.INFO
    screen.setLevel(logging.DEBUG if verbosity.verbose else usual)
    name = verbosity.log_file
    handlers = [screen, *([_log_file(name)] if name is not None else [])]
    before = list(LOGGER.handlers)
    LOGGER.handlers = handlers
    try:
        yield
    finally:
        LOGGER.handlers = before
        handlers[-1].close()


class _LogFile(logging.FileHandler):
    """A log file; one that cannot be written to any more is left out, with a warning."""

    def handleError(self, record: logging.LogRecord) -> None:
        LOGGER.removeHandler(self)
        error = sys.exc_info()[1]
        why = getattr(error, "strerror", None) or error
        LOGGER.warning("--log-file %s: %s; going on without it", self.baseFilename, why)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what was said already
            super().close()


def _log_file(name: str) -> logging.Handler:
    from ..images.read import ENDINGS

    if not name:
        raise UsageError("--log-file '': expected the name of a file")
    if name.lower().endswith(ENDINGS):
        raise UsageError(
            f"--log-file {name!r}: expected a name that is no picture's, as in log.txt"
        )
    try:
        if os.path.isfile(name) and not _LOG_LINE.match(_beginning(name)):
            raise UsageError(
                f"--log-file {name!r}: expected a new file, or an earlier log of visuals"
            )
        file = _LogFile(name, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"--log-file {name!r} cannot be written ({error.strerror}): expected a file in a "
            "folder that exists"
        ) from None
    file.setFormatter(_OneLine("%(asctime)s %(levelname)-7s %(message)s"))
    return file


_LOG_LINE = re.compile(rb"$|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")
"""Beginning of a log, or of an empty file."""


def _beginning(name: str) -> bytes:
    with open(name, "rb") as file:
        return file.read(32)


def log_event(text: str, fields: Mapping[str, Any], level: int = logging.INFO) -> None:
    """Log a message whose values are fields of their own with `--log-json`."""
    LOGGER.log(level, "%s", text, extra={"fields": fields, "kind": ""})
