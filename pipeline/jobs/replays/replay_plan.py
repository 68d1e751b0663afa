"""What makes finished shots again, read from their run or from a picture file.

A shot is made in the batch that it was made in: floating-point sums depend on it. Makes nothing
itself (see `replay`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....configs.errors import UsageError
from ...images import provenance
from ...inputs import resume
from ...runs import folder as run_folder
from ...runs import run_yaml
from ...runs.inside_path import check_name, inside
from ...runs.run_yaml import without_pickles

if TYPE_CHECKING:
    from ....stages.shot import Shot


class ReplayError(UsageError):
    """What cannot be made again; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Wanted:
    """A shot to be made again: what its run says became of it. `picture`: the file, None where it
    had none."""

    id: str
    status: str
    picture: Path | None


@dataclass(frozen=True)
class ReplayBatch:
    """Bare shots as they went through the stages together; `wanted`: ids of those it is for, the
    others kept them company."""

    wanted: tuple[str, ...]
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class ReplayPlan:
    """Everything that makes shots again. `masks`: the run folder whose masks were given, None where
    stage 2 found them; `checkpoints` and `versions`: of then; `notes`: what hinders an equal
    picture."""

    settings: Mapping[str, Any]
    needs: tuple[str, ...]
    wanted: Mapping[str, Wanted]
    batches: tuple[ReplayBatch, ...]
    masks: Path | None
    checkpoints: Mapping[str, str]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()


def of_run(folder: Path, ids: Collection[str] = ()) -> ReplayPlan:
    """The plan for shots of a run folder, all that did not fail where none are named.

    Raises ReplayError for a name that is none of its shots, RunFolderError for no run folder.
    """
    record = run_yaml.read(folder)
    request = record.get("request") or {}
    if "needs" not in request:
        raise ReplayError(
            f"{folder} holds no record of how it was made: expected a folder that `visuals run`, "
            "generate, filter or enhance wrote"
        )
    lines = run_folder.ManifestIndex(folder / run_folder.NAME)
    unknown = [id_ for id_ in ids if id_ not in lines]
    if unknown:
        from ....configs.schema import nearest

        raise ReplayError(
            f"{folder} has no shot {unknown[0]!r}{nearest(unknown[0], list(lines))}; "
            "expected ids as in its manifest.jsonl"
        )
    wanted: dict[str, Wanted] = {}
    groups: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for id_ in ids or lines:
        shot = lines[id_]
        if shot.status == "failed" and not ids:
            continue
        name = shot.files.picture
        wanted[id_] = Wanted(id_, shot.status, inside(folder, name) if name else None)
        batch = shot.batch or ((id_, shot.seed),)
        if id_ not in dict(batch):
            raise ReplayError(
                f"{folder}: the line of {id_!r} names a batch without it: expected its id and seed "
                f"in `batch`; mend {run_folder.NAME}, or name other shots"
            )
        groups.setdefault(batch, []).append(id_)
    if not wanted:
        raise ReplayError(f"{folder} holds no finished shot: expected some; run it first")
    batches, lost = [], set()
    for group, own in groups.items():
        absent = {one for one, _ in group if one not in lines}
        others = _from_pictures(absent, [wanted[id_].picture for id_ in own])
        lost |= absent - set(others)
        known = ((one, seed) for one, seed in group if one in lines or one in others)
        shots = (others.get(one) or _shot(lines[one].to_dict(), seed) for one, seed in known)
        batches.append(ReplayBatch(tuple(own), tuple(shots)))
    notes = [f"{', '.join(sorted(lost))}: of their batch, but not in {folder}"] if lost else []
    return ReplayPlan(
        settings=without_pickles(record.get("settings") or {}),
        needs=tuple(request["needs"]),
        wanted=wanted,
        batches=tuple(batches),
        masks=folder if provenance.masks_given(request) else None,
        checkpoints=record.get("checkpoints") or {},
        versions=record.get("versions") or {},
        notes=tuple(notes),
    )


