"""Feature cache: outputs of frozen models, in memory or in a folder, by content key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints import atomic_files

if TYPE_CHECKING:
    import torch


class Cache:
    """Tensors by key. `folder`: on disk, a safetensors file each; None: in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._values: dict[str, dict[str, torch.Tensor]] = {}

    def get(self, key: str) -> dict[str, torch.Tensor] | None:
        """Return cached tensors; None if they are missing or their file is damaged."""
        if self.folder is None:
            return self._values.get(key)
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self._file(key))  # type: ignore[no-any-return]
        except (OSError, SafetensorError):
            return None

    def put(self, key: str, value: dict[str, torch.Tensor]) -> None:
        """Store tensors."""
        if self.folder is None:
            self._values[key] = value
            return
        from safetensors.torch import save

        atomic_files.write(self._file(key), save({k: v.contiguous() for k, v in value.items()}))

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.cache"


def key(*parts: object) -> str:
    """Return a key for a combination of inputs."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:40]


def fingerprint(model: Any) -> str:
    """SHA-256 over a model's weights."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        plain = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(plain.numpy().tobytes())
    return digest.hexdigest()
