"""Reading of users' text files, with errors that say what was expected."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import yaml

from .errors import UsageError, VisualsError, one_line

MAX_BYTES = 64 << 20
"""Largest text file that is read: half a million prompts."""
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_text(
    path: str | Path,
    error: Callable[[str], VisualsError],
    expected: str,
    errors: str = "strict",
) -> str:
    """Return the text of a file in UTF-8 or UTF-16, each with a byte-order mark or without.

    Args:
        path: the file.
        error: makes the error of a file that cannot be read, of its message.
        expected: what the file should hold, for that message.
        errors: what is done with bytes of another encoding, as in `bytes.decode`.
    """
    return read_encoded(path, error, expected, errors)[0].removeprefix("\ufeff")


def read_encoded(
    path: str | Path,
    error: Callable[[str], VisualsError],
    expected: str,
    errors: str = "strict",
) -> tuple[str, str]:
    """Return the text, as `read_text` does but with its mark, and the encoding."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise error(f"{path}: a folder, pipe or device; expected {expected}")
        if (size := os.path.getsize(path)) > MAX_BYTES:
            raise error(f"{path}: {size:,} bytes; expected {expected}, at most {MAX_BYTES:,} bytes")
        return _decode(Path(path).read_bytes(), errors)
    except VisualsError:
        raise
    except FileNotFoundError:
        raise error(f"no file {str(path)!r}: expected {expected}; check the path") from None
    except OSError as cause:
        reason = (cause.strerror or type(cause).__name__).lower()
        raise error(f"{path}: {reason}; expected {expected}; allow reading it") from None
    except ValueError:  # another encoding, or a null byte in the path
        raise error(f"{path}: not UTF-8 text; expected {expected}; save it as UTF-8") from None


def _decode(data: bytes, errors: str) -> tuple[str, str]:
    encoding = _MARKS.get(data[:2], "utf-8")
    if encoding == "utf-8" and 4 * data.count(0) > len(data):  # mostly Latin letters in UTF-16
        encoding = "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    text = data.decode(encoding, errors)
    if "\0" in text:
        raise ValueError("no text")
    return text, encoding


def parse_json(
    text: str | bytes,
    names: Collection[str] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """Return the values of a JSON text.

    Args:
        text: of any origin.
        names: keys of an object that hold names of files, in which a lone surrogate stands for a
            byte that is not UTF-8; elsewhere none is allowed. None: no surrogate is looked for.
        parse_constant: reads NaN and Infinity, as in `json.loads`.

    Raises:
        ValueError: it is not JSON, nested too deeply, or holds a number of thousands of digits or
            a lone surrogate; the message is one line.
    """
    try:
        values = json.loads(text, parse_constant=parse_constant)
        if _is_deep(values):
            raise RecursionError
        if names is not None:
            is_object = isinstance(values, dict)
            texts = {k: v for k, v in values.items() if k not in names} if is_object else values
            json.dumps(texts, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise ValueError(f"{half} is half a character, as where a text was cut in two") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(one_line(error).partition("; use sys.")[0]) from None
    return values


def read_json_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty where the file is missing, damaged or holds something else."""
    try:
        values = parse_json(read_text(file, UsageError, "a JSON object"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML text.

    Raises:
        YAMLError: it is not YAML, or nested too deeply, or holds a key twice, or its aliases stand
            for too many values.
    """
    try:
        if _is_deep_yaml(text):  # libyaml would crash the process
            raise RecursionError
        values = yaml.load(text, _Loader)
        if _is_deep(values):
            raise RecursionError
        return values
    except RecursionError:
        raise yaml.YAMLError("nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        raise yaml.YAMLError(one_line(error).replace(' in "<unicode string>"', "")) from None
    except ValueError as error:  # of numbers and dates
        raise yaml.YAMLError(str(error).partition("; use sys.")[0]) from None


_FASTEST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader, five times faster than PyYAML's own, where it is there."""
_DEEPEST = 100
"""Most levels of nested lists and objects: a program that reads recursively fails at more."""


def _is_deep_yaml(text: str) -> bool:
    """Whether the text itself, before aliases, is nested over `_DEEPEST` levels."""
    depth = 0
    for event in yaml.parse(text, _FASTEST):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return True
    return False


def _is_deep(values: Any) -> bool:
    """Whether lists and objects are nested over `_DEEPEST` levels."""
    level = [values]
    for _ in range(_DEEPEST):
        parents = [value for value in level if isinstance(value, (dict, list))]
        level = [
            child
            for parent in parents
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


class _Loader(_FASTEST):  # type: ignore[misc]
    """A safe loader that refuses integers over 64 bits, keys that are there twice, and aliases
    which would expand to far more than the text holds."""

    def get_single_node(self) -> Any:
        node, sizes = super().get_single_node(), dict[int, int]()
        size = _expanded(node, sizes)
        if size > max(100_000, 10 * len(sizes)):
            raise yaml.YAMLError(f"its aliases stand for {size:.1g} values; write them out")
        return node

    def construct_yaml_int(self, node: Any) -> int:
        value: int = super().construct_yaml_int(node)  # type: ignore[no-untyped-call]
        if value.bit_length() > 64:
            raise yaml.YAMLError(f"an integer of {value.bit_length():,} bits; expected at most 64")
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _expanded(node: Any, sizes: dict[int, int]) -> int:
    """Return how many nodes a node stands for; `sizes`: those known, 0 while they are counted."""
    if id(node) not in sizes:
        sizes[id(node)] = 0
        if isinstance(node, yaml.MappingNode):
            _refuse_double_keys(node)
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        children = (one for part in inner for one in (part if isinstance(part, tuple) else (part,)))
        sizes[id(node)] = 1 + sum(_expanded(child, sizes) for child in children)
    if not sizes[id(node)]:
        raise yaml.YAMLError("an alias of itself; write it out")
    return sizes[id(node)]


def _refuse_double_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                raise yaml.YAMLError(
                    f"the key {key.value!r} is there twice, in lines {lines[key.value]} and "
                    f"{line}; leave one out"
                )
            lines[key.value] = line


_PLAIN = re.compile(r"[A-Za-z][\w+./ -]*")
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "none"}


def yaml_value(value: Any) -> str:
    """Return a value as `--set` reads it back: plain words as they are, the rest as JSON."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
