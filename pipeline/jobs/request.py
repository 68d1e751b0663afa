"""The request for a run: what the command line, the API, the studio and the library ask for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...configs.base import Text
from ...configs.run import MAX_PICTURES
from ...configs.schema import NULL, Settings
from ...configs.text_files import yaml_value
from ...stages.prompts import lora_tags
from ..inputs.lazy_shots import variant_id
from .engine_options import EngineOptions, dashed, sentences

Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Command = Literal["run", "generate", "filter", "enhance"]

NEEDS: dict[str, tuple[str, ...]] = {
    "run": ("detect", "segment", "rerender"),
    "generate": (),
    "filter": ("detect", "segment"),
    "enhance": ("detect", "segment", "rerender"),
}
"""The stages of each command; without input files `generate` comes before them."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "seed": ("run.seed",),
    "retries": ("run.retries",),
    "batch_size": (
        "run.batch_size",
        "generate.batch_size",
        "detect.batch_size",
        "segment.batch_size",
        "rerender.batch_size",
    ),
    "device": ("run.device",),
    "low_memory": ("run.low_memory",),
    "license": ("run.license",),
    "allow_pickle": ("run.allow_pickle",),
    "format": ("run.format",),
    "quality": ("run.quality",),
    "negative_prompt": ("generate.negative_prompt", "rerender.negative_prompt"),
    "steps": ("generate.steps", "rerender.steps"),
    "cfg_scale": ("generate.cfg_scale", "rerender.cfg_scale"),
    "sampler": ("generate.sampler",),
    "rerender_steps": ("rerender.steps",),
    "rerender_cfg_scale": ("rerender.cfg_scale",),
    "width": ("generate.width",),
    "height": ("generate.height",),
    "init_image": ("generate.init_image",),
    "prompt_strength": ("generate.prompt_strength",),
    "references": ("generate.ip_adapter.references",),
    "strength": ("rerender.strength",),
    "controls": ("rerender.controls",),
    "confidence": ("detect.box_threshold",),
    "mask_min_ratio": ("mask.mask_min_ratio",),
    "mask_max_ratio": ("mask.mask_max_ratio",),
    "mask_k": ("mask.mask_k",),
    "sort": ("mask.sort",),
    "dilate": ("mask.dilate_erode",),
}
"""Fields of a request by the settings that they set."""

_OPTIONS = {
    "edits": "--edit",
    "classes": "--class",
    "controls": "--control",
    "references": "--reference",
    "lora_dirs": "--lora-dir",
    "embedding_dirs": "--embedding-dir",
}
"""Options whose names differ from their fields."""


