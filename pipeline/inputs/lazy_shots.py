"""Lazy list of shots: holds their names and makes each shot when it is used."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ...configs.errors import UsageError
from ...configs.run import MAX_PICTURES
from ...stages.shot import shot_seed
from ..runs.inside_path import file_name

if TYPE_CHECKING:
    from ...stages.shot import Shot


class ShotName(NamedTuple):
    """Id and file of a shot (None: generated), and the other values that it is made of.

    `variant`: whether it is one of several of the same picture, known by its id.
    """

    id: str
    path: str | None
    rest: Any = None
    variant: bool = False


class LazyNames(Sequence[ShotName]):
    """Names of shots, each made of its place by `make`, so that a million take no memory."""

    def __init__(self, make: Callable[[int], ShotName], places: range) -> None:
        self._make, self._places = make, places

    @overload
    def __getitem__(self, index: int) -> ShotName: ...
    @overload
    def __getitem__(self, index: slice) -> LazyNames: ...
    def __getitem__(self, index: int | slice) -> ShotName | LazyNames:
        if isinstance(index, slice):
            return LazyNames(self._make, self._places[index])
        return self._make(self._places[index])

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[ShotName]:
        return map(self._make, self._places)


def id_part(class_: str) -> str:
    """Return a class as a part of a shot's id."""
    return file_name(class_.replace(" ", "-").replace("/", "-"))


def variant_id(id_: str, edit: str) -> str:
    """Return the id of a picture's variant by an edit, as in mug-0001-red-leather."""
    return f"{id_}-{id_part(edit)[:60]}"


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
    """A sequence of shots, each made of its name by `make`.

    Args:
        names: one a shot.
        make: makes a shot.
        template: returns what shots of the same prompts, edit and settings have in common, so that
            one of them can be checked for all.
        samples: the first name of each template, where they need not be looked for.
    """

    def __init__(
        self,
        names: Sequence[ShotName],
        make: Callable[[ShotName], Shot],
        template: Callable[[ShotName], Hashable] = lambda name: name.id,
        samples: Sequence[ShotName] = (),
    ) -> None:
        self.names, self.make, self.template, self._samples = names, make, template, samples

    @property
    def distinct(self) -> LazyShots:
        """The first shot of each template."""
        if self._samples:
            return LazyShots(self._samples, self.make, self.template)
        first = {self.template(name): name for name in reversed(self.names)}
        return LazyShots(list(first.values())[::-1], self.make, self.template)

    @overload
    def __getitem__(self, index: int) -> Shot: ...
    @overload
    def __getitem__(self, index: slice) -> LazyShots: ...
    def __getitem__(self, index: int | slice) -> Shot | LazyShots:
        if isinstance(index, slice):
            return LazyShots(self.names[index], self.make, self.template)
        return self.make(self.names[index])

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Shot]:
        return map(self.make, self.names)

    def changed(self, change: Callable[[Shot], Shot]) -> LazyShots:
        """Return the same names; each shot goes through `change`, which may make each another, when
        it is made."""
        return LazyShots(self.names, lambda name: change(self.make(name)))

    def with_edits(self, edits: Sequence[str]) -> LazyShots:
        """Return each shot once for every edit, with the seed of the one; see `variant_id`."""

        def make(name: ShotName) -> Shot:
            base, edit = name.rest
            return replace(self.make(base), id=name.id, edit=edit)

        names = [
            ShotName(variant_id(name.id, edit), name.path, (name, edit), variant=True)
            for name in self.names
            for edit in edits
        ]
        return LazyShots(names, make, lambda name: (self.template(name.rest[0]), name.rest[1]))
