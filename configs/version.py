"""The version of visuals, which setup.cfg reads too, and versions of installed libraries."""

from __future__ import annotations

import functools

VERSION = "0.1.0"


@functools.cache
def installed(library: str) -> str | None:
    """Return the version of a library; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(library)
    except PackageNotFoundError:
        return None
