"""Finds the picture files of a run (folders, patterns, list files) and gives each an id.

Only names are read. Symbolic links that lead out of a folder are not followed.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...configs.errors import UsageError
from ...configs.text_files import read_text
from ..images.read import ENDINGS
from ..runs.inside_path import clean, file_name

_PATTERN = re.compile(r"[*?\[]")
_QUOTED = re.compile(r"""(["'])(.+)\1""")
_WRITTEN = (".png", ".jpg", ".webp")
_OURS = (".blend", ".control")


class InputError(UsageError):
    """The inputs of a run name no picture."""


@dataclass
class LeftOut:
    """Files in folders that are not taken: `links` that lead out, and `others` by their endings."""

    links: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


@dataclass
class Found:
    """Files with their ids, in order, and what was left out."""

    ids: dict[Path, str] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)


def find(folder: Path, left_out: LeftOut | None = None) -> list[Path]:
    """Return all pictures below a folder by their endings, sorted; raises InputError.

    Hidden files and folders are left out, and so are run folders, so that a second
    `visuals run .` does not take the results of the first for photos. Linked folders are not
    entered. Links that lead out of the folder and visible files that are no pictures are added to
    `left_out`. A folder that cannot be read is returned too, so that it fails by name.
    """
    found: list[Path] = []
    left_out = left_out or LeftOut()
    real = folder.resolve()

    def unreadable(error: OSError) -> None:
        if error.filename == str(folder):
            raise InputError(f"{folder} cannot be read ({error.strerror}): allow reading it")
        found.append(Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=unreadable):
        current = Path(place)
        if current != folder and "manifest.jsonl" in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        left_out.links += [p for p in map(current.joinpath, folders) if _leads_out(p, real)]
        for path in map(current.joinpath, sorted(files)):
            if path.name.startswith("."):
                continue
            if path.suffix.lower() not in ENDINGS:
                left_out.others.append(path)
            else:
                (left_out.links if _leads_out(path, real) else found).append(path)
    return sorted(found)


def expand(
    inputs: Sequence[str], listed: Sequence[str] = (), left_out: LeftOut | None = None
) -> Found:
    """Return the picture files that `inputs` (files, folders, patterns, `@list.txt`) and `listed`
    name.

    `listed`: entries of a list file; one that does not exist stays, so that it fails by name.
    `left_out` receives what is left out of the folders.
    Raises InputError for an input that names nothing.
    """
    given, listed = list(inputs), list(listed)
    for name in [n for n in given if n.startswith("@") and not os.path.lexists(n)]:
        given.remove(name)
        listed += read_list(name[1:])
    found = Found(left_out=left_out or LeftOut())
    files: list[Path] = []
    roots: list[Path] = []
    for name in given:
        paths, root = _files_of(name, found.left_out)
        files += paths
        roots.append(root)
    for path in map(Path, listed):
        files += find(path, found.left_out) if os.path.isdir(path) else [path]
    unique: dict[str, Path] = {}
    for path in files:
        unique.setdefault(os.path.abspath(path), path)
    found.ids = names(unique.values(), roots[0] if len(roots) == 1 and not listed else None)
    return found


def read_list(path: str) -> list[str]:
    """Return the paths in a list file, one a line, relative to the working folder.

    Lines that begin with # are comments; quotes and spaces around a path are left out. A line that
    names a file as it stands is taken so.
    """
    text = read_text(
        path,
        lambda message: InputError(f"cannot read the list: {message}"),
        "a path a line",
        errors="surrogateescape",
    )
    paths = []
    ends = "\n" if "\n" in text else "\r"
    for line in text.replace("\r\n", "\n").split(ends):
        quoted = _QUOTED.fullmatch(line.strip())
        if os.path.lexists(line):
            paths.append(line)
        elif quoted or (line.strip() and not line.lstrip().startswith("#")):
            paths.append(quoted[2] if quoted else line.strip())
    if not paths:
        raise InputError(f"the list {path} is empty: expected a path a line")
    return paths


