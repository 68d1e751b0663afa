"""DeepCache: the inner blocks of a UNet, and ControlNets, in every n-th step alone.

Features far from a UNet's ends change little from step to step; in the steps between, its outermost
blocks draw on with what the inner ones last said (Ma et al., arXiv 2312.00858, uniform interval,
branch 0). ControlNets, whose map stays the same, rest in these steps too. The picture changes a
little. Knows diffusers' UNets and ControlNets; no pipelines' steps, no files.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from . import patching

Forward = Callable[..., Any]


class DeepCache:
    """`interval`: 1 leaves nothing out; n computes the inner blocks in steps 0, n, 2n …

    Several threads may draw with the same models at once: each has a cache of its own.
    """

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval
        self._of = threading.local()

    def begin(self) -> None:
        """To be called by a thread before each call of a pipeline: its next step is step 0."""
        self._of.step, self._of.due, self._of.kept = -1, True, {}

    @contextlib.contextmanager
    def over(self, pipe: Any) -> Iterator[None]:
        """While it lasts, the UNet of `pipe`, and its ControlNets where it has some, rest between.
        Begins for the thread that enters."""
        self.begin()
        if self.interval == 1:
            yield
            return
        unet = pipe.unet
        inner = [*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]]
        net = getattr(pipe, "controlnet", None)
        nets = [] if net is None else list(dict.fromkeys(getattr(net, "nets", [net])))
        changed = [(unet, self._counted(unet.forward))]
        changed += [(m, self._resting(m, m.forward)) for m in inner if m is not None]
        changed += [(m, self._led(m, m.forward)) for m in nets]
        try:
            with patching.forwards(changed):
                yield
        finally:
            self._of = threading.local()  # what was kept may go

    def _counted(self, whole: Forward) -> Forward:
        def forward(*args: Any, **options: Any) -> Any:
            of = self._of
            of.step += 1
            of.due = of.step % self.interval == 0
            return whole(*args, **options)

        return forward

    def _resting(self, module: Any, whole: Forward) -> Forward:
        def forward(*args: Any, **options: Any) -> Any:
            of = self._of
            if of.due:
                of.kept[module] = whole(*args, **options)
            return of.kept[module]

        return forward

    def _led(self, net: Any, whole: Forward) -> Forward:
        """A ControlNet is called before the UNet of its step."""

        def forward(*args: Any, **options: Any) -> Any:
            of = self._of
            if (of.step + 1) % self.interval == 0 or net not in of.kept:
                of.kept[net] = whole(*args, **options)
            return of.kept[net]

        return forward
