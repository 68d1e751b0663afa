"""Payloads of the JSON API: a run request from outside, and the state of a job."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ....stages.shot import seed_or_random
from ...jobs.request import RunRequest
from ..visitor_settings import FIELDS, MOST_EDITS

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Edits = Annotated[tuple[Text, ...], Field(max_length=MOST_EDITS, description="A variant for each.")]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[
    int, Field(ge=-1, lt=2**32, description="-1: random"), AfterValidator(seed_or_random)
]


def _only_fields(schema: dict[str, Any]) -> None:
    schema["properties"] = {k: v for k, v in schema["properties"].items() if k in FIELDS}


class ApiRunRequest(RunRequest):
    """Pictures to make: `visuals run`."""

    model_config = ConfigDict(json_schema_extra=_only_fields)

    classes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]
    count: Annotated[int, Field(ge=1, le=1000)] = 4
    prompt: Text | None = None
    negative_prompt: Text | None = None
    edit: Text = ""
    edits: Edits = ()
    background: Name | None = None
    sampler: Name | None = None
    seed: Seed | None = None
    preset: Name = "mini"

    @model_validator(mode="before")
    @classmethod
    def _no_other_fields(cls, values: Any) -> Any:
        for name in values if isinstance(values, dict) else ():
            if name not in FIELDS:
                raise ValueError(f"unknown field {name!r}: expected one of {sorted(FIELDS)}")
        return values


class FilterForm(BaseModel):
    """Photos to look for products in: `visuals filter`."""

    model_config = ConfigDict(extra="forbid")

    photos: Annotated[list[UploadFile], Field(description="Pictures, or zip archives of them.")]
    classes: Annotated[list[Name], Field(min_length=1, max_length=20)]
    confidence: Share | None = None
    preset: Name = "mini"
    cutout: bool = False
    background: Annotated[Name | None, Field(description="A colour; a file is refused.")] = None


class EnhanceForm(FilterForm):
    """Photos whose products are re-rendered: `visuals enhance`."""

    edit: Text = ""
    edits: Edits = ()
    prompt: Annotated[Text | None, AfterValidator(lambda text: text or None)] = None
    negative_prompt: Text | None = None
    strength: Annotated[float, Field(gt=0, le=1)] | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    seed: Seed | None = None


class JobSummary(BaseModel):
    """A job in a line. `done` of `total`: pictures through all stages."""

    id: str
    title: str
    status: str
    stopping: bool = False
    resumable: bool = False
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    activity: str = ""
    message: str = ""


class JobState(BaseModel):
    """A job or a run, and its pictures so far.

    `seed`: of its request, drawn where that was -1. `refused`: files that were left out, and why.
    """

    id: str
    status: str
    command: str | None = None
    seed: int | None = None
    message: str = ""
    stages: dict[str, tuple[int, int]] = {}
    seconds_left: float | None = None
    counts: dict[str, int] = {}
    shots: list[dict[str, Any]] = []
    refused: list[str] = []
