"""Product classes: the phrases a detector is asked, what to reject, the threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MERGED, SCENE = "merged", "scene"
"""Labels of masks that stand for no class: of several classes' products, of all but products."""


@dataclass(frozen=True)
class ClassSpec:
    """`phrases`: what the detector is asked, one query each; none: the name itself. `reject`: what
    looks like it and is not. `threshold`: 0..1, or None for the detector's own.

    Raises ValueError for an empty name or phrase, or a threshold outside 0..1.

    >>> ClassSpec("sneaker", reject=("boot",)).queries
    ('sneaker',)
    """

    name: str
    phrases: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    threshold: float | None = None

    def __post_init__(self) -> None:
        for text in (self.name, *self.phrases, *self.reject):
            if not text.strip(". "):
                raise ValueError(f"class {self.name!r}: empty phrase {text!r}; expected words")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"class {self.name!r}: threshold {self.threshold}: expected 0 to 1")

    @property
    def queries(self) -> tuple[str, ...]:
        """The phrases, or the name where there are none."""
        return self.phrases or (self.name,)


def specs_of(names: Iterable[str], specs: Mapping[str, ClassSpec]) -> list[ClassSpec]:
    """The specs of the names, in order; a name without one stands for itself."""
    return [specs.get(name) or ClassSpec(name) for name in names]


def competitors(spec: ClassSpec, asked: Iterable[ClassSpec]) -> tuple[str, ...]:
    """What a product of the class could be instead: reject phrases, then the other classes' own.

    >>> competitors(ClassSpec("mug", reject=("vase",)), [ClassSpec("mug"), ClassSpec("car")])
    ('vase', 'car')
    """
    others = [phrase for other in asked if other.name != spec.name for phrase in other.queries]
    own = set(spec.queries)
    return tuple(p for p in dict.fromkeys([*spec.reject, *others]) if p not in own)
