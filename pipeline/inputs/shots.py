"""Shots of a run from prompts, photos or a previous run folder, and stage 0, which reads files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...stages.shot import shot_seed
from ..images.read import Picture, PictureError, printable, read_image
from ..images.write import EncodeError, Format
from ..runs.inside_path import inside
from ..runs.manifest import NAME, read_records
from . import find_files, resume
from .find_files import InputError as InputError
from .lazy_shots import LazyNames, LazyShots, ShotName, check_number, id_part, picture_seed

if TYPE_CHECKING:
    from ...stages.shot import Detection, Shot


def prompted(
    classes: Sequence[str],
    count: int,
    *,
    prompt: str,
    prompts: Sequence[str] = (),
    negative_prompt: str = "",
    edit: str = "",
    run_seed: int = 0,
    first_seed: int | None = None,
) -> LazyShots:
    """Return `count` shots of each class, or of the prompt if there is no class.

    `{class}` in the prompt becomes the class. `prompts`, if there are any, are used in turn instead
    of `prompt`. Seeds are those of `picture_seed`; each class begins with the first.
    """
    from ...stages.shot import Prompted, Shot

    def make(name: ShotName) -> Shot:
        class_, number = name.rest
        text = prompts[(number - 1) % len(prompts)] if prompts else prompt
        text = text.replace("{class}", class_)
        seed = picture_seed(name.id, number - 1, run_seed, first_seed)
        source = Prompted(text, negative_prompt, seed)
        return Shot(name.id, source, classes=(class_,) if class_ else (), edit=edit)

    each = [(class_, id_part(class_) or "picture") for class_ in classes or [""]]

    def name_of(place: int) -> ShotName:
        class_, stem = each[place // count]
        number = place % count + 1
        return ShotName(f"{stem}-{number:04d}", None, (class_, number))

    check_number(count * len(each))
    names = LazyNames(name_of, range(count * len(each)))
    turn = len(prompts) or 1
    samples = [
        name_of(first + number)
        for first in range(0, len(names), count)
        for number in range(min(turn, count))
    ]
    return LazyShots(names, make, lambda name: (name.rest[0], (name.rest[1] - 1) % turn), samples)


def photos(
    inputs: Sequence[str],
    classes: Sequence[str],
    *,
    edit: str = "",
    run_seed: int = 0,
    left_out: find_files.LeftOut | None = None,
) -> LazyShots:
    """Return a shot for each picture that `inputs` name: files, folders, patterns, `@list.txt`.

    What is left out of the folders is added to `left_out`.
    """
    from ...stages.shot import FileInput, Shot

    found = find_files.expand(inputs, left_out=left_out)

    def make(name: ShotName) -> Shot:
        source = FileInput(str(name.path), shot_seed(run_seed, name.id))
        return Shot(id=name.id, source=source, classes=tuple(classes), edit=edit)

    names = [ShotName(id_, str(path)) for path, id_ in found.ids.items()]
    return LazyShots(names, make, lambda name: "all")


def are_files(inputs: Sequence[str]) -> bool:
    """Return whether every input is a single file, so that a broken one is an error of usage."""
    return all(os.path.lexists(name) and not os.path.isdir(name) for name in inputs)


def is_run_folder(inputs: Sequence[str]) -> bool:
    return len(inputs) == 1 and os.path.lexists(Path(inputs[0]) / NAME)


def from_run(
    folder: Path,
    *,
    classes: Sequence[str] = (),
    edit: str = "",
    run_seed: int = 0,
    warn: Callable[[str], None] = lambda text: None,
) -> LazyShots:
    """Return the kept shots of a previous run as file shots (see also previous_run).

    `warn` receives a sentence where lines name no picture.
    """
    from ...stages.shot import FileInput, Shot

    names, lost = [], []
    for record in read_records(folder):
        if record.kept and not record.files.source:
            lost.append(record.id)
        elif record.kept and record.files.source:
            seed = shot_seed(run_seed, record.content["sha256"] if record.content else record.id)
            rest = tuple(classes) or record.classes, edit or record.edit, seed
            names.append(ShotName(record.id, str(inside(folder, record.files.source)), rest))
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        warn(f"left out, as their lines in {NAME} name no picture: {printable(lost[0])}{more}")
    if not names:
        raise InputError(f"{folder} kept no picture: expected some; run it again")

    def make(name: ShotName) -> Shot:
        shot_classes, shot_edit, seed = name.rest
        source = FileInput(str(name.path), seed)
        return Shot(id=name.id, source=source, classes=shot_classes, edit=shot_edit)

    return LazyShots(names, make)


def load(
    shots: Sequence[Shot],
    found: Callable[[str], tuple[Detection, ...]] | None = None,
    output: Format | None = None,
    run_seed: int | None = None,
) -> list[Shot]:
    """Stage 0: read the pixels of file shots. A file that cannot be read fails its shot only.

    Args:
        shots: Shots of a run; only open file shots are read.
        found: Looks up the detections of a previous run by shot id.
        output: A picture that this format cannot hold fails before anything is generated.
        run_seed: Derive each seed from the file's content, so that it does not depend on the
            path; None keeps the seeds.
    """
    return [
        _loaded(shot, shot.path, found, output, run_seed) if shot.path and shot.open else shot
        for shot in shots
    ]


def _loaded(
    shot: Shot,
    path: str,
    found: Callable[[str], tuple[Detection, ...]] | None,
    output: Format | None,
    run_seed: int | None,
) -> Shot:
    from ...stages.shot import FileInput

    with contextlib.suppress(OSError):  # then reading the picture says why
        content = resume.content(path)
        seed = shot.seed if run_seed is None else shot_seed(run_seed, str(content["sha256"]))
        shot = replace(shot, source=FileInput(path, seed, content))
    try:
        picture = _read(path, output)
        detections = found(shot.id) if found else shot.detections
    except Exception as error:
        return shot.fail(error, "load")
    return replace(
        shot,
        image=picture.rgb,
        alpha=picture.alpha,
        icc_profile=picture.icc_profile,
        exif=picture.exif,
        image16=picture.deep,
        notes=picture.notes,
        detections=detections,
    )


def _read(path: str, output: Format | None) -> Picture:
    """Read a picture that `output` can hold; raises PictureError or EncodeError."""
    picture = read_image(path)
    height, width = picture.rgb.shape[:2]
    refusal = output.refusal((width, height), picture.alpha) if output else ""
    if refusal:
        raise EncodeError(f"{printable(path)}: {refusal}")
    return picture


def first_error(shots: Sequence[Shot], output: Format | None = None) -> str:
    """Return why none of these file shots can be read, or held by `output`; "" if one can.

    Called before any model is loaded, so that a folder of broken files fails in seconds.
    """
    first = ""
    for shot in shots:
        if shot.path is None:
            return ""
        try:
            _read(shot.path, output)
            return ""
        except (PictureError, EncodeError) as error:
            first = first or str(error)
    return first
