"""Requests that the job queue takes: runs, grids, trainings, captions.

`str(request)` is the equal command, as it is typed into a shell.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....checkpoints.hub.first_use import Needed
from ...jobs.draw_grid import GridRequest
from ...jobs.request import RunRequest
from ...jobs.resolve import recorded_request, request_settings, resolve
from ...runs import run_yaml
from .. import visitor_settings

SHEET = "grid.png"
"""The sheet of a grid, in the folder of its pictures."""


@dataclass(frozen=True)
class TrainRequest:
    """A call of `visuals train`. `config` is the YAML file of its settings."""

    config: str
    resume: bool = False

    def __str__(self) -> str:
        return shlex.join(["visuals", "train", self.config, *["--resume"] * self.resume])


@dataclass(frozen=True)
class ResumeRequest:
    """A call of `visuals resume` for a run folder."""

    folder: str

    def __str__(self) -> str:
        return shlex.join(["visuals", "resume", self.folder])


@dataclass(frozen=True)
class CaptionRequest:
    """A call of `visuals dataset caption` for the data set in a folder."""

    folder: str
    tag: str = ""
    preset: str = "mini"
    overwrite: bool = False

    def __str__(self) -> str:
        words = ["visuals", "dataset", "caption", self.folder, "--preset", self.preset]
        words += ["--tag", self.tag] if self.tag else []
        return shlex.join([*words, *["--overwrite"] * self.overwrite])


Request = RunRequest | ResumeRequest | GridRequest | TrainRequest | CaptionRequest

STOPPED: dict[type[Request], str] = {
    RunRequest: "stopped; Resume continues it, and so does its command",
    ResumeRequest: "stopped; Resume continues it",
    GridRequest: "stopped; the pictures that are done stay",
    TrainRequest: "stopped; Resume continues from the last checkpoint",
    CaptionRequest: "stopped; the captions so far are kept, and the same command continues",
}
"""Messages of stopped jobs."""


def title(request: Request) -> str:
    """Return what a request is for, in a few words.

    >>> title(RunRequest(classes=["mug", "lamp"], count=4))
    'mug, lamp: 8 pictures'
    """
    if isinstance(request, RunRequest):
        names = ", ".join(request.classes)
        if request.command == "filter":
            return f"Find {names}"
        if request.inputs:
            return f"Re-render {', '.join(request.all_edits)}".strip()
        number = (request.count or 1) * max(1, len(request.classes)) * len(request.all_edits)
        return f"{names}: {pictures(number)}"
    if isinstance(request, GridRequest):
        return f"Compare {', '.join(request.classes)}".strip()
    if isinstance(request, TrainRequest):
        return f"Train {Path(request.config).stem}"
    what = "Resume" if isinstance(request, ResumeRequest) else "Captions of"
    return f"{what} {Path(request.folder).name}"


def pictures(count: int) -> str:
    """Return a number of pictures in words."""
    return f"{count} picture{'s' * (count != 1)}"


def in_folder(request: Request, folder: Path) -> Request:
    """Return the request with the folder that a run or a grid is written to."""
    if isinstance(request, RunRequest):
        return request.model_copy(update={"out": str(folder)})
    if isinstance(request, GridRequest):
        return replace(request, out=str(folder / SHEET), cells=str(folder))
    return request


def check(request: RunRequest) -> None:
    """Raise UsageError for what a visitor may not set, or the command would refuse."""
    from ...build.stages import check_words
    from ...prompts import explain

    visitor_settings.check_request(request)
    resolved = resolve(request)
    if request.command != "filter":
        check_words(resolved.settings, edits=request.all_edits, needs=resolved.needs)
        explain.prompt_notes(resolved.settings, request.all_edits)


def seed_of(request: Request) -> int | None:
    """Return the seed of a request, None where it has none."""
    if not isinstance(request, RunRequest) or request.command == "filter":
        return None
    seed: int | None = request.overrides.get("generate.first_seed", request.seed)
    return seed


def needed_models(request: RunRequest | GridRequest) -> list[Needed]:
    """Return the models that a request loads."""
    from ...build.required_models import required_models

    if isinstance(request, RunRequest):
        resolved = resolve(request)
        return required_models(resolved.settings, resolved.needs)
    pairs = itertools.product(request.presets, request.checkpoints or (None,))
    return [
        needed
        for pair in pairs
        for needed in required_models(request.settings(*pair), ("generate",))
    ]


def request_of_run(folder: Path) -> RunRequest:
    """Return the request that made a run folder, without its `out`; raises RunFolderError."""
    resolved = recorded_request(run_yaml.read(folder), folder)
    request = resolved.request
    usual, used = (
        s.model_dump(mode="json") for s in (request_settings(request), resolved.settings)
    )
    if "detect" not in resolved.needs:
        used["verify"] = usual["verify"]  # which was left out: nothing was looked for
    overrides = dict(changed(usual, used))
    if resolved.prompts:
        overrides["generate.prompt"] = resolved.prompts[0]
    return request.model_copy(update={"overrides": overrides, "out": None})


def changed(usual: Any, used: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings that differ from the usual ones, by dotted name."""
    for key, value in used.items():
        name = f"{path}{key}"
        old = usual.get(key) if isinstance(usual, Mapping) else None
        if isinstance(value, Mapping) and isinstance(old, Mapping) and "." not in str(key):
            yield from changed(old, value, f"{name}.")
        elif value != old and (value or old):
            yield name, value
