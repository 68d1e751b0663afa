"""The fields of Create as a run has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....runs import run_yaml
from ....runs.manifest import read_records
from ...files.run_overview import edits_of
from ..create import png_info
from ..create.png_info import Filled


def of_photos(folder: Path) -> bool:
    """Return whether a run was made of photos, and not of prompts."""
    return bool((run_yaml.read(folder).get("request") or {}).get("inputs"))


def edit_of(folder: Path) -> str:
    """Return what a run made of its products, the first of several."""
    return next(iter(edits_of(run_yaml.read(folder).get("request") or {})), "")


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
        values["edit"] = next(iter(edits), "")
    if len(prompts) > 1:
        notes.append(f"not honoured: {len(prompts) - 1} more prompts; Run again takes them all")
    if len(edits) > 1:
        notes.append(f"not honoured: {len(edits) - 1} more edits; Run again takes them all")
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
