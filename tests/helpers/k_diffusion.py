"""k-diffusion's samplers and A1111's schedules by their published formulas, without noise.

Sources: k-diffusion's sampling.py, A1111's sd_schedulers.py and sd_samplers_timesteps_impl.py. `S`
holds noise levels, falling to 0; `D(x, s)` denoises; tensors are float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import integrate, stats

Denoiser = Callable[[Any, Any], Any]

KEPT = torch.cumprod(
    1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0
)
"""alphas_cumprod of SD 1.5 and SDXL."""
TRAINED = ((1 - KEPT) / KEPT) ** 0.5
AYS = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
AYS_XL = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]


def level_of(time: Any) -> Any:
    return np.exp(np.interp(time, range(1000), TRAINED.log()))


def levels(schedule: str, steps: int, *, is_xl: bool = False, discard: bool = False) -> Any:
    n, (low, high) = steps + discard, (float(TRAINED[0]), float(TRAINED[-1]))
    ramp = np.linspace(0, 1, n)
    found = {
        "": lambda: level_of(999 - 999 * ramp),
        "Karras": lambda: (high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7,
        "Exponential": lambda: np.exp(np.log(high) + ramp * np.log(low / high)),
        "SGM Uniform": lambda: level_of(np.linspace(999, 0, n + 1)[:-1]),
        "Simple": lambda: [TRAINED[-1 - int(k * 1000 / n)] for k in range(n)],
        "Beta": lambda: low + stats.beta.ppf(1 - ramp, 0.6, 0.6) * (high - low),
        "Align Your Steps": lambda: np.exp(
            np.interp(ramp * 10, range(11), np.log(AYS_XL if is_xl else AYS))
        ),
    }[schedule]()
    return torch.tensor([*found[:steps], 0.0], dtype=torch.float64)


def _slope(D: Denoiser, x: Any, s: Any) -> Any:
    return (x - D(x, s)) / s


def _same(a: Any, b: Any) -> Any:
    return b


def _down(a: Any, b: Any) -> Any:
    """Where an ancestral step goes before its noise."""
    return (b**2 - b**2 * (a**2 - b**2) / a**2) ** 0.5


def euler(D: Denoiser, x: Any, S: Any, down: Any = _same) -> Any:
    for a, b in itertools.pairwise(S):
        x = x + _slope(D, x, a) * (down(a, b) - a)
    return x


def heun(D: Denoiser, x: Any, S: Any) -> Any:
    for a, b in itertools.pairwise(S):
        slope = _slope(D, x, a)
        if b > 0:
            slope = (slope + _slope(D, x + slope * (b - a), b)) / 2
        x = x + slope * (b - a)
    return x


def lms(D: Denoiser, x: Any, S: Any) -> Any:
    slopes: list[Any] = []
    for i in range(len(S) - 1):
        slopes = [_slope(D, x, S[i]), *slopes][:4]
        at = [float(S[i - k]) for k in range(len(slopes))]
        for j, slope in enumerate(slopes):
            others = at[:j] + at[j + 1 :]
            share = integrate.quad(
                lambda t, j=j, o=others, at=at: np.prod([(t - k) / (at[j] - k) for k in o]),
                float(S[i]),
                float(S[i + 1]),
                epsrel=1e-4,
            )[0]
            x = x + share * slope
    return x


def dpm_2(D: Denoiser, x: Any, S: Any, down: Any = _same) -> Any:
    for a, b in itertools.pairwise(S):
        slope, b = _slope(D, x, a), down(a, b)
        if b > 0:
            middle = (a * b) ** 0.5
            slope = _slope(D, x + slope * (middle - a), middle)
        x = x + slope * (b - a)
    return x


def dpmpp_2m(D: Denoiser, x: Any, S: Any) -> Any:
    old = None
    for i, (a, b) in enumerate(itertools.pairwise(S)):
        guess = new = D(x, a)
        if b > 0 and old is not None:
            guess = new + (new - old) * (a / b).log() / (S[i - 1] / a).log() / 2
        x, old = b / a * x + (1 - b / a) * guess, new
    return x


def dpmpp_sde(D: Denoiser, x: Any, S: Any) -> Any:
    for a, b in itertools.pairwise(S):
        new = D(x, a)
        if b > 0:
            share = _down(a, (a * b) ** 0.5) / a
            new = D(share * x + (1 - share) * new, (a * b) ** 0.5)
        share = _down(a, b) / a
        x = share * x + (1 - share) * new
    return x


def dpmpp_multistep_sde(D: Denoiser, x: Any, S: Any, order: int) -> Any:
    """DPM++ 2M SDE (midpoint) and 3M SDE."""
    past: list[Any] = []
    for i, (a, b) in enumerate(itertools.pairwise(S)):
        new = D(x, a)
        if b == 0:
            return new
        h = (a / b).log()
        kept = (-2 * h).exp()
        x = kept * x + (1 - kept) * new
        r0, r1 = ((S[i - k - 1] / S[i - k]).log() / h for k in range(2))
        phi2 = 1 - (1 - kept) / (2 * h)
        if order == 2 and past:
            x = x + (1 - kept) * (new - past[0]) / r0 / 2
        elif len(past) == 1:
            x = x + phi2 * (new - past[0]) / r0
        elif past:
            newer, older = (new - past[0]) / r0, (past[0] - past[1]) / r1
            second = (newer - older) / (r0 + r1)
            x = x + phi2 * (newer + second * r0) - (phi2 / (2 * h) - 0.5) * second
        past = [new, *past][:2]
    return x


def ddpm(D: Denoiser, x: Any, S: Any) -> Any:
    """Forge's; k-diffusion's file has none. `x` is scaled as in training, here and in `ddim`."""
    x = x / (1 + S[0] ** 2) ** 0.5
    for a, b in itertools.pairwise(S):
        kept, kept_next = 1 / (1 + a**2), 1 / (1 + b**2)
        noise = _noise(D, x, kept)
        share = kept / kept_next
        x = (x - (1 - share) * noise / (1 - kept) ** 0.5) / share**0.5
    return x


def ddim(D: Denoiser, x: Any, times: Any, *, plms: bool = False) -> Any:
    """A1111's DDIM and PLMS; `times` falls and ends with the one that is arrived at."""
    past: list[Any] = []
    for now, then in itertools.pairwise(times):
        a, b = KEPT[now], KEPT[then]

        def step(noise: Any, x: Any = x, a: Any = a, b: Any = b) -> Any:
            return b**0.5 * (x - (1 - a) ** 0.5 * noise) / a**0.5 + (1 - b) ** 0.5 * noise

        noise = new = _noise(D, x, a)
        if plms and not past:
            noise = (new + _noise(D, step(new), b)) / 2
        elif plms:
            weights = [(3, -1), (23, -16, 5), (55, -59, 37, -9)][len(past) - 1]
            noise = sum(w * p for w, p in zip(weights, [new, *past], strict=True)) / sum(weights)
        past, x = [new, *past][:3], step(noise)
    return x


def time_steps(steps: int) -> Any:
    """A1111's for DDIM and PLMS, falling."""
    return (np.arange(0, 1000, 1000 // steps) + 1).clip(0, 999)[::-1]


def _noise(D: Denoiser, x: Any, kept: Any) -> Any:
    return (x - kept**0.5 * D(x / kept**0.5, ((1 - kept) / kept) ** 0.5)) / (1 - kept) ** 0.5
