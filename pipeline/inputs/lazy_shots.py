"""Lazy list of shots: holds their names and makes each shot when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ...configs.errors import UsageError
from ...configs.run import MAX_PICTURES
from ...stages.shot import shot_seed
from ..runs.inside_path import file_name

if TYPE_CHECKING:
    from ...stages.shot import Shot


class ShotName(NamedTuple):
    """Id and file of a shot (None: generated), and the other values that it is made of."""

    id: str
    path: str | None
    rest: Any = None


def id_part(class_: str) -> str:
    """Return a class as a part of a shot's id."""
    return file_name(class_.replace(" ", "-").replace("/", "-"))


def picture_seed(id_: str, number: int, run_seed: int, first_seed: int | None) -> int:
    """Return the seed of a picture, the `number`-th from 0: the first's counted up, as in A1111, or
    its own by the run's seed and its id."""
    return shot_seed(run_seed, id_) if first_seed is None else (first_seed + number) % 2**32


def check_number(shots: int) -> None:
    """Raise UsageError where a run is to draw more than MAX_PICTURES."""
    if shots > MAX_PICTURES:
        raise UsageError(
            f"{shots:,} pictures: expected at most {MAX_PICTURES:,} in a run; set a smaller "
            "--count, or divide them among runs"
        )


class LazyShots(Sequence["Shot"]):
    """A sequence of shots, each made of its name by `make`."""

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
