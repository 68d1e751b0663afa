"""The data of a training: examples, held-out slice, class pictures, batches as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets import sampling
from ..datasets.buckets import Buckets, steps_per_epoch
from ..datasets.examples import Example, examples, split
from ..datasets.folder import read_dataset
from ..errors import TrainingError
from .encoders import LatentEncoder, PromptEncoder
from .feature_cache import Cache

if TYPE_CHECKING:
    import torch

    from ...configs.train_file import TrainSettings
    from ..lora.models import TrainingModels


@dataclass
class TrainingSet:
    """`learned` and `held_out` pictures; `problems`: a sentence each."""

    learned: list[Example]
    held_out: list[Example]
    tag: str
    problems: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        """What a resumed training must find again, by name."""
        return {e.name: e.identity for e in (*self.learned, *self.held_out)}

    def batches(self, settings: TrainSettings, size: int, epoch: int) -> list[sampling.Batch]:
        return sampling.batches(
            [e.fit.bucket_wh for e in self.learned],
            [e.repeats for e in self.learned],
            size=size,
            seed=settings.seed,
            epoch=epoch,
        )

    def steps_per_epoch(self, settings: TrainSettings, size: int) -> int:
        counts: dict[tuple[int, int], int] = {}
        for e in self.learned:
            counts[e.fit.bucket_wh] = counts.get(e.fit.bucket_wh, 0) + e.repeats
        return steps_per_epoch(counts.values(), size, settings.gradient_accumulation_steps)


def buckets(settings: TrainSettings) -> Buckets:
    """kohya's options; limits that are not set are the method's 320 and 1280 of 768, scaled."""
    s = settings
    step, side = max(1, s.bucket_reso_steps), min(s.resolution)
    low = min(round(side * 320 / 768 / step), side // step) * step
    high = math.ceil(max(s.resolution) * 1280 / 768 / step) * step
    return Buckets(
        resolution_wh=s.resolution,
        enable_bucket=s.enable_bucket,
        min_bucket_reso=s.min_bucket_reso or max(low, step),
        max_bucket_reso=s.max_bucket_reso or high,
        bucket_reso_steps=s.bucket_reso_steps,
        bucket_no_upscale=s.bucket_no_upscale,
    )


def read(settings: TrainSettings) -> TrainingSet:
    """Read and check the data set; raises DatasetError, BucketError."""
    s = settings
    sizes = buckets(s)
    options = {"caption_column": s.caption_column, "caption_extension": s.caption_extension}
    dataset = read_dataset(s.train_data_dir, repeats=s.repeats, **options)  # type: ignore[arg-type]
    found, wrong = examples(dataset, sizes, instance_prompt=s.instance_prompt, masks=s.masked_loss)
    learned, held_out = split(found, s.validation_split, s.seed)
    if s.with_prior_preservation:
        learned += _class_pictures(s, sizes, learned, wrong)
    return TrainingSet(learned, held_out, s.trigger_phrase or dataset.tag, wrong)


def _class_pictures(
    settings: TrainSettings, sizes: Buckets, learned: Sequence[Example], wrong: list[str]
) -> list[Example]:
    """Class pictures, repeated until they are as many as the others."""
    from dataclasses import replace

    folder = read_dataset(str(settings.class_data_dir))
    found, more = examples(
        folder,
        sizes,
        instance_prompt=settings.class_prompt,
        weight=settings.prior_loss_weight,
    )
    wrong += more
    wanted = sum(e.repeats for e in learned)
    times = max(1, wanted // len(found))
    return [replace(e, name=f"class/{e.name}", repeats=times) for e in found]


class Loader:
    """Batches of examples as what the UNet takes; caches where that changes nothing."""

    def __init__(self, settings: TrainSettings, models: TrainingModels, data: TrainingSet) -> None:
        s = self.settings = settings
        self.models, self.data = models, data
        folder = Path(s.cache_dir or Path(s.output_dir) / "cache")
        keep = s.cache_latents if s.cache_latents is not None else not s.color_jitter
        on_disk = s.cache_latents_to_disk
        self.latents = LatentEncoder(
            models.vae,
            Cache(folder / "latents" if on_disk else None) if keep or on_disk else None,
            batch_size=s.vae_batch_size,
        )
        fixed = not s.trains_text_encoder and not s.shuffle_caption
        keep = fixed if s.cache_text_encoder_outputs is None else s.cache_text_encoder_outputs
        self.words = PromptEncoder(
            models.tokenizers,
            models.text_encoders,
            Cache(folder / "text" if on_disk else None) if keep else None,
            max_token_length=s.max_token_length,
            clip_skip=s.clip_skip,
        )
        for example in (*data.learned, *data.held_out):
            width, height = example.fit.bucket_wh
            if width % self.latents.factor or height % self.latents.factor:
                raise TrainingError(
                    f"bucket {width} × {height}: expected multiples of {self.latents.factor}, "
                    "the VAE's factor; set resolution and bucket_reso_steps"
                )

    def fill(self, progress: Callable[[int, int], None], share: tuple[int, int] = (0, 1)) -> None:
        """Encode every picture once, where latents are kept. `share`: (process, of how many)."""
        if self.latents.cache is None:
            return
        flips = (False, True) if self.settings.random_flip else (False,)
        every = [*self.data.learned, *self.data.held_out]
        if self.latents.cache.folder is not None:
            every = every[share[0] :: share[1]]
        groups: dict[tuple[int, int], list[Example]] = {}
        for example in every:
            groups.setdefault(example.fit.bucket_wh, []).append(example)
        done = 0
        for members in groups.values():
            for start in range(0, len(members), self.settings.vae_batch_size):
                part = members[start : start + self.settings.vae_batch_size]
                self.latents.fill([(e, flip) for e in part for flip in flips])
                done += len(part)
                progress(done, len(every))

    def batch(
        self, chosen: Sequence[Example], chances: Sequence[np.random.Generator]
    ) -> dict[str, Any]:
        """Latents, noise, time steps, embeddings, masks and weights of these pictures."""
        import torch

        s = self.settings
        flips = [bool(s.random_flip and rng.random() < 0.5) for rng in chances]
        texts = [
            sampling.spoken(
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
        """`times`: in place of those that are drawn."""
        import torch

        from . import loss

        scheduler, device = self.models.noise_scheduler, moments.device
        shape = self.latents.shape(chosen[0])
        sample = torch.stack([torch.randn(shape, generator=g) for g in draws])
        latents = self.latents.draw(moments, sample)
        noise, drawn = loss.draw(
            draws,
            shape,
            self.settings.max_timestep or scheduler.config.num_train_timesteps,
            self.settings.noise_offset,
            self.settings.min_timestep or 0,
        )
        noise, steps = noise.to(device), (drawn if times is None else times).to(device)
        mask = None
        if self.settings.masked_loss:
            size = (shape[2], shape[1])
            held = [e.mask_at(size, flip=f) for e, f in zip(chosen, flips, strict=True)]
            mask = torch.from_numpy(np.stack(held))[:, None].to(device)
        said = self.words(texts)
        added = None
        if "pooled" in said:
            added = {"text_embeds": said["pooled"], "time_ids": _time_ids(chosen).to(device)}
        return {
            "noisy": scheduler.add_noise(latents, noise, steps),
            "times": steps,
            "hidden": said["hidden"],
            "added": added,
            "wanted": loss.target(scheduler, latents, noise, steps),
            "mask": mask,
            "weight": torch.tensor([e.weight for e in chosen], device=device),
        }


def _time_ids(chosen: Sequence[Example]) -> torch.Tensor:
    """SDXL's conditions on size, float32 (N, 6): original h, w; top, left of the cut; h, w."""
    import torch

    rows = []
    for example in chosen:
        left, top, _, _ = example.fit.crop_xyxy
        width, height = example.fit.bucket_wh
        rows.append([example.size_wh[1], example.size_wh[0], top, left, height, width])
    return torch.tensor(rows, dtype=torch.float32)
