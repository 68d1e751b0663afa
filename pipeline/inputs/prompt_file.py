"""A file of prompts, one a line, for the pictures that stage 1 draws (`tables` reads those with
settings of their own). Knows no models."""

from __future__ import annotations

from pathlib import Path

from ...configs.errors import UsageError

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Endings of the files that `tables` reads."""


class PromptFileError(UsageError):
    """A prompt file that cannot be used; the message says got, expected, remedy."""


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """The file's lines, without blank ones and those that start with #; UTF-8.

    Raises PromptFileError for a file that is missing, not text, or holds no prompt.
    """
    text = decoded(path, "one prompt a line")
    prompts = [" ".join(line.split()) for line in text.splitlines()]
    prompts = [line for line in prompts if line and not line.startswith("#")]
    if not prompts:
        raise PromptFileError(
            f"{path}: no prompt in it; expected one a line (lines that start with # are notes)"
        )
    return tuple(prompts)


def has_arguments(path: str | Path) -> bool:
    """Whether lines of a text file are A1111's, as in `--prompt "a mug" --steps 20`; False for a
    file that cannot be read."""
    try:
        text = decoded(path, "")
    except PromptFileError:
        return False
    return any(line.lstrip().startswith("--") for line in text.splitlines())


def decoded(path: str | Path, expected: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark; raises PromptFileError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise PromptFileError(
            f"{path}: {why}; expected a text file with {expected}; set --prompt-file"
        ) from None
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise PromptFileError(f"{path}: not UTF-8 text; expected {expected}") from None
