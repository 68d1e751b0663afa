"""Where a run is computed, and the error of a wrong request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...configs.errors import UsageError


class RequestError(UsageError):
    """A request that cannot be carried out; the message says got, expected, what to do."""


def dashed(name: str) -> str:
    """Return a field's name as the option writes it."""
    return name.replace("_", "-")


@contextmanager
def sentences(model: type[BaseModel]) -> Iterator[None]:
    """Raise RequestError, with a sentence a problem, in place of pydantic's error."""
    try:
        yield
    except ValidationError as error:
        problems = (_problem(each, model) for each in error.errors())
        raise RequestError("; ".join(problems)) from None


def _problem(error: Any, model: type[BaseModel]) -> str:
    """One of pydantic's errors as a sentence."""
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown field {name!r}: expected one of {', '.join(model.model_fields)}"
    if error["type"] == "missing":
        return f"{name} is missing"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"{name} {error['input']!r}: {message.replace('input should', 'should')}"


class EngineOptions(BaseModel):
    """Where a run is computed: in this process, or on a Ray cluster.

    Args:
        engine: `local` or `ray`.
        address: Ray's address: local, auto, HOST:6379, ray://HOST:10001; None: RAY_ADDRESS,
            else local.
        workers: processes with models in them; None: as many as fit.
        gpus_per_worker: 0.5 puts two workers on a GPU; None: 1 where there are GPUs.
        cpus_per_worker: CPUs and threads of a worker; None: up to 4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    workers: int | None = Field(None, ge=1)
    gpus_per_worker: float | None = Field(None, ge=0, allow_inf_nan=False)
    cpus_per_worker: float | None = Field(None, gt=0, allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        with sentences(type(self)):
            super().__init__(**values)

    @model_validator(mode="after")
    def _ray_options_need_ray(self) -> EngineOptions:
        if self.engine == "local":
            for name in ("address", "workers", "gpus_per_worker", "cpus_per_worker"):
                if getattr(self, name) is not None:
                    raise ValueError(f"--{dashed(name)} needs Ray: add --engine ray")
        return self
