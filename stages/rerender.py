"""Stage 3: re-renders masked products by ControlNet inpainting or with an edit model; the scene
stays bit for bit.

Each product is drawn in its own padded window at the model's size, by control maps of that window
or by an instruction; windows of all shots share batches. Pixels outside the feathered mask are the
source's.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checkpoints.identify.model_kind import STAGE_3_METHODS
from ..checkpoints.textual_inversion import NO_EMBEDDINGS, EmbeddingLibrary
from ..configs.rerender import RerenderOptions
from . import adaptive_batching
from .accel import cpu_parallel
from .diffusion import lora_adapters
from .diffusion.decode import FLAGGED, Decoded, NotANumberError
from .diffusion.editor import Editor
from .diffusion.inpaint import Controlled, Inpainter
from .diffusion.lora_adapters import FindLora, no_loras
from .families.known import family_of
from .prompts.instance_prompts import InstancePrompts
from .prompts.lora_tags import parse
from .regions import composite, windows
from .regions.metrics import measured
from .shot import Detection, Shot, Skip, on_white
from .stage import Modules, pipeline_modules

STRENGTHS = 1.0, 0.7, 0.49
"""Shares of the strength at which a product is drawn, in turn, while its result is below
`min_structure`; an edit model, which has no strength, takes another seed as often."""


@dataclass(frozen=True)
class _Job:
    """One window of one shot."""

    shot: int
    window: windows.Window
    turn: int
    prompt: str
    negative: str
    seed: int
    words: Hashable
    strength: float
    keep_color: bool

    @property
    def group(self) -> tuple[Any, ...]:
        """What must be equal in one call of the pipeline."""
        return (
            repr(parse(self.prompt)[1]),
            self.window.size_wh,
            self.words,
            self.strength,
        )


_Drawn = tuple[list[_Job], list[Decoded], Sequence[np.ndarray | None]]  # with the first maps


class Rerenderer:
    """Re-renders the detections that have masks.

    In prompts, [SEP] separates instances, [SKIP] leaves an instance as it is, and choices (see
    `prompts.dynamic_prompts`) are drawn by each instance's seed.

    Args:
        pipe: a pipeline of a family of `families.known`: for ControlNet inpainting, with a
            ControlNet for each of `controls` or one union ControlNet for all, or one of
            `model_kind.STAGE_3_METHODS`.
        controls: control maps and their weights; those of `STAGE_3_METHODS` take none.
        prompts: of the instances.
        options: how it draws.
        clip_skip: layers of the text encoder to skip; 1 skips one.
        find_lora: from the name in `<lora:name:weight>` to its file.
        library: textual inversions, whose names are words of prompts.
        fuse_loras: add LoRAs into the weights; None: where that pays.
        references: pictures, uint8 (H, W, 3), for an IP-Adapter that `pipe` has.
        accelerate: False runs the library's own code, without the patches of `stages.accel`.
    """

    def __init__(
        self,
        pipe: Any,
        controls: Sequence[Controlled],
        prompts: InstancePrompts,
        options: RerenderOptions | None = None,
        *,
        clip_skip: int | None = None,
        find_lora: FindLora = no_loras,
        library: EmbeddingLibrary = NO_EMBEDDINGS,
        fuse_loras: bool | None = None,
        references: Sequence[np.ndarray] = (),
        accelerate: bool = True,
    ) -> None:
        self.options = options = options or RerenderOptions()
        self.family = family_of(pipe)
        self.drawer: Inpainter | Editor
        if STAGE_3_METHODS.get(type(pipe).__name__) == "edit":
            self.drawer = Editor(self.family, pipe, options)
        else:
            self.drawer = Inpainter(
                self.family,
                pipe,
                controls,
                options,
                clip_skip=clip_skip,
                library=library,
                references=references,
                accelerate=accelerate,
            )
        self.prompts = prompts
        self.batch_size = options.batch_size
        self.find_lora = find_lora
        self.fuse_loras = lora_adapters.fused(fuse_loras, accelerate)
        step = self.family.window_step(pipe)
        size_wh = options.width, options.height
        self.window = functools.partial(
            windows.window,
            dilate=options.dilate,
            blur=options.mask_blur,
            padding=options.padding,
            size_wh=size_wh,
            step=windows.bucket_step(size_wh, step) if options.aspect_buckets else None,
        )

    @property
    def pipe(self) -> Any:
        """The pipeline that draws."""
        return self.drawer.pipe

    @property
    def controls(self) -> tuple[Controlled, ...]:
        """What leads it."""
        return self.drawer.controls

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Open shots with masks get `result`, `blend`, `control` and become `enhanced`."""
        return adaptive_batching.apply(
            shots, self._render, where="rerender", size=max(1, len(shots)), stage=self
        )

    def modules(self) -> Modules:
        """The pipeline's parts, and what makes each control map."""
        maps = {f"map {k}": c.control.modules() for k, c in enumerate(self.controls)}
        return {**pipeline_modules(self.pipe), **maps}

    def _render(self, shots: list[Shot]) -> list[Shot]:
        best = self._draw_all(shots, 0)
        strengths = [
            max((self._strength(shot, d) for d in shot.detections), default=self.options.strength)
            for shot in shots
        ]
        for k, shot in enumerate(best):
            if shot.open and not self._edits and strengths[k] != self.options.strength:
                best[k] = shot.with_metrics(strength=strengths[k])
        for attempt in range(1, len(STRENGTHS)):
            loose = [k for k, shot in enumerate(best) if shot.open and self._is_loose(shot)]
            if not loose:
                break
            again = self._draw_all([shots[k] for k in loose], attempt)
            for k, shot in zip(loose, again, strict=True):
                if shot.open and _structure(shot) > _structure(best[k]):
                    strength = round(strengths[k] * STRENGTHS[attempt], 4)
                    best[k] = shot if self._edits else shot.with_metrics(strength=strength)
        return [self._ended(shot) if shot.open else shot for shot in best]

    @property
    def _edits(self) -> bool:
        return isinstance(self.drawer, Editor)

    def _is_loose(self, shot: Shot) -> bool:
        least = self.options.min_structure
        return shot.metrics["edge_iou"] < least or bool(least and shot.metrics.get("moved"))

    def _ended(self, shot: Shot) -> Shot:
        """The enhanced shot; a loose one of an edit model, which may draw anything, is refused."""
        if not (self._edits and self._is_loose(shot)):
            return replace(shot, status="enhanced")
        moved, kept = shot.metrics.get("moved"), shot.metrics["edge_iou"]
        what = f"the edit kept {kept:.2f} of the product's edges"
        if moved:
            what = f"the edit moved the scene by {moved:g} pixels"
        least = f"rerender.min_structure {self.options.min_structure:g}"
        why = f"{what}, which {least} refuses; try another seed or edit"
        without = replace(shot, result=None, result16=None, blend=None)
        return without.skip(Skip("structure", why))

    def _draw_all(self, shots: list[Shot], attempt: int) -> list[Shot]:
        """Every shot with its products drawn, at the attempt's share of the strength, and what was
        measured."""
        out = [self._begin(s) for s in shots]
        jobs = []
        for k, shot in enumerate(out):
            added = self._jobs(k, shot) if shot.open else []
            jobs += added
            prompts, negatives = tuple(j.prompt for j in added), tuple(j.negative for j in added)
            out[k] = replace(shot, prompts=prompts, negative_prompts=negatives)
            if shot.open and not added:
                why = "nothing to re-render: the masks shrank to nothing, or every prompt is [SKIP]"
                if self._edits:
                    why += ", or there is no edit"
                out[k] = shot.skip(Skip("no_mask", why))
        for turn in sorted({job.turn for job in jobs}):
            todo = [j for j in jobs if j.turn == turn and out[j.shot].open]
            for part, drawn, shown in self._drawn(todo, out, attempt):
                for k, job in enumerate(part):
                    over = _lost(shots[job.shot], drawn[k])
                    if over or not out[job.shot].open:
                        out[job.shot] = over or out[job.shot]
                        continue
                    if drawn[k].upcast:
                        out[job.shot] = out[job.shot].with_metrics(vae_upcast=1)
                    if (moved := drawn[k].moved) is not None:
                        out[job.shot] = _with_moved(out[job.shot], job.window, moved)
                    self._paste(out[job.shot], job.window, drawn[k].pixels)
                    control = shown[k]
                    if control is not None and out[job.shot].control is None:
                        control = (control.clip(0, 1) * 255).astype(np.uint8)
                        out[job.shot] = replace(out[job.shot], control=control)
        return [measured(s) if s.open else s for s in out]

    def _begin(self, shot: Shot) -> Shot:
        if shot.image is None or shot.mask is None or not shot.mask.any():
            return shot.skip(Skip("no_mask", "no mask to re-render; run stage 2 first"))
        none = np.zeros(shot.image.shape[:2], np.float32)
        return replace(shot, result=shot.image.copy(), blend=none)

    def _jobs(self, index: int, shot: Shot) -> list[_Job]:
        """A window for each instance that is to be drawn, in the detections' order."""
        jobs = []
        for k, found in enumerate(shot.detections):
            prompt = self.prompts.prompt(shot, found, k)
            if found.mask is None or prompt is None:
                continue
            window = self.window(found.mask)
            if window is not None:
                negative = self.prompts.negative(shot.seed + k)
                words = self.drawer.group(parse(prompt)[0], negative)
                strength = self._strength(shot, found)
                keep = self.options.keep_color and not self.prompts.asks_for_change(shot, found)
                jobs.append(
                    _Job(index, window, 0, prompt, negative, shot.seed + k, words, strength, keep)
                )
        turns = windows.turns([job.window for job in jobs])
        return [replace(job, turn=turn) for job, turn in zip(jobs, turns, strict=True)]

    def _strength(self, shot: Shot, found: Detection) -> float:
        """The strength at which an instance is drawn at first."""
        usual = self.options.strength
        if self.options.edit_strength and self.prompts.asks_for_change(shot, found):
            usual = self.options.edit_strength
        return usual if found.strength is None else found.strength

    def _drawn(self, jobs: list[_Job], shots: list[Shot], attempt: int) -> Iterator[_Drawn]:
        """The jobs in lists that one call of the pipeline can draw, with what it drew."""
        groups: dict[tuple[Any, ...], list[_Job]] = {}
        for job in jobs:
            groups.setdefault(job.group, []).append(job)
        for group in groups.values():
            lora_adapters.attach(
                self.pipe, parse(group[0].prompt)[1], self.find_lora, fuse=self.fuse_loras
            )
            workers = self._workers()
            parts = cpu_parallel.cut(group, self.batch_size, workers)
            with self.drawer.ready():
                yield from cpu_parallel.each(
                    lambda part: self._call(part, shots, attempt), parts, workers
                )

    def _workers(self) -> int:
        import torch

        vae = self.pipe.vae
        # One that is changed to decode, or that keeps what it decodes, is no one else's.
        if vae.dtype != torch.float32 or hasattr(vae, "clear_cache"):
            return 1
        return cpu_parallel.workers(self.pipe._execution_device, self.batch_size)

    def _call(self, jobs: list[_Job], shots: list[Shot], attempt: int) -> _Drawn:
        """One call of the pipeline. The windows of a turn share no pixel that is drawn, so that
        others of it may be at work."""
        images = [composite.resize(_crop(shots[j.shot], j.window), j.window.size_wh) for j in jobs]
        masks = [composite.resize(j.window.blend, j.window.size_wh) > 0 for j in jobs]
        words = [(j.prompt, j.negative) for j in jobs]
        seeds = [j.seed for j in jobs]
        if isinstance(self.drawer, Editor):
            seeds = [seed + (attempt << 32) for seed in seeds]  # no shot of a run has these
            return jobs, self.drawer(images, masks, words, seeds=seeds), [None] * len(jobs)
        strength = jobs[0].strength * STRENGTHS[attempt]
        drawn, shown = self.drawer(images, masks, words, seeds=seeds, strength=strength)
        drawn = [
            d.with_pixels(composite.keep_colours(d.pixels, i, m))
            if j.keep_color and not d.error
            else d
            for j, d, i, m in zip(jobs, drawn, images, masks, strict=True)
        ]
        return jobs, drawn, shown

    @staticmethod
    def _paste(shot: Shot, window: windows.Window, patch: np.ndarray) -> None:
        """Blend a drawn window into the shot's own result and blend arrays."""
        place = window.rows_columns
        result = _result(shot)
        assert shot.blend is not None
        result[place] = composite.mix(result[place], patch, window.blend)
        shot.blend[place] = np.maximum(shot.blend[place], window.blend)


