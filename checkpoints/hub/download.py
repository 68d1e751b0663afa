"""The Hugging Face hub: what a repository holds, one file of it, and what its errors mean.

Knows HTTP by way of huggingface_hub, whose cache, endpoint (HF_ENDPOINT), token and offline
switch it uses. A file is fetched beside its place, verified, and only then put there.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ...configs.errors import RunError
from ..formats.pickles import UNSAFE_SUFFIXES
from . import cache as hub_cache
from .errors import is_of_the_network, sentence
from .lockfile import Pin, PinnedFile, pinned, pinned_file

KEPT = (".safetensors", ".json", ".txt", ".model")
_WEIGHTS = re.compile(
    r"(?P<stem>.+?)(\.(?P<variant>[\w-]+?))?(?P<shard>-\d{5}-of-\d{5})?\.safetensors"
)


class PullError(RunError):
    """A model that could not be fetched; the message says got, expected, remedy."""


def listing(repository: str, revision: str | None = None) -> Pin:
    """The commit that a revision (main) is now, with all its files. Raises PullError."""
    from huggingface_hub import HfApi

    with _sentences(repository), _quiet():
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=30)
        files = {}
        for found in info.siblings or []:
            if found.rfilename.endswith(KEPT + UNSAFE_SUFFIXES):
                lfs = found.lfs.sha256 if found.lfs else None
                files[found.rfilename] = pinned_file(
                    found.rfilename, found.size, lfs, None if lfs else found.blob_id
                )
        return pinned(str(info.sha), files)


def select(found: Pin, patterns: Sequence[str] = (), variant: str | None = None) -> Pin:
    """The files of a listing that are wanted: safetensors and their settings, never a pickle.

    `patterns`: as in a shell, over the whole path. `variant`: the weights wanted where there are
    several. Raises ValueError where the weights are only there as pickles, or not at all.
    """
    names = [n for n in found.files if not patterns or _matches(n, patterns)]
    pipeline = "model_index.json" in names
    if pipeline and not patterns:  # at the root lie copies of the weights, for other programs
        names = [n for n in names if "/" in n or n == "model_index.json"]
    kept = [n for n in names if n.endswith(KEPT)]
    weights = [n for n in kept if n.endswith(".safetensors")]
    chosen = _of_variant(weights, variant)
    pickled = [n for n in names if n.endswith(UNSAFE_SUFFIXES)]
    having = {_folder(n) for n in chosen}
    lost = [n for n in pickled if not chosen or (pipeline and _folder(n) not in having)]
    if lost:
        raise ValueError(
            f"has {lost[0]} only as a pickle, which can run code when it is read; take a "
            "repository with .safetensors"
        )
    if not chosen:
        wanted = f" that match {', '.join(patterns)}" if patterns else ""
        raise ValueError(f"has no .safetensors files{wanted}; check the name of the repository")
    left = set(weights) - set(chosen)
    return Pin(found.commit, {n: found.files[n] for n in kept if n not in left})


def fetch(repository: str, commit: str, name: str, file: PinnedFile, tick: hub_cache.Tick) -> Path:
    """One file at a commit, into the cache. What an earlier try has fetched is not fetched again.

    Raises PullError; a file whose hash is not the pinned one is removed.
    """
    place = hub_cache.blob(repository, file)
    with _sentences(repository), _quiet(), _locked(repository, file):
        if not hub_cache.is_as_pinned(place, file, tick=tick):
            hub_cache.discard(place)
            begun = partial(repository, file)
            resumed = begun.is_file() and begun.stat().st_size > 0
            good = _download(repository, commit, name, file, begun, tick)
            if not good and resumed:  # what was there before may have been at fault
                good = _download(repository, commit, name, file, begun, tick)
            if not good:
                raise PullError(
                    f"{repository}: {name} is not what the hub said it is (its hash differs); "
                    "it was removed, nothing of it is loaded: pull again, or with another network"
                )
            begun.replace(place)
            hub_cache.note(place, file)
    return hub_cache.link(repository, commit, name, file)


def partial(repository: str, file: PinnedFile) -> Path:
    """Where a file lies while it is fetched: the name that huggingface_hub gave it too."""
    place = hub_cache.blob(repository, file)
    return place.with_name(place.name + ".incomplete")


def endpoint() -> str:
    """The hub's address (HF_ENDPOINT)."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _download(
    repository: str, commit: str, name: str, file: PinnedFile, begun: Path, tick: hub_cache.Tick
) -> bool:
    """Fetch what is missing of a file; whether it is the pinned one. A bad one is removed."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    begun.parent.mkdir(parents=True, exist_ok=True)
    if begun.is_file() and begun.stat().st_size > file.size:
        begun.unlink()
    with begun.open("ab", buffering=0) as stream:
        tick(stream.tell())
        while (done := stream.tell()) < file.size:
            try:
                http_get(
                    hf_hub_url(repository, name, revision=commit),
                    _Told(stream, tick),  # type: ignore[arg-type]
                    resume_size=done,
                    headers={**build_hf_headers(), "Accept-Encoding": "identity"},
                    expected_size=file.size,
                    displayed_filename=name,
                )
            except Exception as error:  # a line that drops, but brings something each time
                if not is_of_the_network(error) or stream.tell() <= done:
                    raise
            else:
                break
    if begun.stat().st_size == file.size and hub_cache.hash_of(begun, file) == file.etag:
        return True
    begun.unlink()
    return False


class _Told:
    """A file that says how much is written to it."""

    def __init__(self, stream: IO[bytes], tick: hub_cache.Tick) -> None:
        self._stream, self._tick = stream, tick

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:  # an unbuffered file may take a part
            view = view[self._stream.write(view) :]
        self._tick(len(data))
        return len(data)

    def truncate(self) -> int:
        before = self._stream.seek(0, 2)
        self._tick(-before)  # the server sends the whole file: from the start
        return self._stream.truncate(0)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _of_variant(weights: Sequence[str], variant: str | None) -> list[str]:
    """Of each weight file the wanted variant, else the plain one, else all there are."""
    groups: dict[str, dict[str | None, list[str]]] = {}
    for name in weights:
        match = _WEIGHTS.fullmatch(name)
        assert match is not None
        groups.setdefault(match["stem"], {}).setdefault(match["variant"], []).append(name)
    out: list[str] = []
    for group in groups.values():
        of_all = [n for names in group.values() for n in names]
        out += group.get(variant) or group.get(None) or of_all
    return out


@contextlib.contextmanager
def _locked(repository: str, file: PinnedFile) -> Iterator[None]:
    """One program at a time fetches a file: the lock that huggingface_hub takes too."""
    from huggingface_hub.utils import WeakFileLock

    folder = hub_cache.root() / ".locks" / hub_cache.repository_folder(repository).name
    folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(folder / f"{file.etag}.lock"):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's own bars and warnings: this program has its own."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    log, off = logging.getLogger("huggingface_hub"), are_progress_bars_disabled()
    level = log.level
    log.setLevel(logging.ERROR)
    if not off:
        disable_progress_bars()
    try:
        yield
    finally:
        log.setLevel(level)
        if not off:
            enable_progress_bars()


@contextlib.contextmanager
def _sentences(repository: str) -> Iterator[None]:
    """Whatever the hub, the network or the disk raise becomes a PullError of one sentence."""
    try:
        yield
    except PullError:
        raise
    except Exception as error:
        text = sentence(error, repository)
        if text is None:
            raise
        raise PullError(text) from error
