"""Catalogue entries: a model's kind, location and wanted files, and the entries that we ship."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...configs.errors import UsageError


class UnknownCheckpointError(UsageError):
    """No model, folder, file or repository has this name."""


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue. Fields that are not known for certain are None.

    Args:
        kind: What loads it, such as "text-to-image", "controlnet" or "detector".
        folder: Folder below the embedded models. Exactly one of `folder`, `repository` and `path`
            is set.
        repository: Repository on the Hugging Face hub, "owner/name".
        path: A user's folder or file.
        files: Shell patterns of the wanted files; empty for all weights and their settings.
        variant: The wanted weights where a repository has several, such as "fp16".
        revision: Branch or pull request of the repository that has them; None for main.
        gated: Whether the hub asks users to accept its terms first.
        licence: Licence of the weights.
        memory_gib: Advised GPU memory in GiB.
        low_memory_gib: The same with `--low-memory`, where weights are stored in 8 bits.
        dtype: Advised dtype.
        pipeline: Its pipeline's class in diffusers; None for Stable Diffusion and other kinds.
        note: What else a user should know.
    """

    kind: str
    folder: str | None = None
    repository: str | None = None
    path: str | None = None
    files: tuple[str, ...] = ()
    variant: str | None = None
    revision: str | None = None
    gated: bool = False
    licence: str | None = None
    memory_gib: float | None = None
    low_memory_gib: float | None = None
    dtype: str | None = None
    pipeline: str | None = None
    note: str | None = None

    @property
    def needs(self) -> str:
        """Memory and dtype to know before the download; "" where neither is known."""
        parts = [f"{self.memory_gib:g} GiB of GPU memory" if self.memory_gib else "", self.dtype]
        return ", ".join(part for part in parts if part)


def parse_entries(values: Mapping[str, Mapping[str, object]]) -> dict[str, Entry]:
    """Build entries from the fields of each name, as YAML holds them."""
    entries = {}
    for name, fields in values.items():
        files = fields.get("files") or ()
        entries[name] = Entry(**{**fields, "files": tuple(files)})  # type: ignore[arg-type]
    return entries


@functools.cache
def shipped_entries() -> dict[str, Entry]:
    """Return the entries of catalog.yaml by name."""
    import yaml

    text = (Path(__file__).parent / "catalog.yaml").read_text(encoding="utf-8")
    return parse_entries(yaml.safe_load(text))


def looks_like_repository(text: str) -> bool:
    """Return whether this may be a repository on the hub, "owner/name"."""
    return text.count("/") == 1 and not text.startswith((".", "/", "~", "mini/"))
