"""Turns errors of the hub, the network and the disk into one sentence for users."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from ...configs.errors import RunError, VisualsError, one_line


class PullError(RunError):
    """A model could not be downloaded, or its files are not as pinned."""


@contextlib.contextmanager
def explain(repository: str) -> Iterator[None]:
    """Raise errors of the hub, the network and the disk as a PullError of one sentence."""
    try:
        yield
    except VisualsError:
        raise
    except Exception as error:
        text = describe(error, repository)
        if text is None:
            raise
        raise PullError(text) from error


def describe(error: BaseException, repository: str) -> str | None:
    """Say what failed and what to do; None for an error of none of these, which is a bug."""
    from huggingface_hub import errors, get_token
    from huggingface_hub.constants import ENDPOINT

    while isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__  # not cached, because this went wrong
    page = f"{ENDPOINT}/{repository}"
    if isinstance(error, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
        return f"{repository}: not all files are cached, and HF_HUB_OFFLINE is set; unset it"
    if isinstance(error, errors.GatedRepoError):
        if get_token():
            return f"{repository} is gated and your token has no access; request it at {page}"
        return f"{repository} is gated: accept its terms at {page}, then log in: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{repository}: the hub has no such repository, or it is private; check the name, or "
            "log in: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"{repository}: the hub no longer has the pinned commit; pull with --update to pin "
            "the current one"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return (
            f"{repository}: the hub lacks a file of the pinned commit{_file_name(error)}; pull "
            "with --update to pin the current one"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return f"{repository}: {_describe_status(error)}"
    if isinstance(error, errors.HFValidationError):
        return f"{repository!r}: expected a repository owner/name"
    if is_network_error(error):
        return (
            f"{repository}: no connection to {ENDPOINT} ({_short(error)}); check the network, "
            "HF_ENDPOINT and proxies, then pull again: complete files are kept"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{repository}: the disk is full; free some space, or set HF_HOME to another disk"
    if isinstance(error, (OSError, ValueError, RuntimeError)):  # RuntimeError: hf_xet
        return f"{repository}: {_short(error)}"
    return None


def is_network_error(error: BaseException) -> bool:
    """Return whether the connection failed rather than the hub.

    The HTTP library of huggingface_hub differs by version; its errors are told by module name.
    """
    modules = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    libraries = {"httpx", "httpx2", "httpcore", "requests", "urllib3"}
    return bool(modules & libraries) or isinstance(error, (ConnectionError, TimeoutError))


def _describe_status(error: BaseException) -> str:
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    if code == 401:
        return "the hub rejected your token (HTTP 401); hf auth login, or correct HF_TOKEN"
    if code == 403:
        return "your token has no access (HTTP 403); ask the owner, or use another token"
    if code == 429:
        return "rate limited: too many requests (HTTP 429); wait some minutes, or hf auth login"
    if code is not None and code >= 500:
        return f"server error at the hub (HTTP {code}); try again later: complete files are kept"
    return f"the hub answered HTTP {code}; check HF_ENDPOINT, or try again later"


def _file_name(error: BaseException) -> str:
    url = str(getattr(getattr(error, "response", None), "url", ""))
    name = url.split("?")[0].partition("/resolve/")[2].partition("/")[2]
    return f", {name}" if name else ""


def _short(error: BaseException) -> str:
    return one_line(error)[:200] or type(error).__name__
