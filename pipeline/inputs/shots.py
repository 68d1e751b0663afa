"""What a run starts from: prompts, photos, or the shots of an earlier run folder.

Makes open shots without pixels, and the first stage that reads the pixels of a file shot.
Knows no models.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...stages.shot import shot_seed
from ..images.read import Picture, PictureError, printable, read_image
from ..images.write import EncodeError, Format
from ..runs.manifest import NAME, read_records
from . import find_files, resume
from .find_files import InputError as InputError
from .lazy_shots import LazyShots, ShotName

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
) -> LazyShots:
    """`count` shots of each class, or of the prompt where there is none.

    `{class}` in the prompt becomes the class. `prompts`, where given, take turns in place of
    `prompt`.
    """
    from ...stages.shot import Prompted, Shot

    def make(name: ShotName) -> Shot:
        class_, number = name.rest
        text = prompts[(number - 1) % len(prompts)] if prompts else prompt
        text = text.replace("{class}", class_)
        source = Prompted(text, negative_prompt, shot_seed(run_seed, name.id))
        return Shot(name.id, source, classes=(class_,) if class_ else (), edit=edit)

    names = [
        ShotName(f"{re.sub('[ /]', '-', class_) or 'picture'}-{number:04d}", None, (class_, number))
        for class_ in classes or [""]
        for number in range(1, count + 1)
    ]
    return LazyShots(names, make)


def photos(
    inputs: Sequence[str],
    classes: Sequence[str],
    *,
    edit: str = "",
    run_seed: int = 0,
    outside: list[Path] | None = None,
) -> LazyShots:
    """A shot for each picture that `inputs` name: files, folders, globs, `@list.txt`.

    Links that lead out of their folder are left out and added to `outside`.
    """
    from ...stages.shot import FileInput, Shot

    found = find_files.expand(inputs)
    if outside is not None:
        outside += found.outside

    def make(name: ShotName) -> Shot:
        source = FileInput(str(name.path), shot_seed(run_seed, name.id))
        return Shot(id=name.id, source=source, classes=tuple(classes), edit=edit)

    return LazyShots([ShotName(id_, str(path)) for path, id_ in found.ids.items()], make)


def are_files(inputs: Sequence[str]) -> bool:
    """Return whether every input names one file, so that a broken one is the user's to mend."""
    return all(os.path.lexists(name) and not os.path.isdir(name) for name in inputs)


def is_run_folder(inputs: Sequence[str]) -> bool:
    return len(inputs) == 1 and os.path.isfile(Path(inputs[0]) / NAME)


def from_run(
    folder: Path, *, classes: Sequence[str] = (), edit: str = "", run_seed: int = 0
) -> LazyShots:
    """The shots of an earlier run that were not skipped and did not fail, as file shots.

    What was found in them comes along (see earlier), so that `enhance` needs no stage 2.
    """
    from ...stages.shot import FileInput, Shot

    names = []
    for record in read_records(folder):
        if record.kept and record.files.source:
            seed = shot_seed(run_seed, (record.content or {}).get("sha256", record.id))
            rest = tuple(classes) or record.classes, edit or record.edit, seed
            names.append(ShotName(record.id, str(folder / record.files.source), rest))
    if not names:
        raise InputError(f"{folder} is a run that kept no picture: expected some; run it again")

    def make(name: ShotName) -> Shot:
        asked, words, seed = name.rest
        source = FileInput(str(name.path), seed)
        return Shot(id=name.id, source=source, classes=asked, edit=words)

    return LazyShots(names, make)


def load(
    shots: Sequence[Shot],
    found: Callable[[str], tuple[Detection, ...]] | None = None,
    output: Format | None = None,
    run_seed: int | None = None,
) -> list[Shot]:
    """Stage 0: read the pixels of file shots; a file that cannot be read fails its shot only.

    `found` gives what an earlier run found in the shot of an id. A picture that `output` cannot
    hold fails here, before anything is drawn. `run_seed`: give each shot a seed of its file's
    content, so that a photo looks the same wherever it lies; None leaves the seeds.
    """
    out = []
    for shot in shots:
        path = getattr(shot.source, "path", None)
        if path is None or not shot.open:
            out.append(shot)
            continue
        shot = _identified(shot, path, run_seed)
        try:
            picture = _read(path, output)
            known = found(shot.id) if found else shot.detections
        except Exception as error:
            out.append(shot.fail(error, "load"))
            continue
        out.append(
            replace(
                shot,
                image=picture.rgb,
                alpha=picture.alpha,
                icc_profile=picture.icc_profile,
                exif=picture.exif,
                image16=picture.deep,
                notes=picture.notes,
                detections=known,
            )
        )
    return out


def _identified(shot: Shot, path: str, run_seed: int | None) -> Shot:
    from ...stages.shot import FileInput

    try:
        content = resume.content(path)
    except OSError:
        return shot  # reading the picture says why
    seed = shot.seed if run_seed is None else shot_seed(run_seed, str(content["sha256"]))
    return replace(shot, source=FileInput(path, seed, content))


def _read(path: str, output: Format | None) -> Picture:
    """A picture that `output` can hold; raises PictureError or EncodeError."""
    picture = read_image(path)
    height, width = picture.rgb.shape[:2]
    refused = output.refusal((width, height), picture.alpha) if output else ""
    if refused:
        raise EncodeError(f"{printable(path)}: {refused}")
    return picture


def first_error(shots: Sequence[Shot], output: Format | None = None) -> str:
    """Why not one of these file shots can be read, or held by `output`; "" as soon as one can.

    Asked before any model is loaded, so that a folder of broken files costs seconds.
    """
    said = ""
    for shot in shots:
        path = getattr(shot.source, "path", None)
        if path is None:
            return ""
        try:
            _read(path, output)
        except (PictureError, EncodeError) as error:
            said = said or str(error)
            continue
        return ""
    return said
