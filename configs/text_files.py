"""Reading of users' text files, with errors that say what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .errors import VisualsError


def read_text(
    path: str | Path, error: Callable[[str], VisualsError], expected: str, *, utf16: bool = False
) -> str:
    """Return the text of a UTF-8 file.

    Args:
        error: Makes the error of a file that cannot be read, of its message.
        expected: What the file should hold, for that message.
        utf16: Read UTF-16 with a byte-order mark too.
    """
    try:
        data = Path(path).read_bytes()
        wide = utf16 and data.startswith((b"\xff\xfe", b"\xfe\xff"))
        return data.decode("utf-16" if wide else "utf-8-sig")
    except FileNotFoundError:
        raise error(f"no file {str(path)!r}: expected {expected}; check the path") from None
    except OSError as cause:
        reason = (cause.strerror or type(cause).__name__).lower()
        raise error(f"{path}: {reason}; expected {expected}; allow reading it") from None
    except ValueError:  # not UTF-8, or a null byte in the path
        raise error(f"{path}: not UTF-8 text; expected {expected}; save it as UTF-8") from None
