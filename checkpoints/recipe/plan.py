"""How large the embedded models are and how long each learns: `cpu` and `gpu` plans."""

from __future__ import annotations

from dataclasses import dataclass

from .loop import Budget

_FOREVER = 10**7


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets of a whole training from nothing. Minutes are of the wall clock."""

    size: int = 128
    train_pictures: int = 20_000
    val_pictures: int = 1_000
    whole: int = 13_000
    close: int = 8_000
    vae: Budget = Budget(_FOREVER, 1.5e-3, 25, decay_from=0.5, weight_decay=0.0, ema=0.995)
    decoder: Budget = Budget(_FOREVER, 8e-4, 20, decay_from=0.3, weight_decay=0.0, ema=0.995)
    unet: Budget = Budget(_FOREVER, 8e-4, 180, warmup=150, decay_from=0.6, ema=0.998)
    controlnet: Budget = Budget(_FOREVER, 5e-4, 15, decay_from=0.5, ema=0.99)
    lora: Budget = Budget(_FOREVER, 1e-3, 5, warmup=20, decay_from=0.4, ema=None)
    detector_warm: Budget = Budget(_FOREVER, 1e-3, 10, warmup=50, decay_from=0.5, ema=0.99)
    detector: Budget = Budget(
        _FOREVER, 5e-4, 60, warmup=100, decay_from=0.4, ema=0.995, weight_decay=0.02
    )
    segmenter: Budget = Budget(_FOREVER, 8e-4, 20, decay_from=0.5, ema=0.99)
    classifier: Budget = Budget(_FOREVER, 2e-3, 5, decay_from=0.3, ema=0.99)


PLANS = {
    "cpu": Plan(),
    "smoke": Plan(
        train_pictures=250,
        val_pictures=50,
        whole=60,
        close=20,
        **{
            name: Budget(steps=3, lr=1e-3, warmup=1, ema=0.9)
            for name in (
                "vae decoder unet controlnet lora detector_warm detector segmenter classifier"
            ).split()
        },
    ),
}
"""`cpu`: what was shipped, on two cores. `smoke`: a minute, to try that every step runs."""
