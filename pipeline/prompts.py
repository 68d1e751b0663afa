"""A file of prompts, one a line, for the pictures that stage 1 draws. Knows no models."""

from __future__ import annotations

from pathlib import Path


class PromptFileError(ValueError):
    """A prompt file that cannot be used; the message says got, expected, remedy."""


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """The file's lines, without blank ones and those that start with #; UTF-8.

    Raises PromptFileError for a file that is missing, not text, or holds no prompt.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PromptFileError(f"{path}: not UTF-8 text; expected one prompt a line") from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise PromptFileError(
            f"{path}: {why}; expected a text file with one prompt a line; set --prompt-file"
        ) from None
    prompts = [" ".join(line.split()) for line in text.splitlines()]
    prompts = [line for line in prompts if line and not line.startswith("#")]
    if not prompts:
        raise PromptFileError(
            f"{path}: no prompt in it; expected one a line (lines that start with # are notes)"
        )
    return tuple(prompts)
