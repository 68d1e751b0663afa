"""The options of `run`, `filter` and `enhance` that say which files come in and go out."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..cli import output as show

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..images.write import Format
    from ..inputs.resume import LazyShots
    from ..inputs.user_masks import UserMasks
    from ..runs.object_store import ObjectStore


def named(command: str, inputs: Sequence[str], options: dict[str, Any]) -> tuple[str, ...]:
    """The inputs with those of --from-file; `filter` and `enhance` need some."""
    inputs = (*inputs, *(f"@{path}" for path in options.get("from_file") or ()))
    if not inputs and command in ("filter", "enhance"):
        raise click.UsageError(
            "no PHOTOS: expected files, folders, a quoted pattern, @list.txt or --from-file"
        )
    for given in inputs:
        if re.match(r"(s3|gs|https?)://", given):
            raise click.UsageError(f"{given}: expected photos on a disk; copy them here first")
    return inputs


def output(settings: Settings, options: dict[str, Any]) -> Format:
    """What the pictures are written as; says once what re-encoding means."""
    from ..images.write import Format

    chosen = Format(settings.run.format, settings.run.quality)
    if not chosen.exact:
        show.note(
            f"{chosen.name} encodes every pixel anew: that no pixel outside the mask changes "
            "holds for png only"
        )
    elif options.get("quality") is not None:
        show.warn("--quality is for --format jpeg and webp; png keeps every pixel")
    return chosen


def own_masks(options: dict[str, Any], classes: Sequence[str]) -> UserMasks | None:
    """The masks of --mask; they need the words for what is drawn: --class or --prompt."""
    from ..inputs.user_masks import UserMasks

    if not options.get("mask"):
        return None
    if len(classes) > 1:
        raise click.UsageError(
            f"--mask with {len(classes)} classes: expected one --class, whose masks they are"
        )
    if not classes and not options.get("prompt"):
        raise click.UsageError("--mask without words: expected --class or --prompt as well")
    if not classes and "{class}" in options["prompt"]:
        raise click.UsageError("--prompt holds {class}: expected --class beside it")
    return UserMasks(options["mask"], classes[0] if classes else "")


def out(command: str, classes: Sequence[str], options: dict[str, Any]) -> str:
    """--out, else a new folder named by time and class; raises RunFolderError for a URL that
    names no folder in a store, UsageError for what a store cannot hold."""
    from ..runs.object_store import is_url

    if is_url(options["out"] or ""):
        for name in ("annotate", "copy_skipped", "sort_by_class"):
            if options.get(name):
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(
                    f"{option} with --out {options['out']}: expected a folder on a disk; "
                    "leave it out here (`visuals annotate` reads a run in a store)"
                )
        return str(place(options["out"]))
    name = "-".join([time.strftime("%Y%m%d-%H%M%S"), *(classes[:2] or [command])])
    folder, number = options["out"] or f"runs/{name.replace(' ', '-')}", 2
    while not options["out"] and Path(folder).exists():
        folder, number = f"runs/{name}-{number}".replace(" ", "-"), number + 1
    return str(folder)


def place(out: str) -> Path | ObjectStore:
    """The folder that --out names; raises RunFolderError for a URL of no folder in a store, and
    ImportError where its library is not installed."""
    from ..runs.object_store import ObjectStore, is_url

    return ObjectStore(out).ready() if is_url(out) else Path(out)


@contextlib.contextmanager
def on_disk(run: str) -> Iterator[str]:
    """A run folder, copied here for the time being where it is in a store."""
    from ..runs.object_store import is_url

    if not is_url(run):
        yield run
        return
    from ..runs.remote_folder import fetched

    show.note(f"copying {run} here")
    with fetched(run) as folder:
        yield str(folder)


def say_outside(outside: Sequence[Path]) -> None:
    """Links that were not followed, in one line."""
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        show.warn(f"links out of the folder are not followed: {outside[0]}{more}")


def file_away(folder: Path, line: dict[str, Any], options: dict[str, Any]) -> None:
    """--copy-skipped and --sort-by-class for one finished shot; never ends a run."""
    from ..runs import sorted_copies

    try:
        if options.get("copy_skipped"):
            sorted_copies.copy_skipped(folder, line)
        if options.get("sort_by_class"):
            sorted_copies.sort_by_class(folder, line)
    except OSError as error:
        show.warn(f"{line['id']}: not copied ({error.strerror})")


def plan(
    shots: LazyShots,
    needs: Collection[str],
    out: str,
    masks: UserMasks | None,
    output: Format,
    *,
    as_json: bool,
    retry_failed: bool = False,
) -> None:
    """--dry-run: what would be done with each shot, from the headers of its file."""
    from ..images.read import printable
    from ..inputs.resume import remaining
    from ..runs import folder as run_folder

    where = place(out)
    lines: Any = (
        run_folder.read_lines(where) if isinstance(where, Path) else where.lines(run_folder.NAME)
    )
    left = remaining(shots, lines, retry_failed=retry_failed)
    todo = {(name.id, name.path) for name in left.shots.names}
    stages = [*(["mask"] if masks else []), *needs]
    records = [
        _planned(shots.make(name), (name.id, name.path) not in todo, stages, masks, output)
        for name in shots.names
    ]
    if as_json:
        click.echo(run_folder.to_json({"folder": out, "stages": stages, "shots": records}))
        return
    for record in records:
        size = "×".join(map(str, record["size_wh"])) if record["size_wh"] else "-"
        said = record["problem"] or (", ".join(record["stages"]) or "nothing: done before")
        click.echo(f"{printable(record['id'])}\t{size}\t{printable(said)}")
    bad = sum(bool(record["problem"]) for record in records)
    work = sum(bool(record["stages"]) for record in records)
    click.echo(f"{work} to do, {bad} that would fail or be skipped; into {out}", err=True)


def _planned(
    shot: Shot, done: bool, stages: list[str], masks: UserMasks | None, output: Format
) -> dict[str, Any]:
    from ..images import read as image_reader
    from ..inputs.user_masks import MaskError

    path = getattr(shot.source, "path", None)
    size, problem = None, ""
    if path is not None:
        try:
            size = image_reader.header(path).size_wh
            problem = output.refusal(size, None)
            if masks is not None and masks.file(shot) is None:
                problem = f"no mask of this name in {masks.path}"
            elif masks is not None:
                masks.check_size(shot)
        except (image_reader.PictureError, MaskError) as error:
            problem = str(error)
    return {
        "id": shot.id,
        "input": path,
        "prompt": getattr(shot.source, "prompt", None),
        "size_wh": size and list(size),
        "classes": list(shot.classes),
        "stages": [] if done or problem else stages,
        "problem": problem,
    }


def is_plain(inputs: Sequence[str]) -> bool:
    """Whether every input is one file by name, so that a bad one is the user's to mend."""
    return all(os.path.lexists(given) and not os.path.isdir(given) for given in inputs)
