"""What a run was asked for, as its run.yaml keeps it; and the folder that it goes to."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cli import output as show
from ..cli import ray_options
from . import check_prompt_rows, dry_run

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..images.write import Format
    from ..runs.folder import RunFolder
    from ..runs.object_store import ObjectStore

_NOT_KEPT = (
    "out",
    "changes",
    "dry_run",
    "as_json",
    "fork",
    "retry_failed",
    "prompts",
    "classes",
    "rows",
    *ray_options.OPTIONS,
)
"""Options that say nothing of the run, or that stand elsewhere in run.yaml."""


@dataclass(frozen=True)
class Job:
    """One `run`, `generate`, `filter` or `enhance`, its words and settings put together.

    `given`: the dotted names of settings that the user set; None where the settings are final.
    """

    command: str
    inputs: tuple[str, ...]
    needs: tuple[str, ...]
    classes: tuple[str, ...]
    settings: Settings
    options: dict[str, Any]
    given: frozenset[str] | None = None

    def record(self) -> dict[str, Any]:
        """The request for run.yaml: `visuals resume` needs no more than this and the settings."""
        options = self.options
        mask = options.get("mask")
        lines = [row.plain() for row in options.get("rows", ())]
        words: dict[str, Any] = {
            "prompts": None if lines else list(options.get("prompts", ())) or None
        }
        words |= {"rows": lines} if lines else {}
        return {
            "command": self.command,
            "needs": list(self.needs),
            "inputs": [absolute(given) for given in self.inputs],
            "preset": options["preset"],
            "classes": list(self.classes),
            "count": options.get("count"),
            "edit": options.get("edit") or "",
            **words,
            "mask": mask and os.path.abspath(mask),
            "options": {k: v for k, v in options.items() if k not in _NOT_KEPT and _is_plain(v)},
        }


def job_of(record: dict[str, Any], folder: Path | ObjectStore, inputs: Sequence[str] = ()) -> Job:
    """The job of a run.yaml, which a later command can carry out; raises RunFolderError.

    `inputs`: where its pictures lie now, in place of where they lay.
    """
    from ...configs.schema import SettingsError, check
    from ..inputs.prompt_rows import Row
    from ..runs.run_yaml import NAME, RunFolderError

    request = record.get("request") or {}
    if request.get("command") == "replay":
        raise RunFolderError(
            f"{folder} is a replay: to go on with it, repeat its command with --out {folder}"
        )
    if "needs" not in request:
        raise RunFolderError(
            f"{folder}/{NAME} does not say how the run goes on: it was begun by the library or an "
            f"earlier version; repeat its command with --out {folder}"
        )
    try:
        settings = check(record["settings"])
    except SettingsError as error:
        raise RunFolderError(f"{folder}/{NAME}: {error}; mend the file") from None
    given = dict(request.get("options") or {}, out=str(folder), mask=request["mask"])
    given |= {"prompts": tuple(request["prompts"] or ()), "count": request["count"]}
    given = check_prompt_rows.with_rows(
        given, [Row(**row) for row in request.get("rows") or ()], settings
    )
    return Job(
        command=request["command"],
        inputs=tuple(inputs or request["inputs"]),
        needs=tuple(request["needs"]),
        classes=tuple(request["classes"]),
        settings=settings,
        options=given,
    )


@contextlib.contextmanager
def opened(job: Job, output: Format) -> Iterator[RunFolder]:
    """The folder to write to, new or gone on with, locked against a second writer.

    With --fork a folder beside --out is taken where that one holds a run with other settings.
    Raises RunFolderError.
    """
    from ..build import recorded_hashes
    from ..build.model_hashes import fingerprints
    from ..runs import folder as run_folder
    from ..runs import run_yaml
    from ..runs.lock import RunLock
    from ..runs.object_store import read

    out = dry_run.out(job.command, job.classes, job.options)
    words = [*job.options.get("prompts", ())]
    words += [row.edit or "" for row in job.options.get("rows", ())]
    parts: dict[str, Any] = {
        "request": job.record(),
        "settings": job.settings.model_dump(mode="json"),
        "checkpoints": fingerprints(job.settings, [*words, job.options.get("edit") or ""]),
    }
    path = dry_run.place(out)
    if job.options.get("fork"):
        beside = (f"{out.rstrip('/')}-{number}" for number in itertools.count(2))
        for place in itertools.chain([out], beside):
            path = dry_run.place(place)
            old = read(path)
            if not old or not run_yaml.differences(old, run_folder.plain(parts)):
                break
        if str(path) != str(dry_run.place(out)):
            show.note(f"{out} holds a run with other settings: this one goes to {path}")
    short = recorded_hashes.of(job.settings, job.options.get("prompts", ()))
    parts |= {"output": output, "hashes": short}
    if not isinstance(path, Path):
        from ..runs import remote_folder

        with remote_folder.opened(path, parts) as folder:
            yield folder
        return
    run_folder.make(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(RunLock(path))
            run_folder.sweep(path)
        except OSError as error:
            raise run_folder.unwritable(path, error) from None
        yield run_folder.RunFolder(path, **parts)


def absolute(given: str) -> str:
    """An input that means the same in another working folder."""
    if given.startswith("@") and not os.path.lexists(given):
        return f"@{os.path.abspath(given[1:])}"
    return str(Path(given).absolute())


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float, bool))
