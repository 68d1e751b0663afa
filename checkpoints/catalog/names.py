"""The names of the models: embedded ones in this package, others on the Hugging Face hub.

Knows no torch and no network. A reference is a name of the catalogue ('mini/sd'), a name that the
user gave (see `own`), a folder or file, or a hub repository ('owner/name'). The entries are in
catalog.yaml.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...configs.errors import UsageError

MINI_SWITCH = "VISUALS_MINI"
"""Development switch: a folder that stands in for checkpoints/mini."""


class UnknownCheckpointError(UsageError):
    """A reference that names nothing; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue: one of `folder` (below the embedded models), `repository` (on the
    hub) and `path` (a user's folder or file). `files`: patterns of the files wanted; `variant`:
    the weights wanted where there are several; what is not known for certain is None."""

    kind: str
    folder: str | None = None
    repository: str | None = None
    path: str | None = None
    files: tuple[str, ...] = ()
    variant: str | None = None
    gated: bool = False
    licence: str | None = None
    memory_gib: float | None = None
    dtype: str | None = None
    note: str | None = None

    @property
    def needs(self) -> str:
        """What a user should know before the download, '' where nothing is known."""
        parts = [f"{self.memory_gib:g} GiB of GPU memory" if self.memory_gib else "", self.dtype]
        return ", ".join(part for part in parts if part)


def entries(values: Mapping[str, Mapping[str, object]]) -> dict[str, Entry]:
    """Entries from the fields of each name, as YAML has them."""
    out = {}
    for name, fields in values.items():
        files = fields.get("files") or ()
        out[name] = Entry(**{**fields, "files": tuple(files)})  # type: ignore[arg-type]
    return out


def _shipped() -> dict[str, Entry]:
    import yaml

    text = (Path(__file__).parent / "catalog.yaml").read_text(encoding="utf-8")
    return entries(yaml.safe_load(text))


CATALOG: dict[str, Entry] = _shipped()
"""The names that this package ships."""


def catalogue() -> dict[str, Entry]:
    """All names: those of this package, then the user's own."""
    from . import user_names

    return {**user_names.read(), **CATALOG}


def find(ref: str | os.PathLike[str]) -> Entry | None:
    """The entry of a name of the catalogue; None for a folder, a file or a repository."""
    text = os.fspath(ref)
    return CATALOG.get(text) or catalogue().get(text)


def mini_folder() -> Path:
    """Where the embedded models lie."""
    given = os.environ.get(MINI_SWITCH)
    return Path(given) if given else Path(__file__).parents[1] / "mini"


def looks_like_repository(text: str) -> bool:
    """Whether this could be a repository of the hub, 'owner/name'."""
    return text.count("/") == 1 and not text.startswith((".", "/", "~", "mini/"))


def resolve(ref: str | os.PathLike[str]) -> str:
    """The folder, file or hub repository that a reference stands for.

    Raises UnknownCheckpointError for a name that is none of these, with the nearest match.
    """
    text = os.fspath(ref)
    entry = find(text)
    if entry and entry.repository:
        return entry.repository
    if entry and entry.path:
        if not Path(entry.path).exists():
            raise UnknownCheckpointError(
                f"{text}: {entry.path} is not there any more; name it anew: "
                f"visuals checkpoints remove {text}, then add {text} PATH"
            )
        return entry.path
    if entry and entry.folder:
        path = mini_folder() / entry.folder
        if not path.is_dir():
            raise UnknownCheckpointError(
                f"{text}: no folder {entry.folder!r} among the embedded models in "
                f"{mini_folder()}; install the package anew, or make them: "
                "python -m visuals.checkpoints.recipe"
            )
        return str(path)
    if Path(text).expanduser().exists():
        return str(Path(text).expanduser())
    if text.lower().endswith((".ckpt", ".pth", ".pt", ".safetensors")):
        raise UnknownCheckpointError(
            f"no file {text!r}: expected a file of weights; check the path"
        )
    if looks_like_repository(text):
        return text
    near = difflib.get_close_matches(text, list(catalogue()), 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownCheckpointError(
        f"unknown model {text!r}{hint} (expected a folder, a hub repository owner/name, or a name "
        "that visuals checkpoints list shows)"
    )
