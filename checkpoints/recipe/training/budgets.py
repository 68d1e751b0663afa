"""How large the embedded models are and how long each learns."""

from __future__ import annotations

from dataclasses import dataclass

from .train_loop import Budget

_FOREVER = 10**7
_BRIEF = Budget(steps=3, lr=1e-3, warmup=1, ema=0.9)


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets of a whole training from nothing.

    `varied`: which renderer, see `rendered_pictures`. `whole`, `close` and `details`: how many
    full pictures, close-ups and details the diffusion model sees, see `latents.choose`.
    `unet_half`: first at half the size, where a sample costs a third. `recoloured`: pairs that the
    ControlNets learn on, beside plain pictures. `decoded`: renders that the diffusion model draws
    anew, for the segmenter. `singles` and `plain`: pictures of one thing that the classifier's
    crops are made of, beside clip art where `clip_art`. Minutes are of the wall clock.
    """

    size: int
    varied: bool
    train_pictures: int
    val_pictures: int
    crowd_pictures: int
    crowd_size: int
    recoloured: int
    decoded: int
    whole: int
    close: int
    details: int
    vae_channels: tuple[int, ...]
    vae_side: int
    vae_batch: int
    unet_channels: tuple[int, ...]
    unet_batch: int
    vae: Budget
    vae_again: Budget
    decoder: Budget
    unet_half: Budget | None
    unet_half_batch: int
    unet: Budget
    controlnet: Budget
    controlnet_depth: Budget
    depth: Budget
    lora: Budget
    detector_warm: Budget
    detector: Budget
    detector_again: Budget
    detector_crowd: Budget
    segmenter: Budget
    classifier: Budget
    blip: Budget
    singles: int = 9_000
    plain: int = 2_600
    backs: int = 4_000
    clip_art: bool = True
    sheet_steps: int = 20


PLANS = {
    "cpu": Plan(
        size=128,
        varied=False,
        train_pictures=20_000,
        val_pictures=1_000,
        crowd_pictures=8_000,
        crowd_size=192,
        recoloured=0,
        decoded=0,
        whole=20_000,
        close=8_000,
        details=0,
        vae_channels=(16, 32, 64, 96),
        vae_side=64,
        vae_batch=8,
        unet_channels=(64, 128),
        unet_batch=24,
        vae=Budget(_FOREVER, 1.5e-3, 60, decay_from=0.5, weight_decay=0.0, ema=0.998),
        vae_again=Budget(_FOREVER, 1e-3, 38, decay_from=0.35, weight_decay=0.0, ema=0.998),
        decoder=Budget(_FOREVER, 6e-4, 74, decay_from=0.87, weight_decay=0.0, ema=0.998),
        unet_half=None,
        unet_half_batch=24,
        unet=Budget(_FOREVER, 8e-4, 137, warmup=100, decay_from=0.62, ema=0.998),
        controlnet=Budget(_FOREVER, 8e-4, 18, decay_from=0.4, ema=0.995),
        controlnet_depth=Budget(_FOREVER, 8e-4, 28, decay_from=0.55, ema=0.995),
        depth=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.4, ema=0.99),
        lora=Budget(_FOREVER, 1e-3, 5, warmup=20, decay_from=0.4),
        detector_warm=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.5, ema=0.99),
        detector=Budget(_FOREVER, 6e-4, 38, decay_from=0.4, ema=0.995, weight_decay=0.02),
        detector_again=Budget(_FOREVER, 4e-4, 36, decay_from=0.2, ema=0.997, weight_decay=0.02),
        detector_crowd=Budget(_FOREVER, 4e-4, 58, decay_from=0.3, ema=0.997, weight_decay=0.02),
        segmenter=Budget(_FOREVER, 1e-3, 28, warmup=100, decay_from=0.4, ema=0.995),
        classifier=Budget(
            _FOREVER, 2e-3, 10, warmup=100, decay_from=0.35, weight_decay=0.03, ema=0.998
        ),
        blip=Budget(_FOREVER, 1e-3, 30, warmup=200, decay_from=0.4, ema=0.995),
    ),
    "cpu-256": Plan(
        size=256,
        varied=True,
        train_pictures=12_000,
        val_pictures=400,
        crowd_pictures=4_000,
        crowd_size=256,
        recoloured=2_000,
        decoded=2_000,
        whole=30_000,
        close=0,
        details=6_000,
        vae_channels=(32, 64, 96, 128),
        vae_side=96,
        vae_batch=8,
        unet_channels=(64, 128, 128),
        unet_batch=12,
        vae=Budget(_FOREVER, 1.2e-3, 65, decay_from=0.45, weight_decay=0.0, ema=0.998),
        vae_again=Budget(_FOREVER, 1e-3, 38, decay_from=0.35, weight_decay=0.0, ema=0.998),
        decoder=Budget(_FOREVER, 4e-4, 30, decay_from=0.6, weight_decay=0.0, ema=0.998),
        unet_half=Budget(_FOREVER, 8e-4, 300, warmup=200, decay_from=0.95, ema=0.9995),
        unet_half_batch=24,
        unet=Budget(_FOREVER, 4e-4, 120, warmup=200, decay_from=0.5, ema=0.9995),
        controlnet=Budget(_FOREVER, 8e-4, 18, decay_from=0.4, ema=0.995),
        controlnet_depth=Budget(_FOREVER, 8e-4, 28, decay_from=0.55, ema=0.995),
        depth=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.4, ema=0.99),
        lora=Budget(_FOREVER, 1e-3, 5, warmup=20, decay_from=0.4),
        detector_warm=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.5, ema=0.99),
        detector=Budget(_FOREVER, 6e-4, 38, decay_from=0.4, ema=0.995, weight_decay=0.02),
        detector_again=Budget(_FOREVER, 4e-4, 36, decay_from=0.2, ema=0.997, weight_decay=0.02),
        detector_crowd=Budget(_FOREVER, 4e-4, 58, decay_from=0.3, ema=0.997, weight_decay=0.02),
        segmenter=Budget(_FOREVER, 1e-3, 28, warmup=100, decay_from=0.4, ema=0.995),
        classifier=Budget(
            _FOREVER, 2e-3, 10, warmup=100, decay_from=0.35, weight_decay=0.03, ema=0.998
        ),
        blip=Budget(_FOREVER, 1e-3, 30, warmup=200, decay_from=0.4, ema=0.995),
    ),
    "gpu": Plan(
        size=128,
        varied=False,
        train_pictures=60_000,
        val_pictures=1_000,
        crowd_pictures=24_000,
        crowd_size=192,
        recoloured=0,
        decoded=0,
        whole=60_000,
        close=24_000,
        details=0,
        vae_channels=(32, 64, 96, 128),
        vae_side=64,
        vae_batch=8,
        unet_channels=(96, 192),
        unet_batch=192,
        vae=Budget(_FOREVER, 1.5e-3, 8, decay_from=0.5, weight_decay=0.0, ema=0.998),
        vae_again=Budget(_FOREVER, 1e-3, 5, decay_from=0.35, weight_decay=0.0, ema=0.998),
        decoder=Budget(_FOREVER, 6e-4, 3, decay_from=0.3, weight_decay=0.0, ema=0.998),
        unet_half=None,
        unet_half_batch=192,
        unet=Budget(_FOREVER, 8e-4, 15, warmup=200, decay_from=0.6, ema=0.999),
        controlnet=Budget(_FOREVER, 5e-4, 4, decay_from=0.5, ema=0.995),
        controlnet_depth=Budget(_FOREVER, 5e-4, 5, decay_from=0.5, ema=0.995),
        depth=Budget(_FOREVER, 1e-3, 3, warmup=50, decay_from=0.4, ema=0.995),
        lora=Budget(_FOREVER, 1e-3, 1, warmup=20, decay_from=0.4),
        detector_warm=Budget(_FOREVER, 1e-3, 2, warmup=50, decay_from=0.5, ema=0.99),
        detector=Budget(_FOREVER, 6e-4, 10, decay_from=0.4, ema=0.998, weight_decay=0.02),
        detector_again=Budget(_FOREVER, 4e-4, 5, decay_from=0.2, ema=0.998, weight_decay=0.02),
        detector_crowd=Budget(_FOREVER, 4e-4, 8, decay_from=0.3, ema=0.998, weight_decay=0.02),
        segmenter=Budget(_FOREVER, 1e-3, 5, warmup=100, decay_from=0.4, ema=0.998),
        classifier=Budget(_FOREVER, 2e-3, 1, warmup=30, decay_from=0.3, ema=0.99),
        blip=Budget(_FOREVER, 1e-3, 5, warmup=200, decay_from=0.4, ema=0.998),
    ),
    "smoke": Plan(
        size=128,
        varied=True,
        train_pictures=100,
        val_pictures=12,
        crowd_pictures=20,
        crowd_size=192,
        recoloured=16,
        decoded=16,
        whole=40,
        close=20,
        details=10,
        vae_channels=(16, 16, 16, 16),
        vae_side=64,
        vae_batch=2,
        unet_channels=(32, 64),
        unet_batch=4,
        vae=_BRIEF,
        vae_again=_BRIEF,
        decoder=_BRIEF,
        unet_half=_BRIEF,
        unet_half_batch=4,
        unet=_BRIEF,
        controlnet=_BRIEF,
        controlnet_depth=_BRIEF,
        depth=_BRIEF,
        lora=_BRIEF,
        detector_warm=_BRIEF,
        detector=_BRIEF,
        detector_again=_BRIEF,
        detector_crowd=_BRIEF,
        segmenter=_BRIEF,
        classifier=_BRIEF,
        blip=_BRIEF,
        singles=120,
        plain=24,
        backs=20,
        clip_art=False,
        sheet_steps=2,
    ),
}
"""`cpu`: two cores, an evening; what shipped. `cpu-256`: the next models, some days of one core.
`gpu`: under an hour, wider models; not run yet. `smoke`: a few minutes, to try that every step
runs."""