def _files_of(given: str, left_out: LeftOut) -> tuple[list[Path], Path]:
    """The files of one input, and the folder that their ids are relative to."""
    path = Path(given)
    if os.path.isdir(path):
        found = find(path, left_out)
        if not found:
            raise InputError(
                f"{given} holds no picture: expected files ending in "
                f"{', '.join(ENDINGS)}; name another folder"
            )
        return found, path
    if os.path.lexists(path):
        return [path], path.parent
    if _PATTERN.search(given):
        return _matches(given, left_out)
    raise InputError(f"no file or folder {given[:500]!r}: expected photos; check the path")


def _matches(pattern: str, left_out: LeftOut) -> tuple[list[Path], Path]:
    """The files that a pattern matches, or that are in folders that it matches."""
    parts = Path(pattern).parts
    fixed = next(k for k, part in enumerate(parts) if _PATTERN.search(part))
    base = Path(*parts[:fixed])
    below = LeftOut(links=left_out.links)  # a pattern names what it takes
    allowed = find(base, below) if os.path.isdir(base) else []
    try:
        matches = set(base.glob(str(Path(*parts[fixed:]))))
    except ValueError as error:  # such as `**.jpg` before Python 3.13
        raise InputError(
            f"pattern {pattern!r}: {error}; expected one as in 'photos/*.jpg'"
        ) from None
    found = [path for path in allowed if path in matches or not matches.isdisjoint(path.parents)]
    if not found:
        raise InputError(
            f"no picture matches {pattern!r}: expected files ending in {', '.join(ENDINGS)}; "
            "check the pattern, and quote it"
        )
    return found, base


def _leads_out(path: Path, root: Path) -> bool:
    if not os.path.islink(path):
        return False
    try:
        return not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself, before Python 3.13
        return False


def names(paths: Iterable[Path], root: Path | None = None) -> dict[Path, str]:
    """Return an id for each file: its path relative to `root`, without the ending unless two files
    would share an id. Without `root` it is relative to the folder that all files share.

    An id can be written to any disk: control characters and bytes that are not UTF-8 become "_",
    and a name over 200 bytes is cut and ends in a hash.

    >>> names([Path("a/x.png"), Path("a/x.jpg"), Path("a/y.png")], Path("a"))[Path("a/x.jpg")]
    'x_jpg'
    """
    whole = {path: Path(os.path.abspath(path)) for path in paths}
    if not whole:
        return {}
    base = os.path.abspath(root) if root else os.path.commonpath([p.parent for p in whole.values()])
    stems = {path: p.relative_to(base).with_suffix("") for path, p in whole.items()}
    taken = Counter(stem.as_posix().lower() for stem in stems.values())
    out: dict[Path, str] = {}
    used: set[str] = set()
    for path, stem in stems.items():
        folders = [clean(part + "_" * part.lower().endswith(_WRITTEN)) for part in stem.parts[:-1]]
        last = stem.name
        if taken[stem.as_posix().lower()] > 1 or last.lower().endswith(_OURS):
            last = f"{last}_{path.suffix[1:].lower()}"
        name = "/".join([*folders, file_name(last)])
        out[path] = free_name(name, used)
    return out


def flat_name(id_: str, used: set[str]) -> str:
    """Return an id as the name of one file that is not in `used`, and add it there.

    >>> used = set(); [flat_name(id_, used) for id_ in ("a/x", "a_x")]
    ['a_x', 'a_x_2']
    """
    return free_name(file_name(re.sub(r"[/\\]", "_", id_)), used)


def free_name(name: str, used: set[str]) -> str:
    """Return a name that is not in `used` (in lower case), numbered if necessary, and add it."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    free = next(n for n in itertools.chain([name], numbered) if n.lower() not in used)
    used.add(free.lower())
    return free
