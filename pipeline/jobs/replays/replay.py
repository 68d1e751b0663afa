"""Makes finished shots again by a replay plan, and compares their pixels with the old ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...images.read import read_image
from ...runs import run_yaml
from ...runs.inside_path import inside
from ...runs.locate import new_folder
from ..reporter import Reporter
from . import replay_infotext, replay_plan
from .replay_plan import ReplayError, ReplayPlan, Wanted

if TYPE_CHECKING:
    from ....configs.schema import Settings
    from ....stages.shot import Shot
    from ...runner.run import Stages
    from ...runs.manifest import ManifestRecord


@dataclass(frozen=True)
class Replay:
    """A replay that is done.

    Args:
        folder: the run folder of the new pictures.
        compared: each shot beside what it was.
        changed: whether settings or seed were changed, so that the pixels differ by intent.
    """

    folder: Path
    compared: tuple[Compared, ...]
    changed: bool

    @property
    def equal(self) -> bool:
        """Whether all pictures are equal, pixel by pixel."""
        return all(one.equal for one in self.compared)


def replay(
    target: str,
    shots: Sequence[str] = (),
    *,
    origin: str = "",
    photos: Sequence[Path] = (),
    preset: str = "mini",
    overrides: Mapping[str, Any] | None = None,
    placement: Mapping[str, Any] | None = None,
    seed: int | None = None,
    out: str | None = None,
    reporter: Reporter | None = None,
) -> Replay:
    """Make the shots of a run, or one picture, again, and compare the pixels.

    Args:
        target: a run folder, or a picture that holds its record or A1111's parameters.
        shots: ids of the shots of a run; empty: all that did not fail.
        origin: what the record names as the target, where `target` is a copy.
        photos: where the photos of a picture are.
        preset: whose models draw a picture that has A1111's parameters only.
        overrides: settings by dotted name that change the pictures.
        placement: settings that do not: run.device, run.low_memory, run.allow_pickle.
        seed: another seed for the first shot; the next ones count up.
        out: folder of the new pictures; None: a new one in runs/.
        reporter: receives warnings and progress.

    Raises:
        ReplayError: the target cannot be made again.
    """
    from ....configs.schema import check
    from ...build import model_hashes, model_licences, replicate
    from ...build.stages import check_words
    from ...runs.folder import check_place

    reporter = reporter or Reporter()
    folder = Path(out or new_folder(["replay"]))
    check_place(folder)
    changed = bool(overrides) or seed is not None
    place = Path(target)
    run = place if place.is_dir() else place.absolute().parent.parent
    if folder.resolve() == run.resolve():
        raise ReplayError(f"--out {out} is the run itself: name a new folder")
    if place.is_dir():
        plan = replay_plan.of_run(place, tuple(shots))
    elif shots:
        raise ReplayError(f"{shots[0]!r} after {target}: expected one picture, or RUN SHOT …")
    else:
        plan = _picture_plan(place, photos, preset)
    plan = replay_plan.changed(plan, {**(overrides or {}), **(placement or {})}, seed)
    settings = check(plan.settings)
    sources = [shot.source for batch in plan.batches for shot in batch.shots]
    prompts = [getattr(source, "prompt", "") for source in sources]
    negatives = [getattr(source, "negative_prompt", "") for source in sources]
    edits = [shot.edit or "" for batch in plan.batches for shot in batch.shots]
    if {"generate", "rerender"} & set(plan.needs):
        check_words(settings, prompts, negatives, edits, plan.needs)
    texts = [*prompts, *edits]
    model_licences.check(settings, plan.needs, texts)
    if "generate" in plan.needs and replicate.draws(settings):
        reporter.warn("stage 1 is drawn by the host once more, which may differ")
    checkpoints = model_hashes.fingerprints(settings, texts, negatives)
    for note in [*plan.notes, *(() if changed else differences(plan, checkpoints))]:
        reporter.warn(f"{note}: pixels may differ")
    facts = {
        "checkpoints": checkpoints,
        "licences": model_licences.licences(settings, plan.needs, texts),
        "hashes": model_hashes.short_hashes(settings, texts, negatives),
    }
    compared = _remake(plan, settings, folder, facts, origin or target, reporter)
    return Replay(folder, tuple(compared), changed)


def _picture_plan(path: Path, photos: Sequence[Path], preset: str) -> ReplayPlan:
    """The plan of a picture by its own record, else by A1111's parameters."""
    from ...images import provenance

    try:
        return replay_plan.of_picture(path, photos)
    except provenance.ProvenanceError:
        plan = replay_infotext.of_picture(path, preset)
        if plan is None:
            raise
        return plan


