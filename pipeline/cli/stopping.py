"""Ctrl-C: the first finishes what is in hand, the second stops at once."""

from __future__ import annotations

import os

from ...training.stopping import Wish

_SAID = b"visuals: note: stopping after the pictures in hand; once more stops at once\n"


class Stopper(Wish):
    """`with Stopper() as stop: …`: `stop()` is true after the first SIGINT or SIGTERM, which is
    answered on stderr; the second raises KeyboardInterrupt."""

    def __call__(self) -> bool:
        return self.made

    def _granted(self) -> None:
        # Not by click: the signal may have come in the middle of what it writes.
        os.write(2, _SAID)
