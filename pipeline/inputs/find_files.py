"""Which files a run takes: folders, globs, list files; and the id that each file gets.

Reads names only, no pictures. Links are not followed out of the tree that was named.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...configs.errors import UsageError
from ..images.read import ENDINGS

LONGEST = 200
"""Bytes of a file name in a run folder, so that endings fit into the 255 that are allowed."""
_WRITTEN = (".png", ".jpg", ".webp")
_OURS = (".blend", ".control")


class InputError(UsageError):
    """Nothing to work on; the message says got, expected, remedy."""


@dataclass
class Found:
    """`ids`: an id for each file, in order; `outside`: links that lead out of their folder."""

    ids: dict[Path, str] = field(default_factory=dict)
    outside: list[Path] = field(default_factory=list)


def find(folder: Path, outside: list[Path] | None = None) -> list[Path]:
    """All pictures below a folder by their endings, in order of their names.

    Hidden files and folders are left out, and so are run folders below it, so that a second
    `visuals run .` does not take the first one's results for photos. A link to a file inside is
    a file; one that leads out is left out and added to `outside`. A link to a folder inside is
    not entered: its files are found where they are.
    """
    found: list[Path] = []
    beyond = outside if outside is not None else []
    real = folder.resolve()
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and "manifest.jsonl" in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        beyond += [p for p in map(here.joinpath, folders) if _leads_out(p, real)]
        for name in files:
            path = here / name
            if name.startswith(".") or path.suffix.lower() not in ENDINGS:
                continue
            if _leads_out(path, real):
                beyond.append(path)
            else:
                found.append(path)
    return sorted(found)


def expand(inputs: Sequence[str], listed: Sequence[str] = ()) -> Found:
    """The picture files that `inputs` (files, folders, globs, `@list.txt`) and `listed` name.

    `listed`: entries of a list file: one that is not there stays in, so that it fails by name.
    Raises InputError for an input that names nothing.
    """
    given = list(inputs)
    listed = list(listed)
    for name in [n for n in given if n.startswith("@") and not os.path.lexists(n)]:
        given.remove(name)
        listed += read_list(name[1:])
    found = Found()
    files: list[Path] = []
    roots: list[Path] = []
    for name in given:
        paths, below = _one(name, found.outside)
        files += paths
        roots.append(below)
    for name in listed:
        path = Path(name)
        files += find(path, found.outside) if path.is_dir() else [path]
    unique: dict[str, Path] = {}
    for path in files:
        unique.setdefault(os.path.abspath(path), path)
    root = roots[0] if len(roots) == 1 and not listed else None
    found.ids = names(unique.values(), root)
    return found


def read_list(path: str) -> list[str]:
    """The paths in a list file, one a line, taken from the working folder; empty lines are not."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(
            f"cannot read the list {path} ({error.strerror}): expected a file with a path a line"
        ) from None
    lines = [line.rstrip("\r") for line in text.split("\n")]
    paths = [line for line in lines if line.strip()]
    if not paths:
        raise InputError(f"the list {path} is empty: expected a path a line")
    return paths


def _one(given: str, outside: list[Path]) -> tuple[list[Path], Path]:
    """The files of one input, and the folder that their ids are relative to."""
    path = Path(given)
    if path.is_dir():
        found = find(path, outside)
        if not found:
            raise InputError(
                f"{given} holds no picture: expected files ending in "
                f"{', '.join(ENDINGS)}; name another folder"
            )
        return found, path
    if os.path.lexists(path):
        return [path], path.parent
    if re.search(r"[*?\[]", given):
        return _glob(path, given, outside)
    raise InputError(f"no file or folder {given!r}: expected photos; check the path")


def _glob(pattern: Path, given: str, outside: list[Path]) -> tuple[list[Path], Path]:
    fixed = 0
    while not re.search(r"[*?\[]", pattern.parts[fixed]):
        fixed += 1
    base = Path(*pattern.parts[:fixed])
    allowed = set(find(base, outside)) if base.is_dir() else set()
    found: list[Path] = []
    if base.is_dir():
        for path in base.glob(str(Path(*pattern.parts[fixed:]))):
            found += [p for p in allowed if path in p.parents] if path.is_dir() else [path]
    found = sorted(set(found) & allowed)
    if not found:
        raise InputError(
            f"no picture matches {given!r}: expected files ending in {', '.join(ENDINGS)}; "
            "check the pattern, and quote it"
        )
    return found, base


def _leads_out(path: Path, root: Path) -> bool:
    if not path.is_symlink():
        return False
    try:
        return not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself: Python before 3.13 says so with these
        return False


def names(paths: Iterable[Path], root: Path | None = None) -> dict[Path, str]:
    """An id for each file: its path below `root` without the ending, which comes back where
    two files would share an id; sub-folders are kept. Without `root`, below what all share.

    An id is a relative path that can be written: control characters and bytes that are no
    UTF-8 become "_", and a name over 200 bytes ends in a hash of the whole.

    >>> names([Path("a/x.png"), Path("a/x.jpg"), Path("a/y.png")], Path("a"))[Path("a/x.jpg")]
    'x_jpg'
    """
    whole = {path: Path(os.path.abspath(path)) for path in paths}
    if not whole:
        return {}
    base = os.path.abspath(root) if root else os.path.commonpath([p.parent for p in whole.values()])
    stems = {path: p.relative_to(base).with_suffix("") for path, p in whole.items()}
    taken: dict[str, int] = {}
    for stem in stems.values():
        taken[stem.as_posix().lower()] = taken.get(stem.as_posix().lower(), 0) + 1
    out: dict[Path, str] = {}
    used: set[str] = set()
    for path, stem in stems.items():
        folders = [_clean(part + "_" * part.lower().endswith(_WRITTEN)) for part in stem.parts[:-1]]
        last = stem.name
        if taken[stem.as_posix().lower()] > 1 or last.lower().endswith(_OURS):
            last = f"{last}_{path.suffix[1:].lower()}"
        name = base_name = "/".join([*folders, _short(_clean(last))])
        k = 2
        while name.lower() in used:
            name, k = f"{base_name}_{k}", k + 1
        used.add(name.lower())
        out[path] = name
    return out


def _clean(name: str) -> str:
    """Without control characters and surrogates, which some disks and all JSON readers refuse."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", "_", name)


def _short(name: str) -> str:
    data = name.encode()
    if len(data) <= LONGEST:
        return name
    mark = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[: LONGEST - 9].decode(errors='ignore')}~{mark}"
