"""The jobs of the studio on disk, by which a restarted server knows them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from ....checkpoints import atomic_files
from ....configs.text_files import parse_json
from .queued_job import QueuedJob

NAME = ".jobs.json"
_JOBS = TypeAdapter(list[QueuedJob])


def write(root: Path, jobs: Iterable[QueuedJob]) -> None:
    """Keep the jobs below `root`; on a full disk they are lost with the server."""
    text = json.dumps(_JOBS.dump_python(list(jobs), mode="json"))
    with contextlib.suppress(OSError):
        atomic_files.write(root / ".studio" / NAME, text.encode())


def read(root: Path) -> list[QueuedJob]:
    """Return the jobs of the last server; those that it had not finished are stopped."""
    try:
        jobs = _JOBS.validate_python(parse_json((root / ".studio" / NAME).read_bytes()))
    except (OSError, ValueError):
        return []
    for job in jobs:
        job.last_progress = None  # by the clock of another process
        if job.open:
            job.drop_previews()
            job.stop()
            job.started = None
    return jobs
