"""The shapes of each product class: names, numbers and bounds."""

from __future__ import annotations

FIRST = 20
"""The first kind of this module; lower numbers are those of `products` and `bodies`."""

KINDS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("sneaker", "runner", (0.56, 0.62, 0.24)),
    ("sneaker", "high-top", (0.56, 0.86, 0.24)),
    ("handbag", "flap", (0.54, 1.10, 0.24)),
    ("handbag", "tote", (0.50, 1.12, 0.24)),
    ("handbag", "hobo", (0.54, 1.06, 0.22)),
    ("handbag", "bowling", (0.54, 0.98, 0.26)),
    ("wristwatch", "round", (0.42, 1.10, 0.30)),
    ("wristwatch", "square", (0.36, 1.10, 0.30)),
    ("wristwatch", "loop", (0.42, 1.04, 0.52)),
    ("mug", "straight", (0.76, 0.92, 0.46)),
    ("mug", "barrel", (0.76, 0.86, 0.48)),
    ("mug", "cup", (0.66, 0.62, 0.58)),
    ("bottle", "wine", (0.26, 1.14, 0.26)),
    ("bottle", "sport", (0.26, 1.12, 0.26)),
    ("bottle", "square", (0.30, 1.02, 0.24)),
    ("bottle", "soda", (0.28, 1.12, 0.28)),
    ("car", "sedan", (0.68, 0.56, 0.34)),
    ("car", "hatchback", (0.66, 0.60, 0.34)),
    ("car", "suv", (0.66, 0.66, 0.36)),
    ("car", "pickup", (0.70, 0.60, 0.34)),
    ("car", "van", (0.66, 0.70, 0.36)),
    ("car", "coupe", (0.68, 0.50, 0.36)),
    ("chair", "dining", (0.36, 1.10, 0.38)),
    ("chair", "armchair", (0.46, 0.96, 0.44)),
    ("chair", "office", (0.42, 1.12, 0.42)),
    ("chair", "shell", (0.38, 0.98, 0.42)),
    ("lamp", "table", (0.46, 1.10, 0.46)),
    ("lamp", "desk", (0.52, 1.06, 0.30)),
    ("lamp", "mushroom", (0.44, 0.86, 0.44)),
    ("lamp", "floor", (0.36, 1.30, 0.36)),
)
"""Class, shape, and half size x, height, half size z of what the shape can reach."""

PARTS = 8
(RUNNER, HIGH_TOP, FLAP, TOTE, HOBO, BOWLING, ROUND, SQUARE, LOOP, STRAIGHT, BARREL, CUP) = range(
    FIRST, FIRST + 12
)
(WINE, SPORT, SQUARE_BOTTLE, SODA, SEDAN, HATCHBACK, SUV, PICKUP, VAN, COUPE) = range(
    FIRST + 12, FIRST + 22
)
(DINING, ARMCHAIR, OFFICE, SHELL, TABLE_LAMP, DESK_LAMP, MUSHROOM, FLOOR_LAMP) = range(
    FIRST + 22, FIRST + 30
)
