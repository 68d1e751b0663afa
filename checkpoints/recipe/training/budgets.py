"""How large the embedded models are and how long each learns."""

from __future__ import annotations

from dataclasses import dataclass

from .train_loop import Budget

_FOREVER = 10**7
_BRIEF = Budget(steps=3, lr=1e-3, warmup=1, ema=0.9)


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets of a whole training from nothing.

    `whole` and `details`: how many full pictures and details the diffusion model sees, see
    `latents.choose`.
    `unet_half`: first at half the size, where a sample costs a third. `recoloured`: pairs that the
    ControlNets learn on, beside plain pictures. `decoded`: renders that the diffusion model draws
    anew, for the segmenter. `singles` and `plain`: pictures of one thing that the classifier's
    crops are made of, beside clip art where `clip_art`. Minutes are of the wall clock.
    """

    size: int
    train_pictures: int
    val_pictures: int
    crowd_pictures: int
    crowd_size: int
    recoloured: int
    decoded: int
    whole: int
    details: int
    vae_channels: tuple[int, ...]
    vae_side: int
    vae_batch: int
    unet_channels: tuple[int, ...]
    unet_batch: int
    vae: Budget
    vae_again: Budget
    decoder: Budget
    unet_half: Budget
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
        size=256,
        train_pictures=12_000,
        val_pictures=400,
        crowd_pictures=4_000,
        crowd_size=256,
        recoloured=2_000,
        decoded=400,
        whole=30_000,
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
        controlnet=Budget(_FOREVER, 8e-4, 40, decay_from=0.5, ema=0.995),
        controlnet_depth=Budget(_FOREVER, 8e-4, 50, decay_from=0.5, ema=0.995),
        depth=Budget(_FOREVER, 1e-3, 27, warmup=50, decay_from=0.4, ema=0.995),
        lora=Budget(_FOREVER, 1e-3, 5, warmup=20, decay_from=0.4),
        detector_warm=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.5, ema=0.99),
        detector=Budget(_FOREVER, 6e-4, 38, decay_from=0.4, ema=0.995, weight_decay=0.02),
        detector_again=Budget(_FOREVER, 4e-4, 36, decay_from=0.2, ema=0.997, weight_decay=0.02),
        detector_crowd=Budget(_FOREVER, 4e-4, 20, decay_from=0.3, ema=0.997, weight_decay=0.02),
        segmenter=Budget(_FOREVER, 1e-3, 36, warmup=100, decay_from=0.4, ema=0.995),
        classifier=Budget(
            _FOREVER, 2e-3, 10, warmup=100, decay_from=0.35, weight_decay=0.03, ema=0.998
        ),
        blip=Budget(_FOREVER, 1e-3, 60, warmup=200, decay_from=0.4, ema=0.995),
    ),
    "gpu": Plan(
        size=256,
        train_pictures=60_000,
        val_pictures=1_000,
        crowd_pictures=24_000,
        crowd_size=256,
        recoloured=10_000,
        decoded=6_000,
        whole=60_000,
        details=12_000,
        vae_channels=(32, 64, 96, 128),
        vae_side=96,
        vae_batch=8,
        unet_channels=(64, 128, 128),
        unet_batch=96,
        vae=Budget(_FOREVER, 1.5e-3, 8, decay_from=0.5, weight_decay=0.0, ema=0.998),
        vae_again=Budget(_FOREVER, 1e-3, 5, decay_from=0.35, weight_decay=0.0, ema=0.998),
        decoder=Budget(_FOREVER, 6e-4, 3, decay_from=0.3, weight_decay=0.0, ema=0.998),
        unet_half=Budget(_FOREVER, 8e-4, 15, warmup=200, decay_from=0.95, ema=0.999),
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
        train_pictures=100,
        val_pictures=12,
        crowd_pictures=20,
        crowd_size=192,
        recoloured=16,
        decoded=16,
        whole=40,
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
"""`cpu`: fourteen hours of one core; what shipped. `gpu`: under an hour, not run yet. `smoke`: some
minutes, to try that every step runs."""
