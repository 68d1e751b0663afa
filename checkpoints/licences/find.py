"""Finds the licence of a model or LoRA: in the catalogue, its card or its file's metadata."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path
from typing import Any

import yaml

from ...configs.errors import UsageError
from ...configs.text_files import parse_yaml, read_text
from ..catalog.entry import Entry, UnknownCheckpointError
from ..catalog.names import catalogue, find, mini_folder, resolve
from ..formats import safetensors_header
from ..hub import cache as hub_cache
from ..hub.download import CARD
from ..hub.errors import PullError, explain
from .terms import UNKNOWN


def licence_of(ref: str | os.PathLike[str], *, ask: bool = False) -> str:
    """Return the licence of a name, folder, file or repository; "unknown" where nothing names one.

    It is that of the catalogue, else of the model card, else of the metadata of a `.safetensors`
    file. With `ask`, the hub is asked for the card of a repository where that is not cached.
    """
    entry = find(ref)
    if entry and entry.licence:
        return entry.licence
    try:
        place = resolve(ref)
    except UnknownCheckpointError:
        return UNKNOWN
    path = Path(place)
    if not path.exists():
        return _of_catalogue(place) or _of_card(_card_of_repository(place, ask)) or UNKNOWN
    path = path.resolve()
    found = _of_catalogue(str(path)) or _of_card(path / CARD)
    return found or _of_metadata(path) or UNKNOWN


def _of_catalogue(place: str) -> str | None:
    """Return the licence of the entry of a repository, a path, or a file in an embedded folder."""
    return next((e.licence for e in catalogue().values() if e.licence and _holds(e, place)), None)


def _holds(entry: Entry, place: str) -> bool:
    if entry.folder:
        return (mini_folder() / entry.folder).resolve() in (Path(place), *Path(place).parents)
    return place in (entry.repository, entry.path)


def _of_metadata(path: Path) -> str | None:
    if path.is_file() and path.suffix.lower() == ".safetensors":
        with contextlib.suppress(safetensors_header.HeaderError, OSError):
            return safetensors_header.read(path).metadata.get("modelspec.license", "").strip()
    return None


def _of_card(card: Path | None) -> str | None:
    """Return the licence in a card's front matter: `license`, or `license_name` for "other"."""
    if card is None or not card.is_file():
        return None
    values: Any = None
    with contextlib.suppress(UsageError, yaml.YAMLError, ValueError):
        text = read_text(card, UsageError, "a model card", errors="replace")
        front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
        values = parse_yaml(front[1]) if front else None
    if not isinstance(values, dict):
        return None
    named = [values.get(key) for key in ("license", "license_name")]
    names = [name.strip() for name in named if isinstance(name, str) and name.strip()]
    return next((name for name in names if name.lower() not in ("other", UNKNOWN)), None)


@functools.cache
def _ask_for_card(repository: str) -> None:
    """Download the card of a repository into the cache, once a process, where there is one."""
    from huggingface_hub import hf_hub_download

    with contextlib.suppress(PullError), explain(repository):
        hf_hub_download(repository, CARD, etag_timeout=5)


def _card_of_repository(repository: str, ask: bool) -> Path | None:
    card = hub_cache.newest_file(repository, CARD)
    if card is None and ask:
        _ask_for_card(repository)
        card = hub_cache.newest_file(repository, CARD)
    return card
