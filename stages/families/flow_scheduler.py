"""The flow-matching Euler scheduler of diffusers, for a single step too."""

from __future__ import annotations

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler


class FlowMatchEuler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """The scheduler of diffusers, which leaves a single noise level as it is.

    Qwen-Image's `shift_terminal` stretches the levels so that the last one is that; with one level
    diffusers divides 0 by 0.
    """

    def stretch_shift_to_terminal(self, t: Any) -> Any:
        return super().stretch_shift_to_terminal(t) if len(t) > 1 else t
