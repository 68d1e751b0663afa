"""The recipe's workbench: where pictures, states and finished parts lie, and by what plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .budgets import Plan


@dataclass(frozen=True)
class Bench:
    """Where the work is done and by what plan."""

    workdir: Path
    out: Path
    plan: Plan
    workers: int
    start: Path | None = None
    device: str = "cpu"

    def begin(self, model: Any, part: str) -> Any:
        """`model`, or with `--start` the finished one of that folder, to be trained on."""
        if self.start is not None:
            model = type(model).from_pretrained(self.start / part)
        return model.float().to(self.device)

    @property
    def state(self) -> Path:
        return self.workdir / "state"

    @property
    def parts(self) -> Path:
        return self.workdir / "out"

    def renders(self, split: str) -> Any:
        from ..pictures.rendered_pictures import open_renders

        return open_renders(self.workdir / "renders", split)

    def things(self) -> Any:
        """Renders of what is no product, for domain randomisation: see `randomise`."""
        return self.renders("crowd")
