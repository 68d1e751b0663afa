"""Shots as a list of names, each made when it is used: 100,000 pictures are 100,000 names.

Reads no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

if TYPE_CHECKING:
    from ...stages.shot import Shot


class ShotName(NamedTuple):
    """A shot's id, its file (None: generated), and the other values that make it."""

    id: str
    path: str | None
    rest: Any = None


class LazyShots(Sequence["Shot"]):
    """A sequence of shots that holds their names only."""

    def __init__(self, names: Sequence[ShotName], make: Callable[[ShotName], Shot]) -> None:
        self.names, self.make = names, make

    @overload
    def __getitem__(self, index: int) -> Shot: ...
    @overload
    def __getitem__(self, index: slice) -> LazyShots: ...
    def __getitem__(self, index: int | slice) -> Shot | LazyShots:
        if isinstance(index, slice):
            return LazyShots(self.names[index], self.make)
        return self.make(self.names[index])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Shot]:
        return map(self.make, self.names)

    def changed(self, change: Callable[[Shot], Shot]) -> LazyShots:
        """Return the same names; each shot goes through `change` when it is made."""
        return LazyShots(self.names, lambda name: change(self.make(name)))
