"""The fields of Create, or of Enhance, as a run has them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .....configs.errors import RunFolderError
from .....configs.schema import load_settings, merge, presets
from ....inputs.shots import is_run_folder
from ....runs import run_yaml
from ....runs.manifest import read_records
from ...files import run_folders
from ...files.run_overview import edits_of
from ...widgets import cutout_box
from ..create import png_info
from ..create.png_info import Filled
from ..enhance.selection import FLOOR

_SHOWN_NOWHERE = ("segment", "mask", "controls", "rerender")
"""Sections of the settings that Enhance has no, or few, fields for."""


def of_photos(folder: Path) -> bool:
    """Return whether a run was made of photos, and not of prompts."""
    return bool((run_yaml.read(folder).get("request") or {}).get("inputs"))


def values_of_run(folder: Path) -> Filled:
    """Return the form's values by the names of `request_of`, and a note for each thing left out.

    Raises RunFolderError, and UsageError for a run of photos.
    """
    record = run_yaml.read(folder)
    request, settings = record["request"], record["settings"]
    generate = settings.get("generate") or {}
    prompts = request.get("prompts") or [generate.get("prompt") or ""]
    edits = edits_of(request)
    first = next(read_records(folder), None)
    shot: dict[str, Any] = {
        "id": "first",
        "classes": (request.get("classes") or ())[:1],
        "prompt": None if request.get("inputs") else prompts[0],
        "negative_prompt": generate.get("negative_prompt"),
        "edit": next(iter(edits), ""),
        "seed": generate.get("first_seed") or 0,
        **(first.to_dict() if first else {}),
    }
    preset = request.get("preset") or "mini"
    values, notes = png_info.of_record({**record, "id": shot["id"], "batch": [shot]}, preset)
    if not request.get("rows"):
        values["prompt"] = prompts[0]
        values["edit"] = "\n".join(edits)
    values["cutout"], by_hand = cutout_box.value_of(request.get("options") or {})
    notes += by_hand
    if len(prompts) > 1:
        notes.append(f"not honoured: {len(prompts) - 1} more prompts; Run again takes them all")
    if generate.get("first_seed") is not None:
        values["seed"] = generate["first_seed"]
    else:
        notes.append(
            "the seed is the first picture's: the others did not count up from it; Run again "
            "repeats them all"
        )
    classes, count = request.get("classes") or values.get("classes"), request.get("count")
    known = {"classes": classes, "count": count}
    return {**values, **{name: value for name, value in known.items() if value}}, notes


def values_for_enhance(folder: Path) -> Filled:
    """Return the values of Enhance's fields by name, and a note for each thing left out.

    Raises RunFolderError.
    """
    record = run_yaml.read(folder)
    request, settings = record["request"], record["settings"]
    options, rerender = request.get("options") or {}, settings.get("rerender") or {}
    cutout, notes = cutout_box.value_of(options)
    preset = request.get("preset") or "mini"
    if preset not in presets():
        notes.append(f"not honoured: preset {Path(preset).name}; mini in its place")
        preset = "mini"
    if any(found.edit or found.prompt for one in read_records(folder) for found in one.detections):
        notes.append("not honoured: words of single instances; Run again takes them all")
    usual = load_settings(preset).model_dump(mode="json")
    fields = {name: rerender[name] for name in ("strength", "steps") if name in rerender}
    moved = {name: value for name, value in fields.items() if value != usual["rerender"][name]}
    used = merge(usual, {"rerender": moved})
    notes += png_info.left_out(used, {name: settings.get(name) for name in _SHOWN_NOWHERE})
    return {
        **fields,
        "classes": request.get("classes") or run_folders.read(folder.parent, folder.name).classes,
        "preset": preset,
        "edit": "\n".join(edits_of(request)),
        "prompt": options.get("prompt") or "",
        "threshold": _threshold(request, settings),
        "seed": (settings.get("run") or {}).get("seed"),
        "cutout": cutout,
    }, notes


def _threshold(request: Mapping[str, Any], settings: Mapping[str, Any]) -> float | None:
    """Return the threshold of the search, which was that of the run that this one is made of."""
    inputs: list[str] = request.get("inputs") or []
    if is_run_folder(inputs):
        with contextlib.suppress(RunFolderError):
            settings = run_yaml.read(Path(inputs[0]))["settings"]
    threshold = (settings.get("detect") or {}).get("box_threshold")
    return None if threshold is None else max(FLOOR, threshold)
