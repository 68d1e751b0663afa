"""What the JSON API takes and gives, as its description says. Knows orders; no server."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..queue.commands import Command

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Share = Annotated[float, Field(ge=0, le=1)]


class RunRequest(BaseModel):
    """Pictures to make: `visuals run`."""

    model_config = ConfigDict(extra="forbid")

    classes: Annotated[list[Name], Field(min_length=1, max_length=20)]
    count: Annotated[int, Field(ge=1, le=1000)] = 4
    prompt: Text | None = None
    negative_prompt: Text | None = None
    edit: Text = ""
    strength: Annotated[float, Field(gt=0, le=1)] | None = None
    confidence: Share | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    cfg_scale: Annotated[float, Field(ge=0, le=50)] | None = None
    sampler: Name | None = None
    width: Annotated[int, Field(ge=64, le=4096, multiple_of=8)] | None = None
    height: Annotated[int, Field(ge=64, le=4096, multiple_of=8)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    preset: Name = "mini"

    def order(self) -> Command:
        changes = {
            "generate.steps": self.steps,
            "rerender.steps": self.steps,
            "generate.cfg_scale": self.cfg_scale,
            "generate.sampler": self.sampler,
            "generate.width": self.width,
            "generate.height": self.height,
        }
        return Command(
            "run",
            classes=tuple(self.classes),
            count=self.count,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            edit=self.edit,
            strength=self.strength,
            confidence=self.confidence,
            seed=self.seed,
            preset=self.preset,
            changes={k: v for k, v in changes.items() if v is not None},
        )


class JobState(BaseModel):
    """A job or a run, and its pictures so far. `refused`: files that were left out, and why."""

    id: str
    status: str
    command: str | None = None
    message: str = ""
    stages: dict[str, tuple[int, int]] = {}
    seconds_left: float | None = None
    counts: dict[str, int] = {}
    shots: list[dict[str, Any]] = []
    refused: list[str] = []
