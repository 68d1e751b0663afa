"""Encoders of training: pictures to latents, captions to embeddings, with optional caches.

The cache holds the VAE's distribution; each step draws its own latent from it, so caching changes
speed only. Captions longer than 75 tokens are encoded in chunks, as kohya does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...stages.prompts.embeddings import encode_ids
from ...stages.prompts.token_chunks import Chunk, padded
from ..datasets.examples import Example
from .feature_cache import Cache, fingerprint, key

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 75


class LatentEncoder:
    """Encodes pictures by the VAE. `cache`: None encodes at each call."""

    def __init__(self, vae: Any, cache: Cache | None, *, batch_size: int = 1) -> None:
        self.vae = vae.requires_grad_(False).eval()
        self._weight = next(vae.parameters())  # `vae.device` looks at every module
        self.cache = cache
        self.batch_size = batch_size
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._id = fingerprint(vae) if cache and cache.folder else ""

    def shape(self, example: Example) -> tuple[int, int, int]:
        """(channels, h, w) of a picture's latent."""
        width, height = example.fit.bucket_wh
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    def fill(self, wanted: Sequence[tuple[Example, bool]]) -> int:
        """Cache (picture, mirrored) pairs of one bucket; returns how many were cached before."""
        assert self.cache is not None
        new = [w for w in wanted if self.cache.get(self._key(*w)) is None]
        for start in range(0, len(new), self.batch_size):
            part = new[start : start + self.batch_size]
            for (example, flip), value in zip(part, self._encode(part), strict=True):
                self.cache.put(self._key(example, flip), {"moments": value.cpu()})
        return len(wanted) - len(new)

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

        pixels = np.stack(
            [
                example.pixels(flip=flip, jitter=jitters[k] if jitters else None)
                for k, (example, flip) in enumerate(wanted)
            ]
        )
        batch = torch.from_numpy(pixels).to(self._weight.device, self._weight.dtype)
        with torch.no_grad():
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
        cache: Cache | None,
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

        outputs = [self._encode_by(which, texts) for which in range(len(self.encoders))]
        hidden = torch.cat([h for h, _ in outputs], dim=-1)
        return {"hidden": hidden, "pooled": outputs[-1][1]} if self.is_xl else {"hidden": hidden}

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
