"""Encoders of training: pictures to latents, captions to embeddings, with optional caches.

The cache holds the VAE's distribution; each step draws its own latent from it, so caching changes
speed only. Captions longer than 75 tokens are encoded in chunks, as kohya does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints import atomic_files
from ...stages.families.clip_embeddings import encode_ids
from ...stages.prompts.token_chunks import Chunk, padded
from ..datasets.examples import Example

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 75


class FeatureCache:
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
        if self.folder is None:
            self._values[key] = value
            return
        from safetensors.torch import save

        atomic_files.write(self._file(key), save({k: v.contiguous() for k, v in value.items()}))

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.cache"


class LatentEncoder:
    """Encodes pictures by the VAE. `cache`: None encodes at each call."""

    def __init__(self, vae: Any, cache: FeatureCache | None) -> None:
        self.vae = vae.requires_grad_(False).eval()
        self._weight = next(vae.parameters())  # `vae.device` looks at every module
        self.cache = cache
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._id = fingerprint(vae) if cache and cache.folder else ""

    def shape(self, example: Example) -> tuple[int, int, int]:
        """(channels, h, w) of a picture's latent."""
        width, height = example.fit.bucket_wh
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    def fill(self, wanted: Sequence[tuple[Example, bool]]) -> None:
        """Cache (picture, mirrored) pairs of one bucket; encodes those that are not cached yet."""
        assert self.cache is not None
        new = [w for w in wanted if self.cache.get(self._key(*w)) is None]
        for pair, value in zip(new, self._encode(new) if new else (), strict=True):
            self.cache.put(self._key(*pair), {"moments": value.cpu()})

    def moments(
        self,
        wanted: Sequence[tuple[Example, bool]],
        jitters: Sequence[np.random.Generator] | None = None,
    ) -> torch.Tensor:
        """Mean and log-variance of the latents, float32 (N, 2 · channels, h, w); one bucket."""
        import torch

        if self.cache is None:
            return self._encode(wanted, jitters)
        cached = [self.cache.get(self._key(*w)) for w in wanted]
        if any(c is None for c in cached):  # files of the cache were deleted meanwhile
            self.fill(wanted)
            cached = [self.cache.get(self._key(*w)) for w in wanted]
        moments = torch.stack([c["moments"] for c in cached if c is not None])
        return moments.to(self._weight.device)

    def draw(self, moments: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Draw latents from these distributions, scaled for the UNet."""
        mean, log_variance = moments.chunk(2, dim=1)
        latents = mean + (0.5 * log_variance.clamp(-30, 20)).exp() * noise.to(mean.device)
        config = self.vae.config
        shift = getattr(config, "shift_factor", None) or 0.0
        return (latents - shift) * config.scaling_factor  # type: ignore[no-any-return]

    def _key(self, example: Example, flip: bool) -> str:
        return key(example.digest, example.fit, flip, self._id)

    def _encode(
        self,
        wanted: Sequence[tuple[Example, bool]],
        jitters: Sequence[np.random.Generator] | None = None,
    ) -> torch.Tensor:
        import numpy as np
        import torch

        pixels = [
            example.pixels(flip=flip, jitter=jitter)
            for (example, flip), jitter in zip(wanted, jitters or repeat(None), strict=False)
        ]
        batch = torch.from_numpy(np.stack(pixels)).to(self._weight.device, self._weight.dtype)
        # In its own precision, whatever the caller computes in: SDXL's VAE overflows in float16.
        with torch.no_grad(), torch.autocast(batch.device.type, enabled=False):
            moments: torch.Tensor = self.vae.encode(batch).latent_dist.parameters
        return moments.float()


class PromptEncoder:
    """Encodes captions by one text encoder, or by SDXL's two.

    Args:
        tokenizers: One for each encoder.
        encoders: CLIP text encoders.
        cache: For encoders and captions that do not change; None encodes at each call.
        max_token_length: Tokens read of a caption, a multiple of 75; the rest is cut.
        clip_skip: As kohya counts: 1 or None is the last layer. SDXL always takes the last but
            one.
    """

    def __init__(
        self,
        tokenizers: Sequence[Any],
        encoders: Sequence[Any],
        cache: FeatureCache | None,
        *,
        max_token_length: int = CHUNK,
        clip_skip: int | None = None,
    ) -> None:
        self.tokenizers, self.encoders, self.cache = list(tokenizers), list(encoders), cache
        self.chunks = max_token_length // CHUNK
        self.is_xl = len(self.encoders) > 1
        self.clip_skip = 0 if self.is_xl else (clip_skip or 1) - 1
        on_disk = cache is not None and cache.folder is not None
        weights = [fingerprint(e) for e in encoders] if on_disk else []
        self._id = key(*weights, clip_skip, self.chunks) if on_disk else ""

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """`hidden` (N, tokens, width), and SDXL's `pooled` (N, width), with gradients for an
        encoder that is trained."""
        import torch

        if self.cache is None:
            return self._encode(texts)
        values = {text: self.cache.get(key(text, self._id)) for text in texts}
        for text in [text for text, value in values.items() if value is None]:
            with torch.no_grad():
                value = {name: v[0].cpu() for name, v in self._encode([text]).items()}
            values[text] = value
            self.cache.put(key(text, self._id), value)
        rows = [values[text] or {} for text in texts]
        return {name: torch.stack([r[name] for r in rows]).to(self._device) for name in rows[0]}

    @property
    def _device(self) -> Any:
        return next(self.encoders[0].parameters()).device

    def ids(self, text: str, which: int = 0) -> list[list[int]]:
        """Token ids by tokenizer `which`: a list of 77 a chunk; what is too long is cut."""
        tokenizer = self.tokenizers[which]
        ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        starts = range(0, self.chunks * CHUNK, CHUNK)
        return [padded(Chunk(tuple(ids[k : k + CHUNK])), tokenizer) for k in starts]

    def _encode(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        import torch

        hidden, pooled = zip(
            *(self._encode_by(which, texts) for which in range(len(self.encoders))), strict=True
        )
        joined = {"hidden": torch.cat(hidden, dim=-1)}
        return {**joined, "pooled": pooled[-1]} if self.is_xl else joined

    def _encode_by(self, which: int, texts: Sequence[str]) -> tuple[torch.Tensor, Any]:
        """(hidden, pooled or None) by encoder `which`; chunks share one begin and one end."""
        import torch

        ids = torch.tensor([self.ids(text, which) for text in texts], device=self._device)
        hidden, pooled = encode_ids(
            self.encoders[which], ids.flatten(0, 1), is_xl=self.is_xl, clip_skip=self.clip_skip
        )
        if pooled is not None:
            pooled = pooled.unflatten(0, (len(texts), self.chunks))[:, 0]
        if self.chunks == 1:
            return hidden, pooled
        parts = hidden.unflatten(0, (len(texts), self.chunks))
        middle = parts[:, :, 1:-1].flatten(1, 2)
        return torch.cat([parts[:, 0, :1], middle, parts[:, -1, -1:]], dim=1), pooled


def key(*parts: object) -> str:
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