def of_picture(path: Path, photos: Sequence[Path] = ()) -> ReplayPlan:
    """The plan for one picture file by its own record; `photos`: where the photos that it was made
    of may lie. One in its run's folder goes by that folder.

    Raises LineageError for a picture without a record, ReplayError where a photo is missing.
    """
    run = path.resolve().parents[1] if len(path.resolve().parents) > 1 else None
    if run and (run / run_folder.NAME).is_file():
        for shot in run_folder.read_records(run):
            if shot.files.picture and run / shot.files.picture == path.resolve():
                return of_run(run, [shot.id])
    said = provenance.read(path)
    if said.get("masks_given"):
        raise ReplayError(
            f"{path}: its masks were given, and do not stand in the picture; replay its run folder"
        )
    batch = [_begun(one, path, photos) for one in said["batch"]]
    own = next((k for k, one in enumerate(batch) if one and one.id == said["id"]), None)
    if own is None:
        photos_of = {one["id"]: one.get("photo") or {} for one in said["batch"]}
        if said["id"] not in photos_of:
            raise ReplayError(
                f"{path}: its record names a batch without it: expected {said['id']!r} in it; "
                "replay its run folder"
            )
        photo = photos_of[said["id"]].get("name")
        raise ReplayError(
            f"{path} was made of the photo {photo!r}, which is not beside it; "
            "say where it lies: --photos FOLDER"
        )
    lost = [one["id"] for one, shot in zip(said["batch"], batch, strict=True) if shot is None]
    return ReplayPlan(
        settings=without_pickles(said["settings"]),
        needs=tuple(said["needs"]),
        wanted={said["id"]: Wanted(said["id"], "", path)},
        batches=(ReplayBatch((said["id"],), tuple(shot for shot in batch if shot is not None)),),
        masks=None,
        checkpoints=said.get("checkpoints") or {},
        versions=said.get("versions") or {},
        notes=(f"the photos of {', '.join(lost)}, of its batch, are not there",) if lost else (),
    )


def _shot(line: Mapping[str, Any], seed: int) -> Shot:
    """The shot of a manifest line as it began, with the seed of that attempt."""
    from ....stages.shot import FileInput, Prompted, Shot

    check_name(line["id"])
    begins: Any
    if line["input"] is None and line.get("prompt") is None:
        raise ReplayError(
            f"the record of {line['id']!r} names neither a photo nor a prompt: expected one; name "
            "other shots"
        )
    if line["input"] is None:
        begins = Prompted(line["prompt"], line.get("negative_prompt") or "", seed)
    else:
        begins = FileInput(line["input"], seed, line.get("content"))
    return Shot(
        id=line["id"],
        source=begins,
        classes=tuple(line["classes"]),
        edit=line.get("edit") or "",
        settings=line.get("settings") or {},
    )


def _from_pictures(ids: Collection[str], files: Sequence[Path | None]) -> dict[str, Shot]:
    """The shots of these ids that the records of picture files tell of."""
    out: dict[str, Shot] = {}
    for path in files if ids else ():
        try:
            batch = provenance.read(path)["batch"] if path else ()
        except ValueError:
            continue
        begun = (_begun(one, path, ()) for one in batch if path and one["id"] in ids)
        out |= {shot.id: shot for shot in begun if shot}
    return out


def _begun(values: Mapping[str, Any], beside: Path, photos: Sequence[Path]) -> Shot | None:
    """The shot of a picture's record; None where its photo is not found."""
    photo, input_, content = values.get("photo"), None, None
    if photo:
        found = _find(photo, [beside.parent, *photos])
        if found is None:
            return None
        input_, content = str(found), {"sha256": photo["sha256"]}
    return _shot({**values, "input": input_, "content": content}, values["seed"])


def _find(photo: Mapping[str, Any], places: Sequence[Path]) -> Path | None:
    """The photo of that content: by its name first, then any picture of a folder."""
    for place in places:
        files = [place] if place.is_file() else [place / Path(photo["name"]).name]
        files += sorted(place.iterdir()) if place.is_dir() and place != places[0] else []
        for file in files:
            try:
                if resume.content(file)["sha256"] == photo["sha256"]:
                    return file
            except OSError:
                continue
    return None


def changed(plan: ReplayPlan, changes: Mapping[str, Any], seed: int | None) -> ReplayPlan:
    """The plan with other settings, by dotted name, also over the shots' own; and other seeds:
    `seed` for its first shot, the next count up."""
    numbers = {id_: k for k, id_ in enumerate(plan.wanted)}

    def other(shot: Shot, wanted: bool) -> Shot:
        own = {k: v for k, v in shot.settings.items() if k not in changes}
        source = shot.source
        if seed is not None and wanted:
            source = replace(source, seed=(seed + numbers[shot.id]) % 2**32)
        return replace(shot, settings=own, source=source)

    from ....configs.schema import merge, nest

    batches = tuple(
        ReplayBatch(b.wanted, tuple(other(shot, shot.id in b.wanted) for shot in b.shots))
        for b in plan.batches
    )
    return replace(plan, settings=merge(plan.settings, nest(changes)), batches=batches)
