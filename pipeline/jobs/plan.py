"""Plans the shots of a resolved request and checks them, before any model is loaded."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine_options import RequestError
from .reporter import Reporter
from .request import RunRequest, option_of
from .resolve import ResolvedRequest

if TYPE_CHECKING:
    import numpy as np

    from ...configs.schema import Settings
    from ...stages.shot import Shot
    from ..images.write import Format
    from ..inputs.lazy_shots import LazyShots, ShotName
    from ..inputs.user_masks import UserMasks
    from ..runner.run import Stages

DEFAULT_COUNT = 4
"""Pictures of each class where a request names no count."""
_STAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "generate",
        ("count", "init_image", "prompt_strength", "references", "sampler", "width", "height",
         "retries"),
    ),
    ("detect", ("confidence",)),
    (
        "segment",
        ("mask_min_ratio", "mask_max_ratio", "mask_k", "sort", "dilate", "invert"),
    ),
    (
        "rerender",
        ("edit", "edits", "strength", "controls", "controlnet_weight", "rerender_steps",
         "rerender_cfg_scale", "mask"),
    ),
)  # fmt: skip
"""Stages, and the fields of a request that they alone read."""
_WHY = {
    "generate": "with PHOTOS stage 1 draws nothing",
    "detect": "nothing is looked for",
    "segment": "no masks are made",
    "rerender": "stage 3 is left out",
}


@dataclass(frozen=True)
class ShotPlan:
    """The shots of a request and what they go through.

    Args:
        resolved: the request with its settings.
        shots: the shots, made when they are asked for.
        needs: the stages to go through, less those whose results exist.
        masks: masks of the user in place of stage 2.
        output: format of the pictures.
        start: the stages that come before models: reading files, user masks.
        background: what is put behind cut-outs, see `read_background`.
    """

    resolved: ResolvedRequest
    shots: LazyShots
    needs: tuple[str, ...]
    masks: UserMasks | None
    output: Format
    start: Stages
    background: np.ndarray | None = None


def plan_shots(resolved: ResolvedRequest, reporter: Reporter) -> ShotPlan:
    """Find the inputs of a request and plan a shot for each; no pixel is read yet."""
    from ..exports.cutouts import read_background
    from ..images.write import Format
    from ..inputs import shots as inputs
    from ..prompts import wildcards
    from ..runner.run import Stages

    request, settings, needs = resolved.request, resolved.settings, resolved.needs
    output = Format(settings.run.format, settings.run.quality)
    if not output.exact:
        reporter.note(
            f"{output.name} encodes every pixel anew: that no pixel outside the mask changes "
            "holds for png only"
        )
    elif request.quality is not None:
        reporter.warn("--quality is for --format jpeg and webp; png keeps every pixel")
    shots, detections = shots_of(resolved, reporter)
    if "rerender" in needs and detections is None:
        _require_edit(settings, request.all_edits, shots)
    if request.edits:
        shots, detections = _variants(shots, request.edits, detections)
    masks = _user_masks(resolved, shots.names)
    if masks is not None or (detections is not None and request.command == "enhance"):
        needs = ("rerender",)
        if any(name.startswith("mask.") for name in request.overrides):
            origin = request.mask or request.inputs[0]
            reporter.warn(f"{origin} holds the masks: --set mask.… changes nothing here")
    for sentence in unused_options(request, needs, settings):
        reporter.warn(sentence)
    choices = wildcards.load_wildcards(settings)
    seeded = not request.inputs or inputs.is_run_folder(request.inputs)
    if seeded and wildcards.have_choices(shots.distinct, choices):
        shots = shots.changed(lambda shot: wildcards.choose_variants([shot], choices)[0])
    seed = None if seeded else settings.run.seed
    read = functools.partial(inputs.load, found=detections, output=output, run_seed=seed)

    def load(part: Sequence[Shot]) -> list[Shot]:
        # A photo's seed, by which its prompt variants are chosen, is known once it is read.
        return read(part) if seeded else wildcards.choose_variants(read(part), choices)

    start = Stages(load=load if request.inputs else None, mask=masks)
    background = read_background(request.background) if request.background else None
    return ShotPlan(resolved, shots, needs, masks, output, start, background)


def _require_edit(settings: Settings, edits: Sequence[str], shots: LazyShots) -> None:
    """Raise RequestError where an edit model is to re-render and nothing says what changes."""
    from ...stages.prompts.edit_instructions import INSTRUCTION
    from ..build import family_options
    from ..prompts.product_classes import class_prompts

    r = settings.rerender
    if r.method != "edit" or "{edit}" not in (r.prompt or INSTRUCTION):
        return
    family_options.check_models(settings)  # a model that is no edit model takes no --edit
    if not any((*edits, *class_prompts(settings), *(shot.edit for shot in shots.distinct))):
        raise RequestError(
            f"no --edit: {r.model} re-renders by an instruction; expected what is to change, as in "
            "--edit 'green leather'"
        )


def shots_of(resolved: ResolvedRequest, reporter: Reporter) -> tuple[LazyShots, Any]:
    """Return the shots of a request, and a lookup of the detections of an earlier run."""
    from ..inputs import previous_run
    from ..inputs import shots as inputs
    from ..inputs.find_files import LeftOut
    from ..inputs.prompt_rows import shots as shots_of_rows

    request, settings, classes = resolved.request, resolved.settings, resolved.classes
    edit, seed, generate = request.edit, settings.run.seed, settings.generate
    words: dict[str, Any] = {
        "prompt": generate.prompt,
        "negative_prompt": generate.negative_prompt,
        "edit": edit,
        "run_seed": seed,
        "first_seed": generate.first_seed,
    }
    if not request.inputs and resolved.rows:
        return shots_of_rows(resolved.rows, classes, **words), None
    if not request.inputs:
        count = request.count or DEFAULT_COUNT
        return inputs.prompted(classes, count, prompts=resolved.prompts, **words), None
    if inputs.is_run_folder(request.inputs):
        folder = Path(request.inputs[0])
        shots = inputs.from_run(
            folder, classes=classes, edit=edit, run_seed=seed, warn=reporter.warn
        )
        reuse = request.command == "enhance" and not classes and not request.mask
        detections = previous_run.finder(folder) if reuse else None
        if detections and not detections(shots[0].id):
            raise inputs.InputError(
                f"{folder} holds pictures in which nothing was looked for yet: "
                "add --class, or run `visuals filter` on it first"
            )
        return shots[: request.limit], detections
    left_out = LeftOut()
    shots = inputs.photos(request.inputs, classes, edit=edit, run_seed=seed, left_out=left_out)
    for what, paths in (
        ("links out of the folder are not followed", left_out.links),
        ("files with other endings are not read", left_out.others),
    ):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            reporter.warn(f"{what}: {paths[0]}{more}")
    return shots[: request.limit], None


def _variants(shots: LazyShots, edits: Sequence[str], detections: Any) -> tuple[LazyShots, Any]:
    """Return each shot once for every edit, and the detections of an earlier run for them."""
    variants = shots.with_edits(edits)
    ids = Counter(name.id.lower() for name in variants.names)
    (most, number), *_ = ids.most_common(1)
    if number > 1:
        raise RequestError(f"two pictures would be called {most}: rename a photo, or an edit")
    if detections is None:
        return variants, None
    origin = {name.id: name.rest[0].id for name in variants.names}
    return variants, lambda id_: detections(origin.get(id_, id_))


def _user_masks(resolved: ResolvedRequest, names: Sequence[ShotName]) -> UserMasks | None:
    """The masks of a request's `mask`; they need a class or a prompt to say what to draw."""
    from ..inputs.user_masks import UserMasks

    request, classes = resolved.request, resolved.classes
    if not request.mask:
        return None
    if len(classes) > 1:
        raise RequestError(
            f"--mask with {len(classes)} classes: expected one --class, whose masks they are"
        )
    if not classes and not request.prompt:
        raise RequestError("--mask without words: expected --class or --prompt as well")
    if not classes and "{class}" in (request.prompt or ""):
        raise RequestError("--prompt holds {class}: expected --class beside it")
    return UserMasks(request.mask, classes[0] if classes else "", names)


