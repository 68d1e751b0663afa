"""A search of the tab Enhance and what was chosen from it, kept on disk below the studio.

`session`: plain values that the browser keeps: `found` (the search's folder name), `threshold`,
`off` (shot id → instances), `current` (the shot looked at). Painted masks are files beside the
search. Knows files and arrays; no jobs, no components.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .. import manifest, pictures
from . import panels, picking, runs

EMPTY: dict[str, Any] = {"found": "", "threshold": None, "off": {}, "current": ""}
THUMBNAIL = 320


def place(root: Path, session: dict[str, Any]) -> Path | None:
    """The folder of the session's search, where it is there."""
    name = str(session.get("found") or "")
    path = root / ".studio" / "found" / name
    inside = name and "/" not in name and "\\" not in name and not name.startswith(".")
    return path if inside and (path / manifest.NAME).is_file() else None


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest's lines by shot id."""
    return {line["id"]: line for line in manifest.read_lines(folder)}


def choice(folder: Path, session: dict[str, Any]) -> picking.Choice:
    """The session's choice, with the masks that were painted."""
    made = picking.Choice(float(session["threshold"]))
    made.off = {id_: set(numbers) for id_, numbers in session["off"].items()}
    for id_ in lines(folder):
        path = _painted(folder, id_)
        if path.is_file():
            made.painted[id_] = pictures.read(path).rgb[..., 0] > 127
    return made


def paint(folder: Path, id_: str, mask: np.ndarray | None) -> None:
    """Keep a painted mask, bool (H, W), of a shot; None takes it away."""
    if mask is None:
        _painted(folder, id_).unlink(missing_ok=True)
    else:
        pictures.write(_painted(folder, id_), pictures.png(mask.astype(np.uint8) * 255))


def _painted(folder: Path, id_: str) -> Path:
    name = hashlib.sha256(id_.encode(errors="surrogateescape")).hexdigest()[:24]
    return folder / ".painted" / f"{name}.png"


def source(folder: Path, line: dict[str, Any]) -> np.ndarray | None:
    """The photo of a line, uint8 (H, W, 3)."""
    return panels.read(runs.Run(folder, ()).shown(line))


def view(folder: Path, line: dict[str, Any], made: picking.Choice, longest: int) -> Any:
    """The photo with what is chosen in it marked; None where it cannot be read."""
    image = source(folder, line)
    if image is None:
        return None
    if picking.reason(line, made) is not None:
        return panels.fit(image, longest)
    numbers = [k + 1 for k in picking.chosen(line, made)]
    parts = picking.instance_masks(folder, line, made)
    if line["id"] in made.painted and len(parts) != len(numbers):
        numbers = []
    return panels.marked(image, parts, longest=longest, numbers=numbers)


def union(folder: Path, line: dict[str, Any], made: picking.Choice) -> np.ndarray | None:
    """All chosen masks of a shot together, bool (H, W)."""
    image = source(folder, line)
    if image is None:
        return None
    parts = [mask for _, mask in picking.instance_masks(folder, line, made)]
    return np.logical_or.reduce(parts) if parts else np.zeros(image.shape[:2], bool)


def told(line: dict[str, Any], made: picking.Choice) -> str:
    """A shot in a line: how many instances stay, or why none."""
    why = picking.reason(line, made)
    if why is not None:
        return f"{line['id']} · skipped: {why['message']}"
    number = len(picking.chosen(line, made))
    hand = ", painted by hand" if line["id"] in made.painted else ""
    return f"{line['id']} · {number} found{hand}"


def as_chosen(line: dict[str, Any], made: picking.Choice) -> dict[str, Any]:
    """The line with the outcome that the choice gives it."""
    if line["status"] == "failed":
        return line
    why = picking.reason(line, made)
    status = "skipped" if why else "kept"
    return {**line, "status": status, "reason": why, "metrics": {}}
