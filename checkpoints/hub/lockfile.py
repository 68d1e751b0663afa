"""Reads and writes checkpoints.lock: commit, file sizes and hashes of each pulled model.

The file can be shared: it holds no local path and no date, and the same pulls write the same
text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...configs.errors import UsageError, one_line
from ...configs.text_files import parse_yaml
from .. import atomic_files

NAME = "checkpoints.lock"
SWITCH = "VISUALS_LOCK"
"""Environment variable: the lock file to use in place of the default one."""
_HEAD = (
    "# Models as they were pulled: visuals checkpoints pull writes this, every load checks it.\n"
)


class LockError(UsageError):
    """The lock file cannot be read."""


@dataclass(frozen=True)
class PinnedFile:
    """Size in bytes of a file, and its SHA-256 (large files) or git's SHA-1 of the blob."""

    size: int
    sha256: str | None = None
    git: str | None = None

    @property
    def etag(self) -> str:
        """The hash by which the Hugging Face cache names the content."""
        return self.sha256 or self.git or ""


@dataclass(frozen=True)
class Pin:
    """A commit of a repository. `files`: path in the repository → size and hash."""

    commit: str
    files: Mapping[str, PinnedFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def default_path() -> Path:
    """Return the path of the lock file.

    It is $VISUALS_LOCK, else checkpoints.lock of the current folder if it exists, else that of the
    user's configuration folder.
    """
    from ..user_dirs import config_folder

    if os.environ.get(SWITCH):
        return Path(os.environ[SWITCH]).expanduser()
    here = Path(NAME)
    return here if here.is_file() else config_folder() / NAME


def read(path: Path | None = None) -> dict[str, Pin]:
    """Return the pin of each repository; empty where there is no file. Raises LockError."""
    import yaml

    path = path or default_path()
    if not path.is_file():
        return {}
    try:
        values = parse_yaml(path.read_text(encoding="utf-8")) or {}
        return {repository: _pin(value) for repository, value in values["models"].items()}
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = one_line(error)[:200]
        raise LockError(
            f"{path}: not a lock file that can be read ({what}); restore it, or delete it and pull"
        ) from None


def write(pins: Mapping[str, Pin], path: Path) -> None:
    """Write all pins in the order of their names, atomically."""
    import yaml

    models = {
        repository: {
            "commit": pin.commit,
            "files": {
                name: {k: v for k, v in asdict(file).items() if v is not None}
                for name, file in sorted(pin.files.items())
            },
        }
        for repository, pin in sorted(pins.items())
    }
    text = yaml.safe_dump({"version": 1, "models": models}, sort_keys=False, width=200)
    atomic_files.write(path.resolve(), (_HEAD + text).encode())  # may be a link


def _pin(value: Mapping[str, Any]) -> Pin:
    return pinned(value["commit"], {n: pinned_file(n, **f) for n, f in value["files"].items()})


def pinned(commit: str, files: Mapping[str, PinnedFile]) -> Pin:
    """Build a pin; raise ValueError for a malformed commit."""
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise ValueError(f"commit {commit!r}: expected 40 hexadecimal digits")
    return Pin(commit, files)


def pinned_file(
    name: str, size: int | None = None, sha256: str | None = None, git: str | None = None
) -> PinnedFile:
    """Build a pinned file.

    Raises:
        ValueError: The size or the hash is missing or malformed, or the path leads out of the
            repository.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise ValueError(f"file {name!r}: expected a path within the repository")
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"{name}: size {size!r}: expected bytes")
    for text, digits in ((sha256, 64), (git, 40)):
        if text is not None and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", text):
            raise ValueError(f"{name}: hash {text!r}: expected {digits} hexadecimal digits")
    if not (sha256 or git):
        raise ValueError(f"{name}: no hash to verify it by")
    return PinnedFile(size, sha256, None if sha256 else git)
