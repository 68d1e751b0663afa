"""Lists a hub repository, selects the wanted files and downloads them at a pinned commit.

huggingface_hub does the downloading: its cache, retries, progress bars, endpoint (HF_ENDPOINT),
token and offline switch apply. Every file is compared with its pinned hash afterwards.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ..formats.pickles import UNSAFE_SUFFIXES
from ..formats.safetensors_header import SHARD
from ..hashing import ReportBytes
from . import cache as hub_cache
from .errors import PullError, explain
from .lockfile import Pin, pinned, pinned_file

if TYPE_CHECKING:
    from huggingface_hub import CachedRevisionInfo

CARD = "README.md"
"""The model card, whose front matter names the licence; it comes along with every download."""
KEPT_SUFFIXES = (".safetensors", ".json", ".txt", ".model")
_WEIGHTS = re.compile(rf"(?P<stem>.+?)(\.(?P<variant>[\w-]+?))?({SHARD})?\.safetensors")


def list_files(repository: str, revision: str | None = None) -> Pin:
    """Return the commit of a revision (default: main) with its files. Raises PullError."""
    from huggingface_hub import HfApi

    with explain(repository):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=30)
        files = {}
        for found in info.siblings or []:
            if found.rfilename.endswith(KEPT_SUFFIXES + UNSAFE_SUFFIXES):
                lfs = found.lfs.sha256 if found.lfs else None
                files[found.rfilename] = pinned_file(
                    found.rfilename, found.size, lfs, None if lfs else found.blob_id
                )
        return pinned(str(info.sha), files)


def select_files(listed: Pin, patterns: Sequence[str] = (), variant: str | None = None) -> Pin:
    """Select the safetensors weights and settings of a listing; pickles are never selected.

    Args:
        listed: A commit with all its files.
        patterns: Shell patterns over the whole path; empty for all files.
        variant: The wanted weights where there are several, such as "fp16".

    Raises:
        ValueError: The weights exist as pickles only, or not at all.
    """
    names = [n for n in listed.files if not patterns or matches(n, patterns)]
    is_pipeline = "model_index.json" in names
    if is_pipeline and not patterns:  # the root holds copies of the weights for other programs
        names = [n for n in names if "/" in n or n == "model_index.json"]
    kept = [n for n in names if n.endswith(KEPT_SUFFIXES)]
    weights = [n for n in kept if n.endswith(".safetensors")]
    chosen = _select_variant(weights, variant)
    covered = {_folder(n) for n in chosen}
    unusable = [
        n
        for n in names
        if n.endswith(UNSAFE_SUFFIXES)
        and (not chosen or (is_pipeline and _folder(n) not in covered))
    ]
    if unusable:
        raise ValueError(
            f"has {unusable[0]} only as a pickle, which can run code when it is read; use a "
            "repository with .safetensors"
        )
    if not chosen:
        wanted = f" that match {', '.join(patterns)}" if patterns else ""
        raise ValueError(f"has no .safetensors files{wanted}; check the name of the repository")
    dropped = set(weights) - set(chosen)
    return Pin(listed.commit, {n: listed.files[n] for n in kept if n not in dropped})


def download(
    repository: str,
    pin: Pin,
    names: Collection[str],
    *,
    report: ReportBytes = lambda count: None,
) -> None:
    """Download files of a pin into the Hugging Face cache and verify them.

    Raises:
        PullError: The download failed, or a file differs from its pin; that file is deleted.
    """
    from huggingface_hub import snapshot_download

    for name in names:
        if path := hub_cache.cached_file(repository, pin.commit, name):
            hub_cache.discard(path)  # damaged
    with explain(repository):
        patterns = [CARD, *(glob.escape(name) for name in names)]
        snapshot_download(repository, revision=pin.commit, allow_patterns=patterns)
    for name in names:
        path = hub_cache.cached_file(repository, pin.commit, name)
        if path is None:
            raise PullError(
                f"{repository}: {name} is not cached; check the network and HF_HUB_OFFLINE, "
                "then pull again"
            )
        if not hub_cache.is_intact(path, pin.files[name], report=report):
            hub_cache.discard(path)
            raise PullError(
                f"{repository}: {name} is not what the hub announced (its hash differs); it was "
                "deleted and is not loaded: pull again, or use another network"
            )


def cached_weights(
    repository: str, patterns: Sequence[str] = (), commit: str | None = None
) -> CachedRevisionInfo | None:
    """Return the best cached revision with safetensors weights that match; None where none does.

    Args:
        repository: Its name on the hub.
        patterns: Shell patterns of the wanted files; empty for all.
        commit: The only commit to look at; None for any.
    """
    for revision in hub_cache.revisions(repository):
        weights = [n for n in hub_cache.file_names(revision) if n.endswith(".safetensors")]
        wanted = any(not patterns or matches(name, patterns) for name in weights)
        if wanted and commit in (None, revision.commit_hash):
            return revision
    return None


def endpoint() -> str:
    """Return the hub's address (HF_ENDPOINT)."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a path in a repository matches one of several shell patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _select_variant(weights: Sequence[str], variant: str | None) -> list[str]:
    """Select the wanted variant of each weights file, else the plain one, else all variants."""
    groups: dict[str, dict[str | None, list[str]]] = {}
    for name in weights:
        match = _WEIGHTS.fullmatch(name)
        assert match is not None
        groups.setdefault(match["stem"], {}).setdefault(match["variant"], []).append(name)
    selected: list[str] = []
    for group in groups.values():
        everything = [n for names in group.values() for n in names]
        selected += group.get(variant) or group.get(None) or everything
    return selected
