"""A search of the tab Enhance and what was chosen from it, kept on disk below the studio.

`session`: plain values that the browser keeps: `found` (the search's folder name), `threshold`,
`off` (shot id → instances), `all` (what the products become: edit, prompt, strength), `own` (shot
id → instance → the same for it alone), `whose` of these is on the page (-1: all), `current` (the
shot looked at). Strokes on masks are files beside the search. Knows files and arrays; no jobs, no
components.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .....checkpoints import atomic_files
from ....runs import folder as run_folder
from ...files import run_folders
from ...widgets import components
from . import mask_strokes, selection

EMPTY: dict[str, Any] = {
    "found": "", "threshold": None, "off": {}, "own": {}, "all": {}, "whose": -1, "current": "",
}  # fmt: skip
THUMBNAIL = 320


def place(root: Path, session: dict[str, Any]) -> Path | None:
    """The folder of the session's search, where it is there."""
    name = str(session.get("found") or "")
    path = root / ".studio" / "found" / name
    inside = name and "/" not in name and "\\" not in name and not name.startswith(".")
    return path if inside and (path / run_folder.NAME).is_file() else None


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest's lines by shot id."""
    return {line["id"]: line for line in run_folder.read_lines(folder)}


def choice(folder: Path, session: dict[str, Any]) -> selection.Choice:
    """The session's choice, with the masks as they were painted over."""
    made = selection.Choice(float(session["threshold"]))
    made.off = {id_: set(numbers) for id_, numbers in session["off"].items()}
    made.own = {
        id_: {int(number): selection.Own(**words) for number, words in own.items()}
        for id_, own in (session.get("own") or {}).items()
    }
    for id_, line in lines(folder).items():
        made_by_hand = mask_strokes.read(painted(folder, id_)["strokes"])
        base = union(folder, line, made) if made_by_hand else None
        if base is not None:
            made.painted[id_] = mask_strokes.drawn(base, made_by_hand)
    return made


def said(session: dict[str, Any], whose: int = -1) -> dict[str, Any]:
    """Edit, prompt and strength: of an instance of the current shot, or (-1) of all."""
    for_all = {"edit": "", "prompt": "", "strength": 0.75, **session["all"]}
    if whose < 0:
        return for_all
    own = session["own"].get(session["current"], {}).get(str(whose), {})
    mine = {"edit": "", "prompt": "", **own}
    return {**mine, "strength": own.get("strength") or for_all["strength"]}


def say(session: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """The session with the wording that is on its page: of all, or of one instance."""
    whose = session["whose"]
    if whose < 0:
        return {**session, "all": words}
    if words["strength"] == said(session)["strength"]:
        words = {**words, "strength": None}
    shot = session["current"]
    own = {**session["own"].get(shot, {}), str(whose): words}
    return {**session, "own": {**session["own"], shot: own}}


def painted(folder: Path, id_: str) -> dict[str, Any]:
    """The strokes on a shot so far, plain, and how often it was drawn on."""
    try:
        value = json.loads(_painted(folder, id_).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"seq": 0, "strokes": []}
    return {"seq": int(value["seq"]), "strokes": list(value["strokes"])}


def paint(folder: Path, id_: str, seq: int, drawn: tuple[mask_strokes.Stroke, ...]) -> None:
    """Keep all strokes on a shot, unless later ones are there."""
    if seq > painted(folder, id_)["seq"]:
        kept = {"seq": seq, "strokes": [stroke.plain() for stroke in drawn]}
        atomic_files.write(_painted(folder, id_), json.dumps(kept).encode())


def _painted(folder: Path, id_: str) -> Path:
    return folder / ".painted" / f"{_name(id_)}.json"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]


def source(folder: Path, line: dict[str, Any]) -> np.ndarray | None:
    """The photo of a line, uint8 (H, W, 3)."""
    return components.read(run_folders.RunSummary(folder, ()).shown(line))


def view(folder: Path, line: dict[str, Any], made: selection.Choice, longest: int) -> Any:
    """The photo with what is chosen in it marked; None where it cannot be read."""
    image = source(folder, line)
    if image is None:
        return None
    if selection.reason(line, made) is not None:
        return components.marked(image, [], longest=longest)
    numbers = [k + 1 for k in selection.chosen(line, made)]
    parts = selection.instance_masks(folder, line, made)
    if line["id"] in made.painted and len(parts) != len(numbers):
        numbers = []
    return components.marked(image, parts, longest=longest, numbers=numbers)


def thumbnail(folder: Path, line: dict[str, Any], made: selection.Choice) -> Path | None:
    """A small `view` as a file, made where it is not there; None where it cannot be read."""
    numbers = selection.chosen(line, made)
    seq = painted(folder, line["id"])["seq"]
    out = folder / ".thumbs" / f"{_name(json.dumps([line['id'], numbers, seq]))}.jpg"
    if not out.is_file():
        image = view(folder, line, made, THUMBNAIL)
        if image is None:
            return None
        data = io.BytesIO()
        Image.fromarray(image).save(data, "JPEG", quality=88)
        atomic_files.write(out, data.getvalue())
    return out


def union(folder: Path, line: dict[str, Any], made: selection.Choice) -> np.ndarray | None:
    """All chosen masks of a shot together, bool (H, W)."""
    parts = [mask for _, mask in selection.instance_masks(folder, line, made)]
    if parts:
        return np.logical_or.reduce(parts)
    image = source(folder, line)
    return None if image is None else np.zeros(image.shape[:2], bool)


def told(line: dict[str, Any], made: selection.Choice) -> str:
    """A shot in a line: how many instances stay, or why none."""
    why = selection.reason(line, made)
    if why is not None:
        return f"{line['id']} · skipped: {why['message']}"
    number = len(selection.chosen(line, made))
    hand = ", painted by hand" if line["id"] in made.painted else ""
    return f"{line['id']} · {number} found{hand}"


def as_chosen(line: dict[str, Any], made: selection.Choice) -> dict[str, Any]:
    """The line with the outcome that the choice gives it."""
    if line["status"] == "failed":
        return line
    why = selection.reason(line, made)
    status = "skipped" if why else "kept"
    return {**line, "status": status, "reason": why, "metrics": {}}
