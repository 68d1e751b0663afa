"""Reads the header of a .safetensors file: names, shapes and metadata, without the weights.

Imports no torch, so that a folder of large files is listed quickly.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...configs.errors import UsageError, one_line

SHARD = r"-\d{5}-of-\d{5}"
"""In the name of a file that holds a part of a model's weights."""


class HeaderError(UsageError):
    """The file is not a complete .safetensors file."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """`shapes` and `dtypes` (F32, F16, BF16 …) by tensor name; `metadata`: strings by name."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]

    def scalars(self, names: Sequence[str]) -> dict[str, float]:
        """Read the values of tensors that hold one number."""
        from safetensors import safe_open

        # NumPy has no bfloat16 and no float8; torch is imported for such files only.
        framework = "pt" if any(self.dtypes[n].startswith(("BF", "F8")) for n in names) else "np"
        with safe_open(str(self.path), framework) as file:
            return {name: float(file.get_tensor(name).item()) for name in names}


def read(path: str | os.PathLike[str]) -> SafetensorsHeader:
    """Read the header of a file. Raises HeaderError where it is damaged or of another format."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.exists() and not path.is_file():
        raise HeaderError(f"{path}: a folder, pipe or device; expected a .safetensors file")
    try:
        with safe_open(str(path), "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return SafetensorsHeader(
                path,
                {name: tuple(part.get_shape()) for name, part in slices.items()},
                {name: part.get_dtype() for name, part in slices.items()},
                dict(file.metadata() or {}),
            )
    except (SafetensorError, OSError) as error:
        if not path.exists():
            raise
        is_named = path.suffix.lower() == ".safetensors"
        raise HeaderError(
            f"{path}: not a complete .safetensors file ({one_line(error)[:120]}); "
            f"{'download it again' if is_named else 'convert it to .safetensors'}"
        ) from None