def _remake(
    plan: ReplayPlan,
    settings: Settings,
    place: Path,
    facts: Mapping[str, Any],
    origin: str,
    reporter: Reporter,
) -> list[Compared]:
    """Make the shots that `place` does not hold yet, and compare each. `facts`: of its models, as
    `RunFolder` takes them."""
    from ...build.stages import build_stages
    from ...images.write import Format
    from ...runner.run import Stages
    from ...runs import folder as run_folder
    from ...runs.lock import RunLock
    from ...runs.object_store import holds, is_url

    output = Format(settings.run.format, settings.run.quality)
    needs = ("rerender",) if plan.masks else plan.needs
    request = {
        "command": "replay",
        "needs": list(plan.needs),
        "of": origin if is_url(origin) else str(Path(origin).absolute()),
        "shots": list(plan.wanted),
        "seeds": [s.seed for batch in plan.batches for s in batch.shots if s.id in batch.wanted],
        "masks_given": plan.masks is not None,
    }
    run_folder.make(place)
    with RunLock(place):
        folder = run_folder.RunFolder(
            place,
            request=request,
            settings=settings.model_dump(mode="json"),
            output=output,
            **facts,
        )
        there = holds(place)
        folder.forget({r.id for r in folder.done.values() if not all(map(there, r.file_names))})
        if set(plan.wanted) - set(folder.done):
            stages = Stages()
            if needs:
                with reporter.loading(settings, needs):
                    stages = build_stages(settings, needs, report=reporter.status)
            stages = replace(stages, load=loader(plan, output))
            if plan.masks:
                stages = replace(stages, mask=None)
            for shot in remake(plan, stages, done=folder.done, progress=reporter.progress):
                folder.record(shot)
        return [compare(plan.wanted[id_], folder.done[id_], place) for id_ in plan.wanted]


@dataclass(frozen=True)
class Compared:
    """A shot then and now. `changed`: share of pixels that differ, 0..1; `largest`: by how much, of
    255; both None where there are not two pictures of a size. `reason`: why it failed or was
    skipped now."""

    id: str
    was: str
    now: str
    changed: float | None
    largest: int | None
    reason: str = ""

    @property
    def equal(self) -> bool:
        """The same outcome, and the same pixels where an outcome has a picture."""
        alike = self.changed == 0 or (self.changed is None and self.now not in ("kept", "enhanced"))
        return alike and self.was == self.now

    def __str__(self) -> str:
        if self.was != self.now:
            return f"was {self.was}, is {self.now}{self.reason and f': {self.reason}'}"
        if self.changed is None:
            return f"{self.now}, as then" if self.equal else f"{self.now}: no picture to compare"
        if self.changed == 0:
            return "equal"
        return f"differs in {self.changed:.1%} of the pixels, by at most {self.largest} of 255"


def compare(wanted: Wanted, record: ManifestRecord, folder: Path) -> Compared:
    """Compare a shot made again (`record`, in `folder`) with what it was."""
    name = record.files.picture
    changed, largest = None, None
    if name and wanted.picture and wanted.picture.is_file():
        old, new = read_image(wanted.picture), read_image(inside(folder, name))
        one, two = old.rgb, new.rgb
        if old.deep is not None and new.deep is not None:
            one, two = old.deep, new.deep
        if one.shape != two.shape:
            changed, largest = 1.0, 255
        else:
            apart = np.abs(one.astype(np.int32) - two.astype(np.int32))
            changed, largest = float((apart > 0).any(-1).mean()), int(apart.max())
            largest = largest if one.dtype == np.uint8 else -(-largest // 257)
    status = wanted.status or (record.status if name else "a picture")
    why = record.error or record.reason
    return Compared(wanted.id, status, record.status, changed, largest, why.message if why else "")


def differences(plan: ReplayPlan, checkpoints: Mapping[str, str]) -> list[str]:
    """What is not as it was then: models (`checkpoints`: of now) and libraries."""
    out = [
        f"{name} has other {'entries' if name.startswith('wildcard:') else 'weights'} than then"
        for name, was in plan.checkpoints.items()
        if name in checkpoints and checkpoints[name] != was
    ]
    now = run_yaml.versions()
    out += [
        f"{name} is {now[name]}, was {was}"
        for name, was in plan.versions.items()
        if name in now and now[name] != was
    ]
    return out


def loader(plan: ReplayPlan, output: Any) -> Callable[[Sequence[Shot]], list[Shot]] | None:
    """The first stage: reads the photos, which must hold what they held then; None for none."""
    from ...inputs import previous_run
    from ...inputs import shots as inputs

    if not any(hasattr(shot.source, "path") for batch in plan.batches for shot in batch.shots):
        return None
    found = previous_run.finder(plan.masks) if plan.masks else None

    def load(shots: Sequence[Shot]) -> list[Shot]:
        out = []
        for before, shot in zip(shots, inputs.load(shots, found, output), strict=True):
            then = (getattr(before.source, "content", None) or {}).get("sha256")
            now = (getattr(shot.source, "content", None) or {}).get("sha256")
            if shot.open and then and now != then:
                path = getattr(shot.source, "path", "")
                shot = shot.fail(ReplayError(f"{path} is another photo than then"), "load")
            out.append(shot)
        return out

    return load


def remake(
    plan: ReplayPlan, stages: Stages, *, done: Collection[str] = (), **options: Any
) -> Iterator[Shot]:
    """Each wanted shot made again, but those that are `done`; `options` go to `run_shots`."""
    from ...runner.run import run_shots

    for batch in plan.batches:
        asked = set(batch.wanted) - set(done)
        if asked:
            for shot in run_shots(batch.shots, stages, batch_size=len(batch.shots), **options):
                if shot.id in asked:
                    yield shot
