"""The flow-matching Euler scheduler of diffusers, for a single step too."""

from __future__ import annotations

from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler


class FlowMatchEuler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]
    """Leaves a single level where the noise begins. diffusers would stretch it to where the last
    one is to be (`shift_terminal`, of Qwen-Image), and divide 0 by 0."""

    def stretch_shift_to_terminal(self, t: Any) -> Any:
        return super().stretch_shift_to_terminal(t) if len(t) > 1 else t
