"""Batches: pictures and captions as the tensors that the denoiser is trained on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import sampling
from ..datasets.buckets import Size
from ..datasets.examples import Example
from ..errors import TrainingError
from ..models import loss
from ..models.encoders import FeatureCache, LatentEncoder

if TYPE_CHECKING:
    import torch

    from ...configs.train import TrainSettings
    from ..datasets.training_set import TrainingSet
    from ..models.training_models import TrainingModels


class BatchLoader:
    """Makes batches; caches latents and embeddings where that does not change the result."""

    def __init__(self, settings: TrainSettings, models: TrainingModels, data: TrainingSet) -> None:
        s = self.settings = settings
        self.models, self.data = models, data
        folder = Path(s.cache_dir or Path(s.output_dir) / "cache")
        keep = s.cache_latents if s.cache_latents is not None else not s.color_jitter
        on_disk = s.cache_latents_to_disk
        self.latents = LatentEncoder(
            models.vae,
            FeatureCache(folder / "latents" if on_disk else None) if keep or on_disk else None,
        )
        fixed = not s.trains_text_encoder and not s.shuffle_caption
        keep = fixed if s.cache_text_encoder_outputs is None else s.cache_text_encoder_outputs
        self.prompts = models.prompt_encoder(
            s, FeatureCache(folder / "text" if on_disk else None) if keep else None
        )
        factor = self.latents.factor * models.patch
        for example in (*data.learned, *data.held_out):
            width, height = example.fit.bucket_wh
            if width % factor or height % factor:
                raise TrainingError(
                    f"bucket {width} × {height}: expected multiples of {factor}, the model's "
                    "factor; set resolution and bucket_reso_steps"
                )

    def fill(self, progress: Callable[[int, int], None], share: tuple[int, int] = (0, 1)) -> None:
        """Encode every picture once if latents are cached. `share`: (this process, processes)."""
        if self.latents.cache is None:
            return
        flips = (False, True) if self.settings.random_flip else (False,)
        every = [*self.data.learned, *self.data.held_out]
        if self.latents.cache.folder is not None:
            every = every[share[0] :: share[1]]
        groups: dict[Size, list[tuple[Example, bool]]] = defaultdict(list)
        for example in every:
            groups[example.fit.bucket_wh] += [(example, flip) for flip in flips]
        done = 0
        for pairs in groups.values():
            for start in range(0, len(pairs), self.settings.vae_batch_size):
                part = pairs[start : start + self.settings.vae_batch_size]
                self.latents.fill(part)
                done += len(part)
                progress(done // len(flips), len(every))

    def batch(
        self, chosen: Sequence[Example], chances: Sequence[np.random.Generator]
    ) -> dict[str, Any]:
        """Augment pictures and captions and make their tensors (see `tensors`).

        `chances`: the random numbers of each picture.
        """
        import torch

        s = self.settings
        flips = [bool(s.random_flip and rng.random() < 0.5) for rng in chances]
        texts = [
            sampling.training_caption(
                e.text,
                rng,
                shuffle_caption=s.shuffle_caption,
                keep_tokens=s.keep_tokens,
                caption_dropout_rate=s.caption_dropout_rate,
            )
            for e, rng in zip(chosen, chances, strict=True)
        ]
        draws = [torch.Generator().manual_seed(int(rng.integers(2**63))) for rng in chances]
        pairs = list(zip(chosen, flips, strict=True))
        moments = self.latents.moments(pairs, chances if s.color_jitter else None)
        return self.tensors(chosen, flips, texts, draws, moments)

    def tensors(
        self,
        chosen: Sequence[Example],
        flips: Sequence[bool],
        texts: Sequence[str],
        draws: Sequence[torch.Generator],
        moments: torch.Tensor,
        times: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        """Return noisy latents, time steps, embeddings, targets, masks and loss weights.

        Args:
            chosen: N pictures of one bucket.
            flips: Whether each is mirrored.
            texts: Their captions.
            draws: A generator for each, for latent, noise and time step.
            moments: Mean and log-variance of the latents, float (N, 2 · channels, h, w).
            times: Places in the noise schedule, (N,), in place of random ones.
        """
        import torch

        device, shape = moments.device, self.latents.shape(chosen[0])
        sample = torch.stack([torch.randn(shape, generator=g) for g in draws])
        latents = self.latents.draw(moments, sample)
        noise = loss.draw_noise(draws, shape, self.settings.noise_offset).to(device)
        drawn = self.models.draw_times(draws, self.settings)
        places = (drawn if times is None else times).to(device)
        mask = None
        if self.settings.masked_loss:
            size = (shape[2], shape[1])
            masks = [e.mask_at(size, flip=f) for e, f in zip(chosen, flips, strict=True)]
            mask = torch.from_numpy(np.stack(masks))[:, None].to(device)
        return {
            "noisy": self.models.noisy(latents, noise, places),
            "times": places,
            **self.models.conditions(self.prompts(texts), chosen, device),
            "target": self.models.target(latents, noise, places),
            "mask": mask,
            "weight": torch.tensor([e.weight for e in chosen], device=device),
        }
