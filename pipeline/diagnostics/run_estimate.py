"""What a run would need: models to download, memory and time. Loads no model."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoints.catalog.names import catalogue
from ...checkpoints.hub import first_use
from ...checkpoints.hub import status as hub_status
from ...checkpoints.hub.errors import PullError
from ...configs.errors import VisualsError
from ..build.required_models import required_models
from ..inputs.shots import is_run_folder
from ..runs import run_yaml
from ..runs.manifest import NAME as MANIFEST
from ..runs.manifest import read_records

if TYPE_CHECKING:
    from ...checkpoints.catalog.entry import Entry
    from ...configs.schema import Settings

_PACE = ("model", "method", "steps", "strength", "width", "height", "controls", "cache_interval")
"""Settings of a stage by which its time for a picture goes."""
_STAGES = {"generate", "detect", "segment", "rerender"}
_RUNS, _RECORDS = 20, 200
"""Earlier runs that are looked at, the newest first, and pictures of a run."""


@dataclass(frozen=True)
class RunEstimate:
    """What a run would need.

    Args:
        missing: repositories to download, and bytes of each; None where they are not known.
        memory_gib: memory that the catalogue advises for the models in 16 bits, as on a GPU; None
            where it advises none.
        cpu_gib: the same on a CPU, which computes in 32 bits unless `run.dtype` says otherwise.
        embedded: whether all the models are embedded ones, for which it advises none.
        seconds: of all its pictures, at the pace of `like`; None where no earlier run tells it.
        like: an earlier run through the same stages, with the same models and steps.
    """

    missing: Mapping[str, int | None]
    memory_gib: float | None
    cpu_gib: float | None
    embedded: bool
    seconds: float | None
    like: str | None


def estimate(
    settings: Settings, needs: Collection[str], pictures: int, folder: Path, inputs: Sequence[str]
) -> RunEstimate:
    """Estimate a run of `pictures` of a request's `inputs` through `needs` into a folder.

    Its time is that of the newest run in `folder` or beside it whose pictures came from the same
    kind of source and went through these stages and no other.
    """
    needed = required_models(settings, needs)
    entries = _entries([one.ref for one in needed])
    gib = sum(entry.memory_gib or 0 for entry in entries if entry) or None
    whole = settings.run.dtype in ("auto", "float32")
    pace = _pace(settings, needs, folder, _kind(inputs))
    return RunEstimate(
        missing=_missing(needed),
        memory_gib=gib,
        cpu_gib=gib and gib * (2 if whole else 1),
        embedded=all(entry and entry.folder for entry in entries),
        seconds=pace and round(pace[0] * pictures, 1),
        like=pace and str(pace[1]),
    )


def _missing(needed: list[first_use.Needed]) -> dict[str, int | None]:
    """Return what is to be downloaded; the hub is asked once, and may be away."""
    try:
        return {one.repository: one.size for one in first_use.missing(needed)}
    except PullError:
        statuses = (hub_status.look_up(one.ref) for one in needed)
        away = (one for one in statuses if one.where in ("missing", "partial"))
        return {one.entry.repository or one.name: None for one in away}


def _entries(refs: list[str]) -> list[Entry | None]:
    known = catalogue()
    known |= {entry.repository: entry for entry in known.values() if entry.repository}
    return [known.get(ref) for ref in dict.fromkeys(refs)]


def _kind(inputs: Sequence[str]) -> str:
    """Return the kind of source that a request names: its pictures differ in size from others'."""
    if not inputs:
        return "prompts"
    return "run folder" if is_run_folder(inputs) else "photos"


def _pace(
    settings: Settings, needs: Collection[str], folder: Path, kind: str
) -> tuple[float, Path] | None:
    """Return the seconds a picture of an earlier run like this one, and its folder."""
    wanted = _by_pace(settings.model_dump(mode="json"), needs)
    for run in _earlier(folder):
        try:
            record = run_yaml.read(run)
            if _by_pace(record.get("settings") or {}, needs) != wanted:
                continue
            if _kind(record["request"].get("inputs") or ()) != kind:
                continue
            records = itertools.islice(read_records(run), _RECORDS)
            spent = [
                r.seconds for r in records if r.kept and _STAGES & set(r.seconds) == set(needs)
            ]
        except VisualsError:
            continue
        if spent:
            return sum(sum(one.values()) for one in spent) / len(spent), run
    return None


def _by_pace(settings: Mapping[str, Any], needs: Collection[str]) -> dict[str, Any]:
    sections = {"generate", "run", *needs} | ({"verify"} if "detect" in needs else set())
    values = {name: settings.get(name) or {} for name in sections}
    chosen = {
        f"{name}.{key}": section[key]
        for name, section in values.items()
        for key in _PACE
        if key in section and (name != "generate" or name in needs or key == "model")
    }
    return chosen | {"device": values["run"].get("device")}


def _earlier(folder: Path) -> Iterator[Path]:
    """Yield a run folder, then those beside it, the newest first."""
    yield folder
    beside = (path.parent for path in folder.parent.glob(f"*/{MANIFEST}") if path.is_file())
    yield from heapq.nlargest(_RUNS, beside, key=lambda run: (run / MANIFEST).stat().st_mtime)
