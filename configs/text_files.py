"""Reading of users' text files, with errors that say what was expected."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

from .errors import VisualsError

_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_text(
    path: str | Path,
    error: Callable[[str], VisualsError],
    expected: str,
    errors: str = "strict",
) -> str:
    """Return the text of a file in UTF-8 or UTF-16, each with a byte-order mark or without.

    Args:
        path: the file.
        error: makes the error of a file that cannot be read, of its message.
        expected: what the file should hold, for that message.
        errors: what is done with bytes of another encoding, as in `bytes.decode`.
    """
    return read_encoded(path, error, expected, errors)[0].removeprefix("\ufeff")


def read_encoded(
    path: str | Path,
    error: Callable[[str], VisualsError],
    expected: str,
    errors: str = "strict",
) -> tuple[str, str]:
    """Return the text, as `read_text` does but with its mark, and the encoding."""
    try:
        return _decode(Path(path).read_bytes(), errors)
    except FileNotFoundError:
        raise error(f"no file {str(path)!r}: expected {expected}; check the path") from None
    except OSError as cause:
        reason = (cause.strerror or type(cause).__name__).lower()
        raise error(f"{path}: {reason}; expected {expected}; allow reading it") from None
    except ValueError:  # another encoding, or a null byte in the path
        raise error(f"{path}: not UTF-8 text; expected {expected}; save it as UTF-8") from None


def _decode(data: bytes, errors: str) -> tuple[str, str]:
    encoding = _MARKS.get(data[:2], "utf-8")
    if encoding == "utf-8" and 4 * data.count(0) > len(data):  # mostly Latin letters in UTF-16
        encoding = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    text = data.decode(encoding, errors)
    if "\0" in text:
        raise ValueError("no text")
    return text, encoding
