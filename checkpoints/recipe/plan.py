"""How large the embedded models are and how long each learns."""

from __future__ import annotations

from dataclasses import dataclass

from .loop import Budget

_FOREVER = 10**7
_BRIEF = Budget(steps=3, lr=1e-3, warmup=1, ema=0.9)


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets of a whole training from nothing. `whole` and `close`: how many full
    pictures and close-ups the diffusion model sees. Minutes are of the wall clock."""

    size: int
    train_pictures: int
    val_pictures: int
    whole: int
    close: int
    vae: Budget
    decoder: Budget
    unet: Budget
    controlnet: Budget
    lora: Budget
    detector_warm: Budget
    detector: Budget
    segmenter: Budget
    classifier: Budget


PLANS = {
    "cpu": Plan(
        size=128,
        train_pictures=20_000,
        val_pictures=1_000,
        whole=10_000,
        close=4_000,
        vae=Budget(_FOREVER, 1.5e-3, 26, decay_from=0.5, weight_decay=0.0, ema=0.995),
        decoder=Budget(_FOREVER, 8e-4, 30, decay_from=0.3, weight_decay=0.0, ema=0.995),
        unet=Budget(_FOREVER, 8e-4, 180, warmup=100, decay_from=0.65, ema=0.995),
        controlnet=Budget(_FOREVER, 5e-4, 15, decay_from=0.5, ema=0.99),
        lora=Budget(_FOREVER, 1e-3, 5, warmup=20, decay_from=0.4),
        detector_warm=Budget(_FOREVER, 1e-3, 7, warmup=50, decay_from=0.5, ema=0.99),
        detector=Budget(_FOREVER, 6e-4, 38, decay_from=0.4, ema=0.995, weight_decay=0.02),
        segmenter=Budget(_FOREVER, 1e-3, 60, warmup=50, decay_from=0.4, ema=0.99),
        classifier=Budget(_FOREVER, 2e-3, 4, warmup=30, decay_from=0.3, ema=0.99),
    ),
    "smoke": Plan(
        size=128,
        train_pictures=250,
        val_pictures=50,
        whole=60,
        close=20,
        vae=_BRIEF,
        decoder=_BRIEF,
        unet=_BRIEF,
        controlnet=_BRIEF,
        lora=_BRIEF,
        detector_warm=_BRIEF,
        detector=_BRIEF,
        segmenter=_BRIEF,
        classifier=_BRIEF,
    ),
}
"""`cpu`: two cores, an evening. `smoke`: a few minutes, to try that every step runs."""
