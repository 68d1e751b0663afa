"""Draws a grid of pictures with different settings side by side, into one labelled picture."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...configs.errors import writable
from ...configs.outputs import check_parents
from ...configs.text_files import yaml_value
from . import grid as grids
from . import grid_files
from .grid import GridError, GridPlan
from .reporter import Reporter
from .request import RunRequest
from .resolve import request_settings

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

FORMATS: dict[str, Literal["png", "jpeg", "webp"]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
}
"""Formats of the sheet by the ending of its name."""


@dataclass(frozen=True)
class GridRequest:
    """A request for a grid: every value of an axis with every value of the others.

    Args:
        prompts: prompts; empty: the first preset's.
        classes: what `{class}` in the prompts becomes.
        loras: NAME:WEIGHT,WEIGHT each; weight 0 is without.
        seeds: seeds.
        presets: presets.
        checkpoints: models in place of the presets'.
        columns: the axis across the top; None: the last that varies.
        lora_dirs: folders in which LoRAs are looked up, before the preset's.
        overrides: settings by dotted name.
        out: file of the sheet: .png, .jpg or .webp.
        cells: folder for each picture and grid.json; None: none.
    """

    prompts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    loras: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    presets: tuple[str, ...] = ("mini",)
    checkpoints: tuple[str, ...] = ()
    columns: str | None = None
    lora_dirs: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    out: str = "grid.png"
    cells: str | None = None

    def words(self) -> list[str]:
        """Return the words of the equal command, without `visuals` itself."""
        words = ["grid"]
        for option, values in (
            ("--class", self.classes),
            ("--prompt", self.prompts),
            ("--lora", self.loras),
            ("--lora-dir", self.lora_dirs),
            ("--checkpoint", self.checkpoints),
            ("--preset", self.presets),
            ("--seeds", [",".join(map(str, self.seeds))]),
            ("--columns", [self.columns] if self.columns else []),
            ("--set", [f"{name}={yaml_value(value)}" for name, value in self.overrides.items()]),
            ("--cells", [self.cells] if self.cells else []),
            ("--out", [self.out]),
        ):
            words += [word for value in values for word in (option, value)]
        return words

    def __str__(self) -> str:
        """The equal command, as it is typed into a shell."""
        return shlex.join(["visuals", *self.words()])

    def settings(self, preset: str, checkpoint: str | None = None) -> Settings:
        """Return the settings of a preset and checkpoint."""
        model = {"generate.model": checkpoint} if checkpoint else {}
        return request_settings(
            RunRequest(
                command="generate",
                preset=preset,
                overrides={**self.overrides, **model},
                lora_dirs=self.lora_dirs,
            )
        )


@dataclass(frozen=True)
class DrawnGrid:
    """A grid that was drawn: its plan, and how many pictures are missing."""

    plan: GridPlan
    missing: int

    @property
    def failed(self) -> bool:
        """Whether no picture came out."""
        return self.missing == len(self.plan.cells)


def draw_grid(request: GridRequest, reporter: Reporter | None = None) -> DrawnGrid:
    """Draw a grid and write its sheet.

    Raises:
        UsageError: a value of an axis, a setting or the name of the sheet is wrong.
    """
    from ...checkpoints.atomic_files import write
    from ..build.stages import build_stages
    from ..images import provenance
    from ..images.contact_sheet import sheet
    from ..images.write import Format

    reporter = reporter or Reporter()
    out = Path(request.out)
    format_ = FORMATS.get(out.suffix.lower())
    if format_ is None:
        raise GridError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}")
    if os.path.lexists(out) and not provenance.is_sheet(out):
        raise GridError(f"--out {out} is no grid of visuals: expected a new file, or a grid")
    check_parents(out, GridError)
    plan = check_grid(request)

    def build(settings: Settings) -> Any:
        with reporter.loading(settings, ("generate",)):
            return build_stages(settings, ("generate",), report=reporter.status)

    keep = _writer(Path(request.cells), plan) if request.cells else lambda n, s, of: None
    drawn = grids.draw(plan.cells, request.settings, build, reporter.progress, keep)
    picture = sheet(drawn, *grid_files.headings(plan))
    with writable(out):
        write(out, Format(format_).encode(picture, xmp=provenance.packet(provenance.DRAWN)))
    return DrawnGrid(plan, sum(isinstance(cell, str) for cell in drawn))


def plan_grid(request: GridRequest) -> GridPlan:
    """Return which pictures a grid has; raises GridError, SettingsError."""
    if not request.presets:
        raise GridError("no preset: expected one or more; choose mini")
    if not request.seeds:
        raise GridError("no seed: expected numbers, as in 0,1,2,3")
    texts: dict[str, None] = {}
    for text in request.prompts or (request.settings(request.presets[0]).generate.prompt,):
        if "{class}" in text and not request.classes:
            raise GridError(f"no --class for {{class}} in {text!r}: expected one or more")
        names = request.classes if "{class}" in text else ("",)
        texts |= dict.fromkeys(text.replace("{class}", name) for name in names)
    values = {
        "preset": request.presets,
        "checkpoint": request.checkpoints or (None,),
        "prompt": tuple(texts),
        "lora": grids.parse_loras(request.loras),
        "seed": request.seeds,
    }
    return grids.plan(values, request.columns)


def check_grid(request: GridRequest) -> GridPlan:
    """Return the plan of a grid, whose prompts, LoRAs and settings were checked."""
    from ..build import model_licences
    from ..build.stages import check_words

    plan = plan_grid(request)
    texts = [weights.put(text) for weights in plan.values["lora"] for text in plan.values["prompt"]]
    for preset in request.presets:
        for checkpoint in request.checkpoints or (None,):
            settings = request.settings(preset, checkpoint)
            check_words(settings, texts, needs=("generate",))
            model_licences.check(settings, ("generate",), texts)
    return plan


def _writer(folder: Path, plan: GridPlan) -> Callable[[int, Shot, Settings], None]:
    """Return what writes each cell with the record of how it was made."""
    from ..build import model_hashes, model_licences
    from ..images import provenance
    from ..images.infotext import format_infotext
    from ..runs import run_yaml

    writer = grid_files.GridWriter(folder, plan)
    prompts = [w.put(text) for w in plan.values["lora"] for text in plan.values["prompt"]]
    records: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}

    def keep(number: int, shot: Shot, settings: Settings) -> None:
        if id(settings) not in records:
            record = {
                "request": {"command": "grid", "needs": ["generate"]},
                "settings": settings.model_dump(mode="json"),
                "checkpoints": model_hashes.fingerprints(settings, prompts),
                "licences": model_licences.licences(settings, ("generate",), prompts),
                "versions": run_yaml.versions(),
            }
            records.clear()
            records[id(settings)] = record, model_hashes.short_hashes(settings, prompts)
        record, hashes = records[id(settings)]
        metadata = {
            "text": format_infotext(shot, record["settings"], hashes),
            "lineage": provenance.record(shot, record),
            "xmp": provenance.xmp(shot),
        }
        writer.put(number, grids.picture(shot), **metadata)

    return keep