def check(plan: ShotPlan, reporter: Reporter) -> ShotPlan:
    """Check prompts and files; return the plan with what its LoRAs recommend.

    Raises:
        UsageError: licences, prompts, samplers, LoRAs, masks or the only input files are wrong.
    """
    from ..inputs import shots as inputs

    check_licences(plan, reporter)
    if "generate" in plan.needs or "rerender" in plan.needs:
        plan = check_prompts(plan, reporter)
    request, masks, shots = plan.resolved.request, plan.masks, plan.shots
    broken = inputs.first_error(shots, plan.output) if request.inputs else ""
    if broken and inputs.are_files(request.inputs):
        raise inputs.InputError(broken)
    if masks is not None and masks.single and len(shots) == 1:
        masks.check_size(shots[0])
    if broken:  # no file can be read: no model is needed to report that
        plan = replace(plan, needs=(), masks=None, start=replace(plan.start, mask=None))
    return plan


def check_licences(plan: ShotPlan, reporter: Reporter) -> None:
    """Raise LicenceError for models that `run.license` rules out; note conditions of the others."""
    from ..build import model_licences

    settings = plan.resolved.settings
    if settings.run.license == "any":
        return
    shots = plan.shots.distinct
    prompts = {getattr(shot.source, "prompt", "") for shot in shots} | {s.edit for s in shots}
    model_licences.check(settings, plan.needs, prompts)
    for line in model_licences.conditions(settings, plan.needs, prompts):
        reporter.note(line)


