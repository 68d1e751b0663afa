"""Pictures to latents and captions to embeddings, by the frozen models, kept where that is right.

A latent is drawn from the VAE's distribution at each step, kept or not: keeping it changes speed,
not what is learned. Captions longer than 75 tokens are read in chunks, as kohya does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .cache import Cache, fingerprint, key
from .examples import Example

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 75


class Latents:
    """Encodes pictures. `cache`: None encodes at each call."""

    def __init__(self, vae: Any, cache: Cache | None, *, batch_size: int = 1) -> None:
        self.vae = vae.requires_grad_(False).eval()
        self.cache = cache
        self.batch_size = batch_size
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._id = fingerprint(vae) if cache and cache.folder else ""

    def shape(self, example: Example) -> tuple[int, int, int]:
        """(channels, h, w) of a picture's latent."""
        width, height = example.fit.bucket_wh
        return self.vae.config.latent_channels, height // self.factor, width // self.factor

    def fill(self, wanted: Sequence[tuple[Example, bool]]) -> int:
        """Keep what is not kept yet of (picture, mirrored), of one bucket; how many were there."""
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
        """Mean and log-variance, float32 (N, 2 · channels, h, w); all of one bucket."""
        import torch

        if self.cache is None:
            return self._encode(wanted, jitters)
        kept = [self.cache.get(self._key(*w)) for w in wanted]
        if any(k is None for k in kept):  # a cache on disk was emptied meanwhile
            self.fill(wanted)
            kept = [self.cache.get(self._key(*w)) for w in wanted]
        return torch.stack([k["moments"] for k in kept if k is not None]).to(self.vae.device)

    def draw(self, moments: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Latents of these distributions, scaled as the UNet knows them."""
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
        given = torch.from_numpy(pixels).to(self.vae.device, self.vae.dtype)
        with torch.no_grad():
            found: torch.Tensor = self.vae.encode(given).latent_dist.parameters
        return found.float()


class Words:
    """Encodes captions. `cache`: only where the text encoder stays as it is."""

    def __init__(
        self,
        tokenizer: Any,
        text_encoder: Any,
        cache: Cache | None,
        *,
        max_token_length: int = CHUNK,
        clip_skip: int | None = None,
    ) -> None:
        self.tokenizer, self.text_encoder, self.cache = tokenizer, text_encoder, cache
        self.chunks = max_token_length // CHUNK
        self.clip_skip = clip_skip
        on_disk = cache is not None and cache.folder is not None
        self._id = key(fingerprint(text_encoder), clip_skip, self.chunks) if on_disk else ""

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Hidden states (N, tokens, width); gradients flow where the encoder learns."""
        import torch

        if self.cache is None:
            return self._encode(texts)
        found = {text: self.cache.get(key(text, self._id)) for text in texts}
        for text in [text for text, value in found.items() if value is None]:
            with torch.no_grad():
                found[text] = {"hidden": self._encode([text])[0].cpu()}
            self.cache.put(key(text, self._id), found[text] or {})
        kept = [(found[text] or {})["hidden"] for text in texts]
        return torch.stack(kept).to(self._device)

    @property
    def _device(self) -> Any:
        return next(self.text_encoder.parameters()).device

    def ids(self, text: str) -> list[list[int]]:
        """Token ids, a list of 77 a chunk; what is too long is cut."""
        tok = self.tokenizer
        words = tok(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        out = []
        for k in range(self.chunks):
            part = words[k * CHUNK : (k + 1) * CHUNK]
            pad = [tok.pad_token_id] * (CHUNK - len(part))
            out.append([tok.bos_token_id, *part, tok.eos_token_id, *pad])
        return out

    def _encode(self, texts: Sequence[str]) -> torch.Tensor:
        import torch

        ids = torch.tensor([self.ids(text) for text in texts], device=self._device)
        hidden = self._hidden(ids.flatten(0, 1))
        if self.chunks == 1:
            return hidden
        parts = hidden.unflatten(0, (len(texts), self.chunks))
        middle = parts[:, :, 1:-1].flatten(1, 2)
        return torch.cat([parts[:, 0, :1], middle, parts[:, -1, -1:]], dim=1)

    def _hidden(self, ids: torch.Tensor) -> torch.Tensor:
        encoder = self.text_encoder
        if not self.clip_skip:
            found: torch.Tensor = encoder(ids).last_hidden_state
            return found
        states = encoder(ids, output_hidden_states=True).hidden_states
        inner = getattr(encoder, "module", encoder)
        norm = getattr(inner, "text_model", inner).final_layer_norm
        return norm(states[-self.clip_skip])  # type: ignore[no-any-return]
