"""DeepCache: runs the inner blocks of a UNet, and its ControlNets, in every n-th step only.

Features far from a UNet's ends change little from step to step; in the steps between, its outermost
blocks reuse the last output of the inner ones (Ma et al., arXiv 2312.00858, uniform interval,
branch 0). ControlNets, whose map stays the same, are skipped in these steps too. The picture
changes a little. Works on the UNets and ControlNets of diffusers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from . import patching, signatures
from .patching import Forward


class DeepCache:
    """Caches inner features between the steps of a pipeline.

    Several threads may draw with the same models at once: each has its own cache.

    Args:
        interval: 1 caches nothing; n computes the inner blocks in steps 0, n, 2n …
    """

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval
        self._thread = threading.local()

    def begin(self) -> None:
        """To be called by a thread before each call of a pipeline: its next step is step 0."""
        self._thread.step, self._thread.due, self._thread.cache = -1, True, {}

    @contextlib.contextmanager
    def over(self, pipe: Any) -> Iterator[None]:
        """Within the block, the UNet of `pipe`, and its ControlNets where it has some, use the
        cache. Includes `begin` for the thread that enters. Models with other signatures than those
        known are left alone."""
        self.begin()
        if self.interval == 1 or not signatures.known(pipe):
            yield
            return
        unet, nets = pipe.unet, signatures.controlnets(pipe)
        inner = [*unet.down_blocks[1:], unet.mid_block, *unet.up_blocks[:-1]]
        replacements = [(unet, self._counting(unet.forward))]
        replacements += [(m, self._cached_block(m, m.forward)) for m in inner if m is not None]
        replacements += [(m, self._cached_controlnet(m, m.forward)) for m in nets]
        try:
            with patching.replaced_forwards(replacements):
                yield
        finally:
            self._thread = threading.local()  # frees what is cached

    def _counting(self, original: Forward) -> Forward:
        def forward(*args: Any, **options: Any) -> Any:
            thread = self._thread
            thread.step += 1
            thread.due = thread.step % self.interval == 0
            return original(*args, **options)

        return forward

    def _cached_block(self, module: Any, original: Forward) -> Forward:
        def forward(*args: Any, **options: Any) -> Any:
            thread = self._thread
            if thread.due:
                thread.cache[module] = original(*args, **options)
            return thread.cache[module]

        return forward

    def _cached_controlnet(self, net: Any, original: Forward) -> Forward:
        """A ControlNet is called before the UNet of its step."""

        def forward(*args: Any, **options: Any) -> Any:
            thread = self._thread
            if (thread.step + 1) % self.interval == 0 or net not in thread.cache:
                thread.cache[net] = original(*args, **options)
            return thread.cache[net]

        return forward
