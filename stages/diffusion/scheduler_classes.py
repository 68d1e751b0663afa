"""Classes of diffusers' schedulers, changed where A1111's samplers differ from them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from .noise_levels import Schedule


def with_levels(kind: Any, schedule: Schedule, *, discard: bool = False) -> type:
    """Return a class of diffusers' schedulers with a schedule in place of Karras'.

    Args:
        kind: the class, which must have `use_karras_sigmas`.
        schedule: one of SCHEDULES.
        discard: make one level more and leave the last out, as A1111 does for some samplers.
    """

    def convert(self: Any, in_sigmas: Any, num_inference_steps: int | None = None) -> np.ndarray:
        steps = num_inference_steps or self.num_inference_steps
        kept = self.alphas_cumprod.double().numpy()
        found = schedule(((1 - kept) / kept) ** 0.5, steps + discard)
        return found[:steps]

    def index(self: Any, timestep: Any, schedule_timesteps: Any = None) -> int:
        """The first of equal ones: rounded, the first two can be, where diffusers skips one."""
        times = self.timesteps if schedule_timesteps is None else schedule_timesteps
        return int((times == timestep).nonzero()[0])

    def set_timesteps(
        self: Any,
        num_inference_steps: int,
        device: Any = None,
        num_train_timesteps: Any = None,
        **options: Any,
    ) -> None:
        """Two steps in the constructor, not one for each time step of the training: 0.3 s less."""
        steps = num_inference_steps if num_train_timesteps is None else 2
        kind.set_timesteps(self, steps, device, **options)

    methods: dict[str, Any] = {"_convert_to_karras": convert, "index_for_timestep": index}
    if "num_train_timesteps" in inspect.signature(kind.set_timesteps).parameters:
        methods["set_timesteps"] = set_timesteps
    return type(kind.__name__, (kind,), methods)


def two_stage(kind: Any) -> type:
    """Return a class of `with_levels` whose steps have a stage at their middle, as in A1111.

    For diffusers' singlestep solver, which takes the middle for a step of its own.
    """

    def set_timesteps(self: Any, num_inference_steps: int, **options: Any) -> None:
        kind.set_timesteps(self, 2 * num_inference_steps - 1, **options)

    def convert(self: Any, in_sigmas: Any, num_inference_steps: int) -> np.ndarray:
        found = kind._convert_to_karras(self, in_sigmas, (num_inference_steps + 1) // 2)
        return np.insert(found, range(1, len(found)), (found[1:] * found[:-1]) ** 0.5)

    methods = {"order": 2, "set_timesteps": set_timesteps, "_convert_to_karras": convert}
    return type(kind.__name__, (kind,), methods)


def to_zero(kind: Any) -> type:
    """Return a class of `with_levels` whose last step leads to 0, or next to it.

    For diffusers' DEIS, whose last step leads nowhere, and which takes logarithms of levels.
    """

    def set_timesteps(self: Any, num_inference_steps: int, **options: Any) -> None:
        kind.set_timesteps(self, num_inference_steps, **options)
        self.sigmas[-1] = 1e-6

    return type(kind.__name__, (kind,), {"set_timesteps": set_timesteps})


def third_order(kind: Any) -> type:
    """Return a class of `with_levels` with k-diffusion's third order of DPM-Solver++'s SDE.

    In diffusers' formula a half has the wrong sign.
    """

    def update(
        self: Any, model_output_list: Any, *, sample: Any, noise: Any, **options: Any
    ) -> Any:
        *_, m2, m1, m0 = model_output_list
        sigmas = self.sigmas[self.step_index - 2 : self.step_index + 2]
        h1, h0, h = -sigmas.log().diff()
        older, newer = (m1 - m2) * h / h1, (m0 - m1) * h / h0
        second = (newer - older) * h / (h0 + h1)
        first = newer + second * h0 / h
        kept = (-2 * h).exp()
        phi2 = 1 - (1 - kept) / (2 * h)
        phi3 = phi2 / (2 * h) - 0.5
        _, before = self._sigma_to_alpha_sigma_t(sigmas[-2])
        alpha, after = self._sigma_to_alpha_sigma_t(sigmas[-1])
        drift = (1 - kept) * m0 + phi2 * first - phi3 * second
        return (
            after / before * (-h).exp() * sample + alpha * drift + after * (1 - kept) ** 0.5 * noise
        )

    return type(kind.__name__, (kind,), {"multistep_dpm_solver_third_order_update": update})


def with_time_steps(kind: Any) -> type:
    """Return DDIM or PNDM with A1111's time steps: 1, 1 + s, 1 + 2 s, … from the highest down.

    s is the whole part of 1,000 / steps. A1111 leaves the last one, 1, out. Where fewer than asked
    for are left, it stays here, as pipelines count on as many, and changes nothing.
    """

    def set_timesteps(self: Any, num_inference_steps: int, device: Any = None) -> None:
        import torch

        kind.set_timesteps(self, num_inference_steps, device)
        most = self.config.num_train_timesteps
        found = (np.arange(0, most, max(1, most // num_inference_steps)) + 1).clip(max=most - 1)
        found = found[::-1][: max(num_inference_steps, len(found) - 1)]
        if hasattr(self, "plms_timesteps"):  # evaluates the second twice
            found = self.plms_timesteps = np.concatenate([found[:2], found[1:]])
        self.timesteps = torch.from_numpy(found.copy()).to(device)
        self.final_alpha_cumprod = self.alphas_cumprod[1]

    return type(kind.__name__, (kind,), {"set_timesteps": set_timesteps})
