"""Clip art of the public domain and emoji under the MIT licence: things that no render shows.

What a classifier is to say "none of these" to is everything else; a few pictures are of the
classes themselves. Knows no models. Sources and licences: README.md in
the folder of the recipe.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from ....configs.errors import UsageError

OPENCLIPART = "openclipart-png=1:0.18+dfsg-19"
EMOJI = "@lobehub/fluent-emoji-3d@1.1.0"
PANORAMAS = "@pmndrs/assets@1.7.0"
SIDE = 112
FILL = 66
"""A cut-out is square, SIDE pixels; what it shows is FILL pixels long in its middle."""

_EMOJI = {
    "sneaker": "1f45f 1f45e 1f97e",
    "handbag": "1f45c 1f45b 1f45d",
    "wristwatch": "231a",
    "mug": "2615 1f375",
    "bottle": "1f37e 1f37c 1f9f4 1f376",
    "car": "1f697 1f698 1f699 1f695 1f696 1f693 1f694 1f6fb 1f690",
    "chair": "1fa91",
}
_UNSURE = "1f460 1f461 1f462 1f6cb 1f6cd 1f392 1f4bc 1fa94 1f3ee 1f4a1 1f3ce 1f97f 1f691"
_CLIPS = {
    "sneaker": r"tennis_shoes?_jarno|hiking_boot_jarno",
    "mug": r"beverages/(mug|kubek|teacup_ganson|cuppa|teacup_bw)",
    "bottle": r"beverages/(bottled_drink|baby_bottle)|tools/bottle_jean",
    "car": r"vehicles/(1989_chev|_chev|4wd|blazer|car\.|.*hummer|redcar|skoda|old_car)",
    "lamp": r"office/desk_lamp",
}
_MIXED = re.compile(
    r"transportation|people/clothing|beverages|furniture|containers|clocks|aiga|shoe|boot|bag|purse"
    r"|watch|car[_.\d]|truck|taxi|cup|mug|bottle|chair|lamp|sofa|suitcase|valig|glass|jar|vase|office"
)
"""Folders and names among which things of the classes may be: no negatives."""


def fetch(folder: Path) -> None:
    """Download the packages into `folder`; what is there stays. Needs apt-get, dpkg and npm."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "usr").exists():
        subprocess.run(["apt-get", "download", OPENCLIPART], cwd=folder, check=True)
        (deb,) = folder.glob("openclipart-png_*.deb")
        subprocess.run(["dpkg", "-x", deb.name, "."], cwd=folder, check=True)
    for package, name in ((EMOJI, "emoji"), (PANORAMAS, "panoramas")):
        place = folder / name
        if not (place / "package").exists():
            place.mkdir(exist_ok=True)
            subprocess.run(["npm", "pack", "--silent", package], cwd=place, check=True)
            (packed,) = place.glob("*.tgz")
            with tarfile.open(packed) as archive:
                archive.extractall(place, filter="data")


def panoramas(folder: Path) -> list[np.ndarray]:
    """Photos of 18 places all round, uint8 (256, 512, 3) RGB; needs the package OpenEXR."""
    try:
        import OpenEXR
    except ImportError:
        raise UsageError(
            "the panoramas are OpenEXR files: pip install 'product-visuals[recipe]'"
        ) from None

    out = []
    for path in sorted((folder / "panoramas" / "package" / "hdri").glob("*.exr.js")):
        found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
        if found is None:
            raise ValueError(f"{path}: no picture in it; expected one in base64")
        raw = path.with_suffix("")
        raw.write_bytes(base64.b64decode(found[1]))
        with OpenEXR.File(str(raw)) as file:
            light = file.channels()["RGB"].pixels.astype(np.float32)
        bright = np.clip(light * 0.35 / np.median(light), 0, None)
        shown = np.clip(bright / (1 + 0.5 * bright), 0, 1) ** (1 / 2.2)
        out.append((255 * shown).astype(np.uint8))
    return out


def files(folder: Path) -> list[tuple[Path, str]]:
    """Return each picture that is used with its class, or "none", always in the same order."""
    emoji = {code: name for name, codes in _EMOJI.items() for code in codes.split()}
    out = []
    for path in sorted((folder / "emoji" / "package" / "assets").glob("*.webp")):
        codes = path.stem.split("-")
        toned = any("1f3fb" <= c <= "1f3ff" for c in codes)
        if not toned and codes[0] not in _UNSURE.split():
            out.append((path, emoji.get(codes[0], "none") if len(codes) < 3 else "none"))
    by_folder = defaultdict(list)
    root = folder / "usr" / "share" / "openclipart" / "png"
    for path in sorted(root.rglob("*.png")):
        name = str(path.relative_to(root)).lower()
        label = next((k for k, v in _CLIPS.items() if re.search(v, name)), "none")
        if label != "none":
            out.append((path, label))
        elif not _MIXED.search(name):
            by_folder[path.parent].append(path)
    for paths in by_folder.values():  # thousands of icons and stars, a few birds
        few = sorted(paths, key=lambda p: hashlib.md5(p.name.encode()).digest())[:90]
        out += [(path, "none") for path in few]
    return out


def cut_out(path: Path) -> np.ndarray | None:
    """Return a picture with transparency, trimmed, as RGBA uint8 (SIDE, SIDE, 4); None without a
    shape."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.uint8:
        return None
    ys, xs = np.flatnonzero(image[..., 3].max(1) > 20), np.flatnonzero(image[..., 3].max(0) > 20)
    if len(ys) < 8 or len(xs) < 8:
        return None
    image = image[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    k = FILL / max(image.shape[:2])
    shape = max(1, round(image.shape[1] * k)), max(1, round(image.shape[0] * k))
    image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    out = np.zeros((SIDE, SIDE, 4), np.uint8)
    y, x = (SIDE - shape[1]) // 2, (SIDE - shape[0]) // 2
    out[y : y + shape[1], x : x + shape[0]] = image[..., [2, 1, 0, 3]]
    return out
