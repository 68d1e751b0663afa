"""Colours as people see them: CIELAB, the CIEDE2000 difference, the nearest colour word.

Pure arithmetic on arrays.
"""

from __future__ import annotations

import numpy as np


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB 0..255, shape (..., 3); L 0..100 (IEC 61966-2-1, CIE 15)."""
    v = np.asarray(rgb, np.float64) / 255
    v = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    xyz = v @ np.array(
        [
            [0.4124564, 0.2126729, 0.0193339],
            [0.3575761, 0.7151522, 0.1191920],
            [0.1804375, 0.0721750, 0.9503041],
        ]
    )
    xyz = xyz / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def delta_e2000(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """CIEDE2000 of two CIELAB arrays (..., 3) (Sharma, Wu and Dalal 2005)."""
    l1, a1, b1 = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(c7 / (c7 + 25.0**7)))
    p1, p2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(p1, b1), np.hypot(p2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, p1)) % 360, np.degrees(np.arctan2(b2, p2)) % 360
    gray = c1 * c2 == 0
    dh = np.where(gray, 0.0, (h2 - h1 + 180) % 360 - 180)
    big_dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    hm = np.where(gray, h1 + h2, (h1 + h2 + np.where(far, 360, 0)) / 2 % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(hm - 30))
        + 0.24 * np.cos(np.radians(2 * hm))
        + 0.32 * np.cos(np.radians(3 * hm + 6))
        - 0.20 * np.cos(np.radians(4 * hm - 63))
    )
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    turn = 30 * np.exp(-(((hm - 275) / 25) ** 2))
    rt = -np.sin(np.radians(2 * turn)) * 2 * np.sqrt(cm**7 / (cm**7 + 25.0**7))
    dl, dc = (l2 - l1) / sl, (c2 - c1) / sc
    dh = big_dh / sh
    return np.sqrt(dl**2 + dc**2 + dh**2 + rt * dc * dh)


def nearest_word(rgb: np.ndarray, mask: np.ndarray, words: dict[str, tuple[int, int, int]]) -> str:
    """The colour word that most pixels of the mask are nearest to, by CIEDE2000.

    rgb uint8 (H, W, 3); mask bool (H, W), True on the product.
    """
    counts = np.bincount(nearest_words(rgb[mask], words), minlength=len(words))
    return list(words)[int(counts.argmax())]


def nearest_words(pixels: np.ndarray, words: dict[str, tuple[int, int, int]]) -> np.ndarray:
    """For each of the pixels, uint8 (N, 3), the number of the word whose colour is nearest."""
    paints = lab(np.array(list(words.values())))
    return np.asarray(delta_e2000(lab(pixels)[:, None], paints[None]).argmin(1))


def rings(rgb: np.ndarray, mask: np.ndarray, count: int = 4) -> np.ndarray:
    """Mean CIELAB of the pixels outside the mask in `count` rings round the middle, (count, 3).

    A ring that the product fills takes the mean of the whole outside.
    """
    h, w = mask.shape
    y, x = np.mgrid[0:h, 0:w]
    radius = np.hypot((x + 0.5) / w - 0.5, (y + 0.5) / h - 0.5) / np.hypot(0.5, 0.5)
    values = lab(rgb)
    outside = ~mask if (~mask).any() else np.ones_like(mask)
    whole = values[outside].mean(0)
    out = []
    for k in range(count):
        ring = outside & (radius >= k / count) & (radius < (k + 1) / count)
        out.append(values[ring].mean(0) if ring.any() else whole)
    return np.array(out)
