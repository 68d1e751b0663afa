"""run.yaml, the record of a run: read, written, and compared with another.

It holds the request, the settings, hashes and licences of the models, versions, and the batch
sizes that fitted into memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...checkpoints import atomic_files
from ...configs import text_files
from ...configs.base import Text
from ...configs.errors import RunFolderError as RunFolderError
from ...configs.errors import one_line
from ...configs.version import VERSION, installed
from .inside_path import inside
from .jsonl import to_json

NAME = "run.yaml"
MAX_BYTES = 8 * text_files.MAX_BYTES
"""Largest run.yaml that is read: room for the longest prompt table, written as YAML."""
_FREE = (
    "request.annotate",
    "request.count",
    "request.inputs",
    "request.needs",
    "request.options",
    "request.preset",
    "request.version",
    "settings.run.allow_pickle",
    "settings.run.license",
    "settings.run.low_memory",
    "settings.generate.fuse_loras",
    "settings.caption",
    "settings.run.retries",
    "batch_sizes",
    "began_in",
    "digest",
    "identity",
    "licences",
    "versions",
)
"""Keys that may change when a run is resumed, since no picture depends on them."""


class _Given(BaseModel):
    """Keys of later versions are kept."""

    model_config = ConfigDict(extra="allow")


class _Request(_Given):
    needs: list[Literal["generate", "detect", "segment", "rerender"]] = []
    command: str | None = None
    inputs: list[str] | None = None
    preset: str | None = None
    classes: list[Text] | None = None
    count: int | None = None
    edit: Text | None = None
    prompts: list[Text] | None = None
    rows: list[dict[str, Any]] | None = None
    mask: str | None = None
    options: dict[str, Any] | None = None


class _Record(_Given):
    request: _Request
    settings: dict[str, Any]
    checkpoints: dict[str, str] | None = None
    batch_sizes: dict[str, Annotated[int, Field(ge=1)]] | None = None
    began_in: str | None = None
    digest: str | None = None
    identity: str | None = None
    licences: dict[str, str] | None = None
    versions: dict[str, str] | None = None


_KINDS = ("lora:", "embedding:", "wildcard:")
_LINE_BREAKS = re.compile("[\x85\u2028\u2029]")


def read(folder: Path) -> dict[str, Any]:
    """Return the record of a run folder, {} where there is none. Raises RunFolderError."""
    path = inside(folder, NAME)
    try:
        if not path.is_file():
            return {}
        _check_size(path.stat().st_size, path)
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read ({error.strerror}); mend the file") from None


def parse(data: bytes, path: object) -> dict[str, Any]:
    """Return the record in the bytes of a run.yaml, which errors call `path`.

    Raises:
        RunFolderError: it is not YAML, over MAX_BYTES, or a value is of another type.
    """
    _check_size(len(data), path)
    import yaml

    try:
        record = text_files.parse_yaml(data.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: not YAML ({one_line(error)}); mend the file") from None
    try:
        return _Record.model_validate(record).model_dump(exclude_unset=True)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"])) or "its values"
        raise RunFolderError(
            f"{path}: {name}: {problem['msg']}; expected request and settings of a run; mend the "
            "file"
        ) from None


def _check_size(size: int, path: object) -> None:
    if size > MAX_BYTES:
        raise RunFolderError(
            f"{path}: {size:,} bytes; expected the record of a run, of at most {MAX_BYTES:,} "
            "bytes; mend the file"
        )


def without_pickles(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings without leave to read pickles, which only a user gives."""
    from ...configs.schema import merge

    return merge(settings, {"run": {"allow_pickle": False}})


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record atomically."""
    import yaml

    text = yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True)
    if _LINE_BREAKS.search(text):  # which PyYAML reads back as others
        text = yaml.safe_dump(dict(record), sort_keys=False)
    atomic_files.write(folder / NAME, text.encode())


@contextlib.contextmanager
def where_begun(record: Mapping[str, Any]) -> Iterator[None]:
    """Work in the folder in which a run was begun, where it is still there, and come back.

    Relative paths in its lists and settings mean what they meant.
    """
    began = record.get("began_in")
    if not began or not os.path.isdir(began):
        yield
        return
    here = os.getcwd()
    os.chdir(began)
    try:
        yield
    finally:
        os.chdir(here)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the differences that would change pictures, each as `"key: was → is"`.

    >>> differences({"settings": {"a": 1, "b": 2}}, {"settings": {"a": 1, "b": 3}})
    ['settings.b: 2 → 3']
    """
    was = {**old, "settings": _used(_complete(old.get("settings")))}
    now = {**new, "settings": _used(new.get("settings"))}
    if "checkpoints" in old and "checkpoints" in new:
        now["checkpoints"] = _known(old["checkpoints"] or {}, new["checkpoints"] or {})
    return _differ(was, now)


def identity(record: Mapping[str, Any]) -> str:
    """Return a hash of all that pictures depend on, which each line of a manifest names."""

    def compared(value: Any, path: str = "") -> Any:
        if not isinstance(value, Mapping):
            return value
        paths = {key: f"{path}.{key}"[not path :] for key in value}
        inner = {k: compared(v, paths[k]) for k, v in value.items() if not _is_free(paths[k])}
        return {k: v for k, v in inner.items() if v is not None}

    text = to_json(compared({**record, "settings": _used(record["settings"])}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_edited(record: Mapping[str, Any]) -> bool:
    """Return whether the record of a run.yaml says something else than when it was written.

    Another version may have taken the digest of other keys, so that cannot be told of its records.
    """
    if (record.get("versions") or {}).get("visuals") != VERSION:
        return False
    return record.get("digest") not in (None, identity(record))


def _is_free(path: str) -> bool:
    return path in _FREE or path.endswith(".batch_size")


def _differ(old: Any, new: Any, path: str = "") -> list[str]:
    if _is_free(path):
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = {**old, **new}
        return [d for k in keys for d in _differ(old.get(k), new.get(k), f"{path}.{k}"[not path :])]
    rows = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    if rows and all(isinstance(one, Mapping) for one in [*old, *new]):
        pairs = zip(old, new, strict=True)
        return [d for k, pair in enumerate(pairs) for d in _differ(*pair, f"{path}.{k}")]
    return [] if old == new else [f"{path}: {_short(old)} → {_short(new)}"]


def _complete(settings: Any) -> Any:
    """Fill in settings that an older version did not have, at their defaults."""
    from ...configs.schema import SettingsError, check

    try:
        return check(settings).model_dump(mode="json")
    except (SettingsError, TypeError, ValueError):
        return settings


def _used(settings: Any) -> Any:
    """Drop control maps that `rerender.controls` does not name."""
    try:
        named = set(settings["rerender"]["controls"])
        controls = {k: v for k, v in settings["controls"].items() if k in named}
    except (KeyError, TypeError, AttributeError):
        return settings
    return {**settings, "controls": controls}


def _known(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the hashes that an older version took too: by name, or by kind (`lora:`)."""
    kinds = {name.partition(":")[0] for name in old if name.startswith(_KINDS)}
    return {k: v for k, v in new.items() if k in old or k.partition(":")[0] in kinds}


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:28]}…{text[-28:]}"


def versions() -> dict[str, str]:
    """Return the versions of visuals, Python and the libraries that make the pictures."""
    names = ("torch", "diffusers", "transformers", "peft", "numpy")
    libraries = {name: installed(name) or "not installed" for name in names}
    return {"visuals": VERSION, "python": platform.python_version(), **libraries}