def _lost(shot: Shot, drawn: Decoded) -> Shot | None:
    """The shot, failed or skipped for what was drawn; None where that can be shown."""
    if drawn.error:
        return shot.fail(NotANumberError(drawn.error), "rerender")
    return shot.skip(FLAGGED) if drawn.flagged else None


def _structure(shot: Shot) -> tuple[bool, float]:
    """How well a result keeps the product's shape, to compare two."""
    return not shot.metrics.get("moved"), shot.metrics["edge_iou"]


def _with_moved(shot: Shot, window: windows.Window, pixels: float) -> Shot:
    """The shot with the farthest that an edit model moved what should stay, in its own pixels."""
    x0, _, x1, _ = window.box
    moved = round(pixels * (x1 - x0) / window.size_wh[0], 2)
    return shot.with_metrics(moved=max(moved, shot.metrics.get("moved", 0)))


def _crop(shot: Shot, window: windows.Window) -> np.ndarray:
    """What the model is to see of a window: on white where the picture is transparent."""
    place = window.rows_columns
    alpha = None if shot.alpha is None else shot.alpha[place]
    return on_white(_result(shot)[place], alpha)


def _result(shot: Shot) -> np.ndarray:
    if shot.result is None:
        raise ValueError(f"{shot.id}: no result to draw into: expected a shot that was begun")
    return shot.result
