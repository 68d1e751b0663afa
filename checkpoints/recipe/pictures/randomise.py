"""Domain randomisation: a render's products in front of anything, beside and behind anything.

What learns on such pictures cannot lean on the studio's places, paints and light (Tobin et al.
2017). Works on uint8 (H, W, 3) pictures and their uint8 (H, W) instance maps.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .rendered_pictures import Renders


def texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """A picture of nothing, uint8 (size, size, 3): gradient, clouds, stripes, blocks, letters."""
    a, b = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    y, x = np.mgrid[0:size, 0:size] / size
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    kind = rng.integers(6)
    if kind == 0:  # plain or a gradient
        mix = along * rng.uniform(0, 1)
    elif kind == 1:  # clouds
        mix = np.zeros((size, size))
        for k in range(1, 7):
            grid = rng.random((2**k + 1, 2**k + 1)).astype(np.float32)
            cloud = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
            mix = mix + cloud * rng.uniform(0.3, 0.9) ** k
        mix = (mix - mix.min()) / max(1e-6, np.ptp(mix))
    elif kind == 2:  # stripes
        mix = 0.5 + 0.5 * np.sin(along * rng.uniform(10, 120))
    elif kind == 3:  # blocks
        n = int(rng.integers(2, 24))
        blocks = rng.random((n, n, 3)).astype(np.float32) * 255
        way = cv2.INTER_NEAREST if rng.random() < 0.6 else cv2.INTER_LINEAR
        out = cv2.resize(blocks, (size, size), interpolation=way)
        return np.clip(out, 0, 255).astype(np.uint8)
    elif kind == 4:  # shapes strewn about
        out = np.full((size, size, 3), a.astype(np.uint8))
        for _ in range(int(rng.integers(5, 40))):
            _shape(out, rng)
        return out
    else:  # letters
        out = np.full((size, size, 3), a.astype(np.uint8))
        for _ in range(int(rng.integers(2, 14))):
            letters = "".join(chr(int(c)) for c in rng.integers(48, 91, int(rng.integers(1, 9))))
            spot = int(rng.integers(-20, size)), int(rng.integers(0, size))
            font, grow, thick = (
                int(rng.integers(0, 7)),
                rng.uniform(0.3, 2.5),
                int(rng.integers(1, 6)),
            )
            cv2.putText(out, letters, spot, font, grow, _paint(rng), thick, cv2.LINE_AA)
        return out
    out = a + (b - a) * np.asarray(mix)[..., None]
    out += rng.normal(0, rng.uniform(0, 12), out.shape)
    return np.clip(out, 0, 255).astype(np.uint8)


def _paint(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.integers(0, 256, 3))


def _shape(out: np.ndarray, rng: np.random.Generator) -> None:
    """Paint one filled shape into a picture."""
    size, paint = len(out), _paint(rng)
    cx, cy = (int(v) for v in rng.integers(0, size, 2))
    r = int(rng.uniform(0.02, 0.25) * size)
    kind = rng.integers(4)
    if kind == 0:
        cv2.circle(out, (cx, cy), r, paint, -1, cv2.LINE_AA)
    elif kind == 1:
        axes = (r, max(1, int(r * rng.uniform(0.2, 1))))
        cv2.ellipse(out, (cx, cy), axes, rng.uniform(0, 180), 0, 360, paint, -1, cv2.LINE_AA)
    elif kind == 2:
        corners = (np.array([cx, cy]) + rng.normal(0, r, (int(rng.integers(3, 7)), 2))).astype(int)
        cv2.fillPoly(out, [corners], paint, cv2.LINE_AA)
    else:
        far = (np.array([cx, cy]) + rng.normal(0, 2 * r, 2)).astype(int)
        cv2.line(out, (cx, cy), (int(far[0]), int(far[1])), paint, max(1, r // 4), cv2.LINE_AA)


def scenery(renders: Renders, size: int, rng: np.random.Generator) -> np.ndarray:
    """A back for products, uint8 (size, size, 3): a texture, or a render without products."""
    if rng.random() < 0.55:
        return texture(size, rng)
    for i in rng.integers(len(renders), size=12):
        if not renders.meta[i]["products"]:
            break
    else:
        return texture(size, rng)
    image = np.array(renders.images[i])
    if rng.random() < 0.5:  # a part of it
        side = int(len(image) * rng.uniform(0.4, 1))
        y, x = rng.integers(0, len(image) - side + 1, 2)
        image = image[y : y + side, x : x + side]
    turn = int(rng.choice(4, p=(0.7, 0.1, 0.1, 0.1)))
    return cv2.resize(np.rot90(image, turn), (size, size), interpolation=cv2.INTER_AREA)


def repaint(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pixels of a mask in other colours or with a texture laid over, shading kept."""
    out = image.astype(np.float32)
    if rng.random() < 0.5:
        mix = rng.dirichlet((1, 1, 1), 3).astype(np.float32)  # each channel made of all three
        new = out @ mix.T * rng.uniform(0.8, 1.3)
    else:
        over = texture(len(image), rng).astype(np.float32) / 255
        new = out.mean(2, keepdims=True) * (0.5 + over)
        new = new + (out - new) * rng.uniform(0, 0.6)
    return np.where(mask[..., None], np.clip(new, 0, 255), out).astype(np.uint8)