def check_prompts(plan: ShotPlan, reporter: Reporter) -> ShotPlan:
    """Check the prompts of a plan; return it with the settings that its LoRAs recommend."""
    from ..build import family_options, replicate
    from ..build.stages import check_words
    from ..prompts import explain, loras

    resolved, draws = plan.resolved, "generate" in plan.needs
    settings, shots = resolved.settings, plan.shots.distinct
    prompts = dict.fromkeys(getattr(shot.source, "prompt", "") for shot in shots)
    if draws and replicate.draws(settings):
        replicate.check(settings)
        for note in replicate.notes(prompts):
            reporter.warn(note)
        draws = False  # local LoRAs do not size the host's pictures
    edits = {shot.edit for shot in shots} if "rerender" in plan.needs else set()
    negatives = {getattr(shot.source, "negative_prompt", "") for shot in shots}
    check_words(settings, [*resolved.prompts, *prompts], negatives, edits, plan.needs)
    for note in explain.prompt_notes(settings, {*prompts, *edits}, negatives)[:5]:
        reporter.warn(note)
    skips = {shot.settings.get("generate.clip_skip") for shot in shots}
    skip = settings.generate.clip_skip or max(filter(None, skips), default=0)
    if skip and (why := family_options.fixed_layer(settings)):
        reporter.warn(f"generate.clip_skip {skip} changes nothing: {why}")
    for line in family_options.unused(settings, resolved.given or (), plan.needs, negatives):
        reporter.warn(line)
    if resolved.given is None:
        return plan
    settings = loras.apply_lora_recommendations(
        settings,
        list(prompts),
        resolved.given,
        draws=draws,
        tell=reporter.note,
        warn=reporter.warn,
    )
    return replace(plan, resolved=replace(resolved, settings=settings))


def unused_options(
    request: RunRequest, needs: Collection[str], settings: Settings
) -> Iterator[str]:
    """Yield a sentence for each kind of option that is set and that no stage of `needs` reads."""
    for stage, fields in _STAGES:
        if stage not in needs:
            yield from _sentence(request, fields, _WHY[stage])
    if "rerender" in needs and (method := settings.rerender.method) != "controlnet":
        why = f"rerender.method is {method}, which takes no control maps"
        yield from _sentence(request, ("controlnet_weight",), why)
    if "generate" in needs and not settings.generate.init_image:
        yield from _sentence(request, ("prompt_strength",), "there is no --init-image")
    if not {"generate", "rerender"} & set(needs):
        words = ("seed", "steps", "cfg_scale", "negative_prompt")
        yield from _sentence(request, words, "nothing is drawn")
    if not {"segment", "rerender"} & set(needs):
        yield from _sentence(request, ("cutout", "background"), "nothing is masked")
        if formats := [name for name in request.annotate if name != "metadata"]:
            yield f"--annotate {','.join(formats)} lists no products: nothing is looked for"
    if not request.inputs:
        yield from _sentence(request, ("limit",), "no photos are read")


def _sentence(request: RunRequest, fields: Collection[str], why: str) -> Iterator[str]:
    values = {name: getattr(request, name) for name in fields}
    names = [
        option_of(name)
        for name, value in values.items()
        if value is not None and value is not False and value not in ((), "")
    ]
    if names:
        yield f"{', '.join(names)} change{'s' * (len(names) == 1)} nothing here: {why}"
