"""Pictures to latents and captions to embeddings, by the frozen models, kept where that is right.

A latent is drawn from the VAE's distribution at each step, kept or not: keeping it changes speed,
not what is learned. Captions longer than 75 tokens are read in chunks, as kohya does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..datasets.examples import Example
from .feature_cache import Cache, fingerprint, key

if TYPE_CHECKING:
    import numpy as np
    import torch

CHUNK = 75


class LatentEncoder:
    """Encodes pictures. `cache`: None encodes at each call."""

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
        return torch.stack([k["moments"] for k in kept if k is not None]).to(self._weight.device)

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
        given = torch.from_numpy(pixels).to(self._weight.device, self._weight.dtype)
        with torch.no_grad():
            found: torch.Tensor = self.vae.encode(given).latent_dist.parameters
        return found.float()


class PromptEncoder:
    """Encodes captions: by one text encoder, or by SDXL's two. `cache`: only where they stay as
    they are; `clip_skip`: kohya's count, SDXL always takes the last but one layer."""

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
        self.clip_skip = clip_skip
        on_disk = cache is not None and cache.folder is not None
        weights = [fingerprint(e) for e in encoders] if on_disk else []
        self._id = key(*weights, clip_skip, self.chunks) if on_disk else ""

    def __call__(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """`hidden` (N, tokens, width), and SDXL's `pooled` (N, width); gradients flow where an
        encoder learns."""
        import torch

        if self.cache is None:
            return self._encode(texts)
        found = {text: self.cache.get(key(text, self._id)) for text in texts}
        for text in [text for text, value in found.items() if value is None]:
            with torch.no_grad():
                value = {name: v[0].cpu() for name, v in self._encode([text]).items()}
            found[text] = value
            self.cache.put(key(text, self._id), value)
        kept = [found[text] or {} for text in texts]
        return {name: torch.stack([k[name] for k in kept]).to(self._device) for name in kept[0]}

    @property
    def _device(self) -> Any:
        return next(self.encoders[0].parameters()).device

    def ids(self, text: str, which: int = 0) -> list[list[int]]:
        """Token ids, a list of 77 a chunk; what is too long is cut."""
        tok = self.tokenizers[which]
        words = tok(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        out = []
        for k in range(self.chunks):
            part = words[k * CHUNK : (k + 1) * CHUNK]
            pad = [tok.pad_token_id] * (CHUNK - len(part))
            out.append([tok.bos_token_id, *part, tok.eos_token_id, *pad])
        return out

    def _encode(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        import torch

        said = [self._read(which, texts) for which in range(len(self.encoders))]
        hidden = torch.cat([h for h, _ in said], dim=-1)
        return {"hidden": hidden} if len(said) == 1 else {"hidden": hidden, "pooled": said[-1][1]}

    def _read(self, which: int, texts: Sequence[str]) -> tuple[torch.Tensor, Any]:
        import torch

        ids = torch.tensor([self.ids(text, which) for text in texts], device=self._device)
        hidden, pooled = self._hidden(self.encoders[which], ids.flatten(0, 1))
        if pooled is not None:
            pooled = pooled.unflatten(0, (len(texts), self.chunks))[:, 0]
        if self.chunks == 1:
            return hidden, pooled
        parts = hidden.unflatten(0, (len(texts), self.chunks))
        middle = parts[:, :, 1:-1].flatten(1, 2)
        return torch.cat([parts[:, 0, :1], middle, parts[:, -1, -1:]], dim=1), pooled

    def _hidden(self, encoder: Any, ids: torch.Tensor) -> tuple[torch.Tensor, Any]:
        if len(self.encoders) == 1 and not self.clip_skip:
            return encoder(ids).last_hidden_state, None
        said = encoder(ids, output_hidden_states=True)
        if len(self.encoders) > 1:
            return said.hidden_states[-2], getattr(said, "text_embeds", None)
        inner = getattr(encoder, "module", encoder)
        norm = getattr(inner, "text_model", inner).final_layer_norm
        hidden = said.hidden_states[-(self.clip_skip or 1)]
        # accelerate hands out float32 where the encoder learns in half precision
        return norm(hidden.to(norm.weight.dtype)), None
