"""A worker of a run: holds the models, receives shots, writes their files, returns records.

A plain class, of which Ray makes an actor. The run folder is on a disk that all machines share,
or in an object store.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configs.errors import RunError, one_line
from ..runner.run import Stages, fitted, load_one
from ..runner.summary import Summary
from ..runs.lock import HOLDER
from ..runs.manifest import ManifestRecord
from ..runs.object_store import ObjectStore, ObjectStoreError, text
from ..runs.shot_files import ShotFiles

if TYPE_CHECKING:
    from ...stages.shot import Shot

_PASSED_ON = ("VISUALS_", "HF_HUB_OFFLINE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")
"""Prefixes of environment variables that are passed on to workers."""


class WorkerError(RunError):
    """A machine that cannot take part in a run."""


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker needs to know; it is sent to each one once.

    Args:
        settings: the settings as plain values.
        needs: the stages with models.
        folder: the run folder: an absolute path, or a folder of an object store.
        files: writes files of shots to `folder`.
        start: the stages `load` and `mask`, which hold no models.
        holder: contents of the lock file of `folder`, by which a worker recognizes the folder.
        checkpoints: hashes of the models.
        batch_sizes: batch sizes that fitted into memory before.
        device: device of a worker.
    """

    settings: Mapping[str, Any]
    needs: tuple[str, ...]
    folder: Path | ObjectStore
    files: ShotFiles
    start: Stages
    holder: str
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    device: str = "auto"
    working_folder: str = field(default_factory=os.getcwd)
    environment: Mapping[str, str] = field(
        default_factory=lambda: {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)}
    )


@dataclass(frozen=True)
class Ready:
    """A worker with its models loaded: machine, process, and versions of libraries."""

    host: str
    pid: int
    versions: Mapping[str, str]


@dataclass(frozen=True)
class WorkerReport:
    """Results of a share: records and counts."""

    records: list[ManifestRecord]
    summary: Summary


class RayWorker:
    """Holds the models of a run. After `load`, two threads may call `work` at once: one reads or
    writes files while the other one uses the models."""

    def __init__(self, plan: WorkerSpec) -> None:
        self._plan = plan
        self._stages = Stages()
        self._models = threading.Lock()

    def load(self) -> Ready:
        """Load the models.

        Raises:
            WorkerError: the run folder or models are missing here, or weights differ.
        """
        from ..runs import run_yaml

        host = socket.gethostname()
        try:
            self._load()
        except Exception as error:
            message = one_line(error)
            if not isinstance(error, (OSError, ValueError)):
                message = f"{type(error).__name__}: {message}"
            raise WorkerError(f"the worker on {host}: {message}") from None
        return Ready(host, os.getpid(), run_yaml.versions())

    def _load(self) -> None:
        plan = self._plan
        os.environ.update(plan.environment)
        if os.path.isdir(plan.working_folder):
            os.chdir(plan.working_folder)  # relative paths mean what they mean to the driver
        self._check_folder()
        self._stages = Stages(mask=plan.start.mask)
        if not plan.needs:
            return
        from ...configs.schema import check
        from ..build import process
        from ..build.model_hashes import fingerprints
        from ..build.stages import build_stages

        settings = check(dict(plan.settings))
        for name, mine in fingerprints(settings).items():
            theirs = plan.checkpoints.get(name, mine)
            if mine != theirs and mine[:7] == theirs[:7] == "sha256:":
                what = "entries" if name.startswith("wildcard:") else "weights"
                raise WorkerError(
                    f"{name} has other {what} here ({mine[:19]}…) than where the run began "
                    f"({theirs[:19]}…); copy that one to this machine"
                )
        run = settings.run.model_copy(update={"device": plan.device})
        settings_here = settings.model_copy(update={"run": run})
        with process.fast_start(run):
            process.prepare(settings_here, plan.needs)
            built = build_stages(settings_here, plan.needs)
        self._stages = replace(
            fitted(built, plan.batch_sizes), load=None, mask=plan.start.mask or built.mask
        )

    def work(self, shots: Sequence[Shot]) -> WorkerReport:
        """Run shots through the stages and write their files.

        Raises:
            WriteError: the run folder cannot be written to.
        """
        from ..runner.run import run_shots
        from ..runs.folder import writing

        plan, summary = self._plan, Summary()
        run = plan.settings["run"]
        read = self._read(shots, summary)
        with self._models:
            done = list(
                run_shots(
                    read,
                    self._stages,
                    run_seed=run["seed"],
                    retries=run["retries"],
                    batch_size=len(read),
                    summary=summary,
                )
            )
        with writing(plan.folder):
            self._check_folder()
            return WorkerReport(list(map(plan.files.write, done)), summary)

    def _read(self, shots: Sequence[Shot], summary: Summary) -> list[Shot]:
        """Return the shots with the pixels of their files."""
        from ..runner.io_threads import prefetch

        load = self._plan.start.load
        if load is None:
            return list(shots)

        read = list(prefetch(shots, functools.partial(load_one, load), depth=len(shots)))
        summary.per_stage["load"] = sum(shot.seconds.get("load", 0) for shot in read)
        return read

    def _check_folder(self) -> None:
        """Raise WorkerError unless the lock file of the folder is the driver's."""
        folder, why = self._plan.folder, f"it has another {HOLDER}"
        try:
            here = text(folder, HOLDER)
        except ObjectStoreError:
            raise
        except OSError as error:
            here, why = None, error.strerror or str(error)
        else:
            why = why if here is not None else os.strerror(errno.ENOENT)
        if here == self._plan.holder:
            return
        if isinstance(folder, ObjectStore):
            raise WorkerError(f"{folder} was removed or taken over in mid-run, or is another here")
        raise WorkerError(
            f"{folder} is not the run's folder here ({why}): expected a disk that "
            "all machines of the cluster share under one path; set --out to a folder on it"
        )
