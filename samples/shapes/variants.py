"""Several shapes of each product class, as signed distances with painted parts.

Each has `distance(kind, p, x, y, z)`, bounds, and `part(kind, p, x, y, z)`: 0 is the product's
main colour, the rest trim. `p` holds the shape's parameters, each drawn at random in 0 to 1. The
front of a product faces +z, or +x where it is seen from the side (sneakers, cars).
"""

from __future__ import annotations

from .cars import car, car_part
from .chairs import chair, chair_part
from .handbags import handbag, handbag_part
from .kinds import BOWLING, COUPE, CUP, HIGH_TOP, LOOP, SHELL, SODA
from .lamps import lamp, lamp_part
from .primitives import jit
from .sneakers import sneaker, sneaker_part
from .vessels import bottle, bottle_part, mug, mug_part
from .watches import wristwatch, wristwatch_part


@jit
def distance(kind, p, x, y, z):
    """Signed distance to shape `kind` at a point of its own frame; negative inside."""
    if kind <= HIGH_TOP:
        return sneaker(kind, p, x, y, z)
    if kind <= BOWLING:
        return handbag(kind, p, x, y, z)
    if kind <= LOOP:
        return wristwatch(kind, p, x, y, z)
    if kind <= CUP:
        return mug(kind, p, x, y, z)
    if kind <= SODA:
        return bottle(kind, p, x, y, z)
    if kind <= COUPE:
        return car(kind, p, x, y, z)
    if kind <= SHELL:
        return chair(kind, p, x, y, z)
    return lamp(kind, p, x, y, z)


@jit
def part(kind, p, x, y, z):
    """Index of the painted part at a surface point, 0 to PARTS - 1."""
    if kind <= HIGH_TOP:
        return sneaker_part(kind, p, x, y, z)
    if kind <= BOWLING:
        return handbag_part(kind, p, x, y, z)
    if kind <= LOOP:
        return wristwatch_part(kind, p, x, y, z)
    if kind <= CUP:
        return mug_part(kind, p, x, y, z)
    if kind <= SODA:
        return bottle_part(kind, p, x, y, z)
    if kind <= COUPE:
        return car_part(kind, p, x, y, z)
    if kind <= SHELL:
        return chair_part(kind, p, x, y, z)
    return lamp_part(kind, p, x, y, z)
