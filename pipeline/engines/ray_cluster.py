"""Connects to a Ray cluster and decides how many workers fit on it."""

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
"""Shared memory of a local cluster, in bytes: no pictures go through it."""
_HOW = "start one with `ray start --head` on its first machine, or give --address local"


class EngineError(UsageError):
    """Options that no cluster can satisfy."""


class ClusterError(RunError):
    """A cluster that does not answer or loses its workers."""


@dataclass(frozen=True)
class Pool:
    """Number of workers, and CPUs and GPUs of each; None: depends on the cluster."""

    workers: int | None = None
    cpus: float | None = None
    gpus: float | None = None


def place(address: str | None) -> str:
    """Return a valid address: `local`, `auto`, `host:port` or `ray://host:port`.

    None stands for RAY_ADDRESS of the environment, else `local`.

    Raises:
        EngineError: it is none of these.
    """
    given = address or os.environ.get("RAY_ADDRESS") or "local"
    if given not in ("local", "auto") and not re.fullmatch(r"(ray://)?[^/:\s]+:\d{1,5}", given):
        raise EngineError(
            f"--address {given!r}: expected local, auto, host:6379 (as `ray start` printed it) "
            "or ray://host:10001"
        )
    return given


@contextlib.contextmanager
def connected(address: str, pool: Pool) -> Iterator[None]:
    """Connect to a cluster for the block; an existing connection is kept.

    Raises:
        ClusterError: no cluster answers.
    """
    # Ray reads both when it is imported: no usage statistics are sent, and deaths of workers,
    # which Ray prints to stdout at any log level, are reported by us.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray

    if ray.is_initialized():
        yield
        return
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        # Ray's default of 15 gives its workers only the CPU time that others leave.
        os.environ.setdefault("RAY_worker_niceness", "0")
        cpus = max(os.cpu_count() or 1, math.ceil((pool.workers or 1) * (pool.cpus or 1)))
        how |= {"num_cpus": cpus, "include_dashboard": False}
        how |= {"object_store_memory": OBJECT_STORE}
    else:
        _knock((os.environ.get("RAY_ADDRESS") or _running()) if address == "auto" else address)
    try:
        ray.init(address=address, **how)
    except (Exception, SystemExit) as error:  # SystemExit: the head is gone
        message = one_line(error)
        if address == "local":
            raise ClusterError(
                f"Ray did not start on this machine ({message}); try again"
            ) from None
        if isinstance(error, ConnectionError) and address == "auto":
            raise ClusterError(f"no Ray cluster runs on this machine; {_HOW}") from None
        raise ClusterError(
            f"the Ray cluster at {address} refused this machine ({message}): expected the "
            "same Ray and Python there, and the same token (RAY_AUTH_TOKEN or ~/.ray/auth_token)"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _running() -> str:
    """Return the address of this machine's last cluster, which may be gone."""
    try:
        from ray._private.utils import read_ray_address

        return read_ray_address() or ""
    except (ImportError, OSError):  # private, without a public equivalent
        return ""


def _knock(address: str) -> None:
    """Raise ClusterError where nothing listens; Ray itself would try for minutes."""
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
    """Return `asked` with its Nones filled in from `nodes`, which `ray.nodes()` returned.

    The default is a worker per GPU, or per four CPUs where there are none.

    Raises:
        EngineError: no worker fits and `asked` has no number of workers. With a number, the run
            waits for machines.
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
        raise EngineError(f"--gpus-per-worker {gpus:g}: expected below 1, or a whole number")
    cpus = asked.cpus
    if cpus is None:
        shares = [cpu * min(1.0, gpus / gpu) if gpus else cpu for cpu, gpu in have if gpu >= gpus]
        cpus = float(max(1, min(4, int(min(shares, default=1)))))
    room = sum(int(min(cpu / cpus, gpu / gpus if gpus else math.inf)) for cpu, gpu in have)
    needs = f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    if not room and asked.workers is None:
        most = ", ".join(f"{cpu:g} CPU and {gpu:g} GPU" for cpu, gpu in sorted(set(have)))
        raise EngineError(
            f"a worker needs {needs}: the machines of the cluster have {most or 'nothing'}; "
            "lower --cpus-per-worker or --gpus-per-worker"
        )
    if asked.workers is not None and asked.workers > room:
        warn(f"--workers {asked.workers}: there is room for {room} of {needs}; the others wait")
    return Pool(asked.workers or room, cpus, gpus)