def edit_fields(edits: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a request for so many edits: only several make variants."""
    return {"edits": tuple(edits)} if len(edits) > 1 else {"edit": "".join(edits)}


def option_of(name: str) -> str:
    """Return the option of the command line that sets a field of a request."""
    return _OPTIONS.get(name, f"--{dashed(name)}")


class RunRequest(BaseModel):
    """A request to generate, filter or enhance product pictures.

    It is frozen, refuses unknown fields, and prints its equal command:

    >>> print(RunRequest(classes=["mug"], edit="red clay", count=2))
    visuals run --class mug --count 2 --edit 'red clay'

    None leaves what the preset sets.

    Args:
        command: `run` (all stages), `generate` (stage 1), `filter` (stage 2) or `enhance`
            (stages 2 and 3).
        inputs: photos: files, folders, glob patterns, `@list.txt`, or one run folder. Empty:
            stage 1 draws pictures.
        limit: read only the first so many photos.
        classes: product classes, each NAME or NAME=PHRASE|PHRASE.
        count: pictures of each class; None: 4, or 1 a row of a prompt table.
        prompt: prompt of stages 1 and 3; `{class}` becomes the class.
        prompt_file: text file of prompts, one a line, or a .csv, .tsv or .jsonl table.
        negative_prompt: what to avoid, in stages 1 and 3.
        edit: what the product should become in stage 3, as in "red leather".
        edits: several edits in place of `edit`, each for a variant of every picture.
        mask: mask file, or folder of masks by name (white is re-rendered), in place of stage 2.
        annotate: annotation formats to write at the end: coco, yolo, voc, masks, metadata.
        copy_skipped: copy skipped originals to skipped/REASON/.
        sort_by_class: copy kept pictures to sorted/CLASS/ too.
        cutout: write the products alone, on transparency, to cutouts/.
        background: colour or picture behind them in place of transparency; implies `cutout`.
        preset: name of a preset, or path of a .yaml file of settings.
        overrides: settings by dotted name, {"rerender.padding": 16}; they win over the preset.
        out: run folder, a path or an s3:// or gs:// URL; None: a new one in runs/.
        fork: where `out` holds a run with other settings, write to a new folder beside it.
        retry_failed: try shots again that failed before.
        seed: seed of the run, 0 to 2³²-1; -1: random.
        retries: seeds to try again with where stage 2 refuses a generated picture.
        batch_size: pictures that a stage takes at once.
        device: auto, cpu, cuda, cuda:1, mps.
        low_memory: keep only the models at work in memory; slower.
        license: commercial: refuse models whose licence forbids that, or is not known.
        allow_pickle: read weights from .ckpt, .pt and .pth files.
        format: png, jpeg or webp; png keeps every pixel.
        quality: of jpeg and webp, 1 to 100.
        steps: sampling steps of stages 1 and 3.
        cfg_scale: classifier-free guidance of stages 1 and 3.
        rerender_steps: sampling steps of stage 3, where they differ.
        rerender_cfg_scale: classifier-free guidance of stage 3, where it differs.
        sampler: sampler of stage 1, by A1111's name.
        width: of generated pictures in pixels, a multiple of 8 or 16, as the model draws.
        height: as `width`.
        init_image: picture that stage 1 starts from.
        prompt_strength: share of `init_image` that is drawn over, 0 to 1.
        references: pictures for IP-Adapter.
        lora_dirs: folders in which `<lora:name:1>` is looked up, before the preset's.
        embedding_dirs: folders of textual inversions, before the preset's.
        strength: denoising strength of stage 3, 0 to 1.
        controls: what holds the shape in stage 3: canny, depth, ….
        controlnet_weight: weight of each ControlNet of stage 3, 0 to 2 (`conditioning_scale`).
        confidence: least score of a detection, 0 to 1.
        mask_min_ratio: least share of the picture that a mask covers, 0 to 1.
        mask_max_ratio: largest share of the picture that a mask covers, 0 to 1.
        mask_k: keep only so many of the largest masks; 0: all.
        sort: order of masks: none, left-to-right, center-to-edge, area.
        dilate: pixels by which masks grow; negative: shrink.
        invert: keep the products and re-render the scene.
        engine: where the run is computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: Command = "run"
    inputs: tuple[str, ...] = ()  # names of files, which may not be UTF-8
    limit: int | None = Field(None, ge=1)
    classes: tuple[Name, ...] = ()
    count: int | None = Field(None, ge=1, le=MAX_PICTURES)
    prompt: Text | None = None
    prompt_file: str | None = None
    negative_prompt: Text | None = None
    edit: Text = ""
    edits: tuple[Text, ...] = ()
    mask: str | None = None
    annotate: tuple[Name, ...] = ()
    copy_skipped: bool = False
    sort_by_class: bool = False
    cutout: bool = False
    background: Name | None = None
    preset: Name = "mini"
    overrides: Mapping[str, Any] = Field(default_factory=dict)
    out: str | None = None
    fork: bool = False
    retry_failed: bool = False
    seed: int | None = Field(None, ge=-1, lt=2**32)
    retries: int | None = Field(None, ge=0)
    batch_size: int | None = Field(None, ge=1)
    device: str | None = None
    low_memory: bool | None = None
    license: Literal["any", "commercial"] | None = None
    allow_pickle: bool | None = None
    format: Literal["png", "jpeg", "webp"] | None = None
    quality: int | None = Field(None, ge=1, le=100)
    steps: int | None = Field(None, ge=1, le=1000)
    cfg_scale: float | None = Field(None, ge=0, le=50)
    rerender_steps: int | None = Field(None, ge=1, le=1000)
    rerender_cfg_scale: float | None = Field(None, ge=0, le=50)
    sampler: str | None = None
    width: int | None = Field(None, ge=64, le=4096)
    height: int | None = Field(None, ge=64, le=4096)
    init_image: str | None = None
    prompt_strength: float | None = Field(None, gt=0, le=1)
    references: tuple[Name, ...] = ()
    lora_dirs: tuple[Name, ...] = ()
    embedding_dirs: tuple[Name, ...] = ()
    strength: float | None = Field(None, gt=0, le=1)
    controls: tuple[Name, ...] = ()
    controlnet_weight: float | None = Field(None, ge=0, le=2)
    confidence: Share | None = None
    mask_min_ratio: Share | None = None
    mask_max_ratio: Share | None = None
    mask_k: int | None = Field(None, ge=0)
    sort: Literal["none", "left-to-right", "center-to-edge", "area"] | None = None
    dilate: int | None = None
    invert: bool = False
    engine: EngineOptions = Field(default_factory=EngineOptions)  # type: ignore[arg-type]

    def __init__(self, /, **values: Any) -> None:
        with sentences(type(self)):
            super().__init__(**values)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> RunRequest:
        if not self.inputs and self.command in ("filter", "enhance"):
            raise ValueError(
                "no PHOTOS: expected files, folders, a quoted pattern, @list.txt or --from-file"
            )
        for name in self.inputs:
            if not name:
                raise ValueError("inputs '': expected the name of a photo or folder")
            if re.match(r"(s3|gs|https?)://", name):
                raise ValueError(f"{name}: expected photos on a disk; copy them here first")
        for field in ("out", "prompt_file", "mask", "init_image"):
            if getattr(self, field) == "":
                raise ValueError(f"{option_of(field)} '': expected the name of a file or folder")
        if self.prompt_file is not None and (self.inputs or self.prompt is not None):
            other = "PHOTOS" if self.inputs else "--prompt"
            raise ValueError(f"--prompt-file with {other}: expected one of them")
        if self.edits:
            self._edits_name_variants()
        if self.out and "://" in self.out:
            for name in ("annotate", "copy_skipped", "sort_by_class", "cutout", "background"):
                if getattr(self, name):
                    raise ValueError(
                        f"--{dashed(name)} with --out {self.out}: expected a folder on a disk; "
                        "leave it out here (`visuals annotate` reads a run in a store)"
                    )
        return self

    def _edits_name_variants(self) -> None:
        ids = [variant_id("", edit).lower() for edit in self.edits]
        if self.edit or not all(edit.strip() for edit in self.edits):
            raise ValueError("edits: expected texts, in place of edit")
        if len(set(ids)) < len(ids):
            raise ValueError(f"--edit: {', '.join(self.edits)} would have the same names")
        if self.prompt_file is not None:
            raise ValueError("--prompt-file with several --edit: give each row an edit")

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages that the request goes through."""
        return NEEDS[self.command] if self.inputs else ("generate", *NEEDS[self.command])

    @property
    def all_edits(self) -> tuple[str, ...]:
        """The edits that its pictures get; ("",) where there is none."""
        return self.edits or (self.edit,)

    @property
    def cuts_out(self) -> bool:
        """Whether products are written alone."""
        return self.cutout or self.background is not None

    def words(self) -> list[str]:
        """Return the words of the equal command, without `visuals` itself."""
        words = [self.command, *self.inputs]
        given = {name: getattr(self, name) for name in type(self).model_fields}
        given |= {name: getattr(self.engine, name) for name in EngineOptions.model_fields}
        for name, value in given.items():
            default = (type(self).model_fields | EngineOptions.model_fields)[name].default
            if name in ("command", "inputs", "overrides") or value == default:
                continue
            option = option_of(name)
            if value is True:
                words.append(option)
            elif isinstance(value, tuple):
                words += [word for one in value for word in (option, one)]
            elif value is not False and not isinstance(value, BaseModel):
                words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        for key, value in self.overrides.items():
            words += ["--set", f"{key}={yaml_value(value)}"]
        return words

    def __str__(self) -> str:
        """The equal command, as it is typed into a shell."""
        return shlex.join(["visuals", *self.words()])

    def setting_overrides(self) -> dict[str, Any]:
        """Return the settings that the request sets, by dotted name, but for its prompts."""
        out = {key: NULL if value is None else value for key, value in self.overrides.items()}
        for name, keys in SETTINGS.items():
            value = getattr(self, name)
            if value is not None and value != ():
                out |= dict.fromkeys(keys, list(value) if isinstance(value, tuple) else value)
        if self.invert:
            out["mask.merge_invert"] = "merge_and_invert"
        return out

    def prompt_settings(
        self, usual: Settings, warn: Callable[[str], None]
    ) -> dict[str, str | None]:
        """Return what the prompt sets in both stages; `usual`: the settings without it.

        The prompt of a picture that is to be drawn is no instruction for an edit model, and its
        LoRAs are not for a model of stage 3's own.
        """
        prompt, r, edits = self.prompt, usual.rerender, usual.rerender.method == "edit"
        out = {"generate.prompt": prompt}
        if edits and not self.inputs:
            return out
        is_of_stage_3 = bool(self.inputs)
        if any(self.all_edits) and not re.search("{(class|edit)}", prompt or ""):
            warn("--prompt holds no {class}: stage 3 puts --edit into the preset's prompt")
            prompt = r.prompt or (None if edits else usual.generate.prompt)
            is_of_stage_3 = bool(r.prompt)
        if prompt and r.model and not is_of_stage_3:
            prompt = lora_tags.parse(prompt)[0]
        return {**out, "rerender.prompt": prompt}
