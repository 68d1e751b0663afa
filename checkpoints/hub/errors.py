"""What the errors of the hub, the network and the disk mean to a user: one sentence each."""

from __future__ import annotations

import errno

from ...configs.errors import one_line


def sentence(error: Exception, repository: str) -> str | None:
    """Got, expected, remedy; None for an error that is none of theirs (a bug)."""
    from huggingface_hub import errors, get_token
    from huggingface_hub.constants import ENDPOINT

    page = f"{ENDPOINT}/{repository}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repository}: not all of it is in the cache, and HF_HUB_OFFLINE is set; unset it"
    if isinstance(error, errors.GatedRepoError):
        if get_token():
            return f"{repository} is gated and your token has no access to it: ask for it at {page}"
        return f"{repository} is gated: accept its terms at {page}, then log in: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{repository}: the hub has no such repository, or it is private; check the name, or "
            "`hf auth login`"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"{repository}: the hub does not have the pinned commit any more; pull with --update "
            "to pin the present one"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return (
            f"{repository}: the hub lacks a file of the pinned commit"
            f"{_file(error)}; pull with --update to pin the present one"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return f"{repository}: {_status(error)}"
    if isinstance(error, errors.HFValidationError):
        return f"{repository!r}: expected a repository owner/name"
    if is_of_the_network(error):
        return (
            f"{repository}: no connection to {ENDPOINT} ({_short(error)}); check the network, "
            "HF_ENDPOINT and proxies; what was fetched is kept and the next pull goes on"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{repository}: the disk is full; free some space, or set HF_HOME to another disk"
    if isinstance(error, (OSError, ValueError)):
        return f"{repository}: {_short(error)}"
    return None


def _status(error: Exception) -> str:
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    if code == 401:
        return "the hub refuses your token; `hf auth login` anew, or correct HF_TOKEN"
    if code == 403:
        return "the hub gives your token no access to it; ask its owner, or use another token"
    if code == 429:
        return "the hub says too many requests (429); wait some minutes, or `hf auth login`"
    if code is not None and code >= 500:
        return f"the hub is not well (HTTP {code}); try again later: what was fetched is kept"
    return f"the hub answers HTTP {code}; check HF_ENDPOINT, or try again later"


def is_of_the_network(error: Exception) -> bool:
    """Whether the connection failed, not the hub. The libraries under huggingface_hub differ by
    its version: they are known by their names."""
    names = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return bool(names & {"httpx", "httpx2", "httpcore", "requests", "urllib3"}) or isinstance(
        error, (ConnectionError, TimeoutError)
    )


def _file(error: Exception) -> str:
    url = str(getattr(getattr(error, "response", None), "url", ""))
    name = url.split("?")[0].partition("/resolve/")[2].partition("/")[2]
    return f", {name}" if name else ""


def _short(error: Exception) -> str:
    return one_line(error)[:200] or type(error).__name__
