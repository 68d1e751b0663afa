"""Compositing: grow and feather a mask, resize, paste; outside the blend nothing changes.

Pure array arithmetic.
"""

from __future__ import annotations

import cv2
import numpy as np


def dilate(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Grow (pixels > 0) or shrink (< 0) a bool (H, W) mask by OpenCV's elliptical brush of
    2 * pixels + 1, as A1111 does; `mask_ops.dilate_erode` measures exact distances."""
    if pixels == 0:
        return mask.copy()
    n = abs(pixels)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * n + 1, 2 * n + 1))
    change = cv2.dilate if pixels > 0 else cv2.erode
    grown = change(mask.astype(np.uint8), brush)  # beyond the picture: neither on nor off
    return grown.astype(bool)


def feather(mask: np.ndarray, blur: int) -> np.ndarray:
    """Blend weights float32 (H, W), 0..1, of a bool mask softened over `blur` pixels.

    Gaussian of sigma `blur`, as A1111's mask blur, cut off at 2 * blur: farther from the mask the
    weight is exactly 0. Inside, 2 * blur from the edge, it is exactly 1.
    """
    hard = mask.astype(np.float32)
    if blur <= 0 or not mask.any() or mask.all():
        return hard
    reach = 2 * blur
    side = 2 * reach + 1
    soft = cv2.GaussianBlur(hard, (side, side), blur, borderType=cv2.BORDER_REPLICATE)
    soft = np.clip(soft, 0.0, 1.0)
    soft[soft < 1 / 512] = 0.0
    soft[soft > 1 - 1 / 512] = 1.0
    return soft


def resize(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Area averaging to shrink, Lanczos to enlarge; the same array where the size is the same."""
    if image.shape[1::-1] == tuple(size_wh):
        return image
    shrink = image.shape[0] * image.shape[1] > size_wh[0] * size_wh[1]
    how = cv2.INTER_AREA if shrink else cv2.INTER_LANCZOS4
    return cv2.resize(image, tuple(size_wh), interpolation=how)


def mix(old: np.ndarray, patch: np.ndarray, blend: np.ndarray) -> np.ndarray:
    """`old` uint8 (h, w, 3) with `patch`, resized to it, taken by `blend` float (h, w), 0..1.

    Where the blend is 0 the old bytes are copied; where it is 1, the patch's.
    """
    new = resize(patch, (old.shape[1], old.shape[0]))
    weight = blend[..., None]
    mixed = np.rint(old + (new.astype(np.float32) - old) * weight).clip(0, 255).astype(np.uint8)
    return np.where(weight > 0, mixed, old)


def deepen(
    deep: np.ndarray, image: np.ndarray, result: np.ndarray, blend: np.ndarray
) -> np.ndarray:
    """The result with 16 bits a sample, uint16 (H, W, 3).

    `deep`: the source's samples, `image` the same as uint8, `result` uint8 with `blend` (H, W) of
    new pixels. Where the blend is 0 the samples of `deep` are copied; where it is 1, it is the
    result times 257; between, what mixing 16-bit samples gives, to the rounding of `result`.
    """
    out = deep.copy()
    drawn = blend > 0
    old, new = image[drawn].astype(np.float32), result[drawn].astype(np.float32)
    fine = (deep[drawn] - 257 * old) * (1 - blend[drawn][:, None])
    out[drawn] = np.rint(257 * new + fine).clip(0, 65535).astype(np.uint16)
    return out


def keep_colours(patch: np.ndarray, crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`patch` with the broad colours of `crop` inside a mask, all uint8 (h, w, 3) and bool (h, w).

    What is smaller than a 32nd of the window is the patch's, what is larger the crop's: the
    wavelet colour fix of StableSR (Wang et al. 2024), by a Gaussian that counts the mask alone.
    """
    weight = mask.astype(np.float32)
    sigma = max(mask.shape) / 32
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
    apart = (crop.astype(np.float32) - patch) * weight[..., None]
    kept = patch + cv2.GaussianBlur(apart, (0, 0), sigma) / share[..., None]
    return np.where(mask[..., None], np.rint(kept).clip(0, 255), patch).astype(np.uint8)


def match_colours(patch: np.ndarray, crop: np.ndarray, blend: np.ndarray) -> np.ndarray:
    """`patch` with its mean colour shifted so that it meets `crop` just outside the blend.

    All (h, w, 3) uint8, blend (h, w). What the model drew outside the mask should be the crop;
    its mean difference there, within an eighth of the window of the mask, is the model's own
    tint and is taken off everywhere.
    """
    inside = (blend > 0).astype(np.uint8)
    near = cv2.dilate(inside, np.ones((3, 3), np.uint8), iterations=max(patch.shape) // 8)
    ring = (near > 0) & (blend == 0)
    if not ring.any():
        return patch
    tint = patch[ring].mean(0, dtype=np.float64) - crop[ring].mean(0, dtype=np.float64)
    return np.rint(patch - tint).clip(0, 255).astype(np.uint8)
