"""Says what a command will download, asks in a terminal, and downloads it with progress bars."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from ...configs.errors import RunError
from .output import say

if TYPE_CHECKING:
    from ...checkpoints.hub.first_use import Download


class DownloadDeclinedError(RunError):
    """The user answered that nothing is to be downloaded."""


def download(downloads: Collection[Download], *, yes: bool) -> None:
    """Say what is downloaded, ask, and download it; nothing where there is nothing.

    Args:
        downloads: What is missing (`first_use.missing`).
        yes: Do not ask; without a terminal nothing is asked either.

    Raises:
        DownloadDeclinedError: The user declined.
        PullError: A model cannot be downloaded, or the disk has no room.
    """
    from huggingface_hub.utils import enable_progress_bars

    from ...checkpoints.hub import cache, first_use, pull

    if not downloads:
        return
    size = sum(todo.size for todo in downloads)
    for todo in downloads:
        say(f"to download: {todo.repository}, {pull.format_bytes(todo.size)}")
    say(f"{pull.format_bytes(size)} in all, into {cache.root()}")
    pull.require_space("the models", size)
    if not yes and sys.stdin.isatty() and sys.stderr.isatty() and not _agreed():
        raise DownloadDeclinedError(
            "nothing was downloaded; --yes downloads without asking, and visuals checkpoints list "
            "shows the models that are here"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user's HF_HUB_DISABLE_PROGRESS_BARS prevails
        enable_progress_bars()  # `process.quiet` switched them off with those of transformers
    first_use.fetch(downloads)


def _agreed() -> bool:
    try:
        return click.confirm("Download?", default=True, err=True)
    except click.Abort:  # Ctrl-C, or the end of the input
        return False
