"""The header of a .safetensors file: names, shapes and metadata, without the weights.

Knows no models and reads no torch: a folder of large files is looked through in no time.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from ...configs.errors import UsageError

_LONGEST = 100_000_000
"""The format's own limit of a header, in bytes."""
_SCALARS = {"F64": "<d", "F32": "<f", "F16": "<e", "I64": "<q", "I32": "<i", "U8": "<B", "I8": "<b"}


class HeaderError(UsageError):
    """A file that is no whole .safetensors file."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """`shapes` and `dtypes` (F32, F16, BF16 …) by tensor name; `metadata`: strings by name."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]
    starts: dict[str, int] = field(repr=False)

    def scalars(self, names: list[str]) -> dict[str, float]:
        """The values of tensors of one number."""
        out = {}
        with self.path.open("rb") as file:
            for name in names:
                file.seek(self.starts[name])
                if self.dtypes[name] == "BF16":  # the upper half of a float32
                    out[name] = struct.unpack("<f", b"\0\0" + file.read(2))[0]
                elif self.dtypes[name] in _SCALARS:
                    form = _SCALARS[self.dtypes[name]]
                    out[name] = float(struct.unpack(form, file.read(struct.calcsize(form)))[0])
        return out


def read(path: str | os.PathLike[str]) -> SafetensorsHeader:
    """The header of a file. Raises HeaderError where it is torn or no safetensors file."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > _LONGEST:
                raise ValueError("the header is too long")
            entries = json.loads(file.read(length))
        metadata = {str(k): str(v) for k, v in (entries.pop("__metadata__", None) or {}).items()}
        shapes = {name: tuple(e["shape"]) for name, e in entries.items()}
        dtypes = {name: e["dtype"] for name, e in entries.items()}
        starts = {name: 8 + length + e["data_offsets"][0] for name, e in entries.items()}
        end = 8 + length + max((e["data_offsets"][1] for e in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise HeaderError(
            f"{path}: not a .safetensors file ({' '.join(str(error).split())[:80]}); "
            "fetch the file anew"
        ) from None
    size = path.stat().st_size
    if size < end:
        raise HeaderError(f"{path}: {size} bytes, expected {end}: fetch the file anew")
    return SafetensorsHeader(path, shapes, dtypes, metadata, starts)
