"""The cluster: where it is, what fits on it, and what is said where it does not answer.

Knows Ray; no shots, no models, no terminal.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...configs.errors import RunError, UsageError, one_line

OBJECT_STORE = 100 * 2**20
"""Bytes of shared memory that a local cluster takes: no picture travels through it."""
_HOW = "start one with `ray start --head` on its first machine, or give --address local"


class EngineError(UsageError):
    """Options that no cluster can satisfy; the message says got, expected, remedy."""


class ClusterError(RunError):
    """A cluster that does not answer or loses its workers; the message says what to do."""


@dataclass(frozen=True)
class Pool:
    """How many workers, and what each one takes; None is chosen by what the cluster has."""

    workers: int | None = None
    cpus: float | None = None
    gpus: float | None = None


def place(address: str | None) -> str:
    """The address of a cluster: `local`, `auto`, `host:port` or `ray://host:port`; None is that
    of the environment (RAY_ADDRESS), else `local`. Raises EngineError."""
    given = address or os.environ.get("RAY_ADDRESS") or "local"
    if given not in ("local", "auto") and not re.fullmatch(r"(ray://)?[^/:\s]+:\d{1,5}", given):
        raise EngineError(
            f"--address {given!r}: expected local, auto, host:6379 (as `ray start` printed it) "
            "or ray://host:10001"
        )
    return given


@contextlib.contextmanager
def connected(address: str, pool: Pool) -> Iterator[None]:
    """Ray, connected within; a cluster that a caller is connected to already is used as it is.

    Raises ClusterError where no cluster answers, ImportError where Ray is not installed.
    """
    # Nothing of a run goes to a third party unasked; and Ray's words on a death, which it prints
    # to stdout whatever its log level is, are ours to say. Both are read when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray

    if ray.is_initialized():
        yield
        return
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        # Ray's default of 15 leaves its workers what other programs leave over.
        os.environ.setdefault("RAY_worker_niceness", "0")
        cpus = max(os.cpu_count() or 1, math.ceil((pool.workers or 1) * (pool.cpus or 1)))
        how |= {"num_cpus": cpus, "include_dashboard": False}
        how |= {"object_store_memory": OBJECT_STORE}
    else:
        _knock((os.environ.get("RAY_ADDRESS") or _running()) if address == "auto" else address)
    try:
        ray.init(address=address, **how)
    except (Exception, SystemExit) as error:  # a head that is gone ends by SystemExit
        said = one_line(error)
        if address == "local":
            raise ClusterError(f"Ray did not start here ({said}); try once more") from None
        if isinstance(error, ConnectionError) and address == "auto":
            raise ClusterError(f"no Ray cluster runs on this machine; {_HOW}") from None
        raise ClusterError(
            f"the Ray cluster at {address} did not take this machine in ({said}): expected the "
            "same Ray and Python there, and the same token (RAY_AUTH_TOKEN or ~/.ray/auth_token)"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _running() -> str:
    """The cluster that this machine was in last, as Ray noted it; one that was killed left the
    note behind."""
    try:
        from ray._private.utils import read_ray_address

        return read_ray_address() or ""
    except (ImportError, OSError):  # no public name says it
        return ""


def _knock(address: str) -> None:
    """Ray itself asks an address that nobody listens at for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ClusterError(f"no Ray cluster answers at {address} ({why}); {_HOW}") from None


def fit(
    nodes: Sequence[Mapping[str, Any]],
    asked: Pool,
    device: str = "auto",
    warn: Callable[[str], None] = lambda text: None,
) -> Pool:
    """What was asked for with what was left open filled in by what `nodes` (`ray.nodes()`) have.

    With GPUs there: a worker a GPU; else one for each four CPUs. Raises EngineError where not
    one worker fits, unless `asked` says how many: then machines may yet come.
    """
    there = [node["Resources"] for node in nodes if node["Alive"]]
    have = [(float(r.get("CPU", 0)), float(r.get("GPU", 0))) for r in there]
    if device.startswith("cuda:"):
        raise EngineError(f"--device {device}: Ray gives each worker its GPU; expected cuda")
    gpus = asked.gpus
    if gpus is None:
        wanted = device == "auto" and any(gpu >= 1 for _, gpu in have)
        gpus = float(wanted or device.startswith("cuda"))
    if device == "cpu" and gpus:
        raise EngineError(f"--gpus-per-worker {gpus:g} with --device cpu: expected one of them")
    if device.startswith("cuda") and not gpus:
        raise EngineError("--device cuda with --gpus-per-worker 0: expected more than 0")
    if gpus > 1 and gpus != int(gpus):
        raise EngineError(f"--gpus-per-worker {gpus:g}: expected a part of 1, or whole ones")
    cpus = asked.cpus
    if cpus is None:
        shares = [cpu * min(1.0, gpus / gpu) if gpus else cpu for cpu, gpu in have if gpu >= gpus]
        cpus = float(max(1, min(4, int(min(shares, default=1)))))
    room = sum(int(min(cpu / cpus, gpu / gpus if gpus else math.inf)) for cpu, gpu in have)
    needs = f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    if not room and asked.workers is None:
        most = ", ".join(f"{cpu:g} CPU and {gpu:g} GPU" for cpu, gpu in sorted(set(have)))
        raise EngineError(
            f"a worker takes {needs}: the cluster's machines have {most or 'nothing'}; "
            "set --cpus-per-worker and --gpus-per-worker to less"
        )
    if asked.workers is not None and asked.workers > room:
        warn(f"--workers {asked.workers}: there is room for {room} of {needs}; the others wait")
    return Pool(asked.workers or room, cpus, gpus)
