"""The options that choose where a run is computed."""

from __future__ import annotations

from typing import Any

import click

ENGINE_OPTIONS = ("engine", "address", "workers", "gpus_per_worker", "cpus_per_worker")
_DECORATORS = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        help="Where the pictures are worked on: this process (the default), or a Ray cluster.",
    ),
    click.option(
        "--address",
        metavar="WHERE",
        help="Ray: local, auto, HOST:6379, ray://HOST:10001. Default: RAY_ADDRESS, else local.",
    ),
    click.option("--workers", type=click.IntRange(1), help="Ray: processes with models in them."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        metavar="N",
        help="Ray: 0.5 puts two workers on a GPU. Default: 1 where there are GPUs.",
    ),
    click.option(
        "--cpus-per-worker",
        type=click.FloatRange(0, min_open=True),
        metavar="N",
        help="Ray: CPUs of a worker, and its threads. Default: up to 4.",
    ),
)


def engine_options(command: Any) -> Any:
    for option in reversed(_DECORATORS):
        command = option(command)
    return command