def paste(
    image: np.ndarray,
    instances: np.ndarray,
    things: Renders,
    rng: np.random.Generator,
    *,
    above: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """A thing that is no product, from another render, put in front of or behind what is there."""
    size = len(image)
    i = int(rng.integers(len(things)))
    rows = things.meta[i].get("bodies", [])
    if not rows:
        return image, instances
    row = rows[int(rng.integers(len(rows)))]
    x0, y0, x1, y1 = row["box_xyxy"]
    cut = np.array(things.images[i, y0:y1, x0:x1])
    mask: Any = np.array(things.instances[i, y0:y1, x0:x1] == row["instance"]).astype(np.float32)
    grow = size * rng.uniform(0.12, 0.6) / max(cut.shape[:2])
    shape = max(2, int(cut.shape[1] * grow)), max(2, int(cut.shape[0] * grow))
    way = cv2.INTER_LINEAR if grow > 1 else cv2.INTER_AREA
    cut, mask = (cv2.resize(a, shape, interpolation=way) for a in (cut, mask))
    if rng.random() < 0.5:
        cut, mask = cut[:, ::-1], mask[:, ::-1]
    h, w = mask.shape
    left, top = int(rng.integers(-w // 2, size - w // 2)), int(rng.integers(-h // 2, size - h // 2))
    a, b, c, d = max(0, top), min(size, top + h), max(0, left), min(size, left + w)
    if a >= b or c >= d:
        return image, instances
    weight = mask[a - top : b - top, c - left : d - left]
    if not above:
        weight = weight * (instances[a:b, c:d] == 0)
    image, instances = image.copy(), instances.copy()
    over = cut[a - top : b - top, c - left : d - left].astype(np.float32)
    under = image[a:b, c:d].astype(np.float32)
    image[a:b, c:d] = (under + (over - under) * weight[..., None]).astype(np.uint8)
    instances[a:b, c:d][weight > 0.5] = 0
    return image, instances


def randomise(
    image: np.ndarray, instances: np.ndarray, things: Renders, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its instances, made strange; instances that get covered shrink.

    Args:
        image: uint8 (H, W, 3).
        instances: uint8 (H, W); 0 where there is no product.
        things: Renders with rows in `meta["bodies"]`: the split `crowd`.
        rng: Decides everything.
    """
    instances = np.array(instances)
    if rng.random() < 0.12:  # nothing at all
        image, instances = scenery(things, len(image), rng), np.zeros_like(instances)
    if rng.random() < 0.35:
        image = repaint(image, instances > 0, rng)
    if rng.random() < 0.6:
        soft = cv2.GaussianBlur((instances > 0).astype(np.float32), (0, 0), 0.6)[..., None]
        back = scenery(things, len(image), rng).astype(np.float32)
        image = (back + (image.astype(np.float32) - back) * soft).astype(np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        image, instances = paste(image, instances, things, rng, above=bool(rng.random() < 0.25))
    return develop(image, rng), instances


def develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gamma, exposure, saturation and the traces of a JPEG file; uint8 in and out."""
    y = (image.astype(np.float32) / 255) ** rng.uniform(0.65, 1.5) * rng.uniform(0.75, 1.2)
    if rng.random() < 0.4:
        grey = y.mean(2, keepdims=True)
        y = grey + (y - grey) * rng.choice((0.0, rng.uniform(0.3, 1.5)), p=(0.15, 0.85))
    out: Any = np.clip(y * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        out = cv2.imdecode(cv2.imencode(".jpg", out, quality)[1], cv2.IMREAD_COLOR)
    return out
