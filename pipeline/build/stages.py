"""Builds the stages of a run from its settings, with the models that they need."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...checkpoints.loaded_models import anew, keepable
from ...checkpoints.lora import search as lora_search
from ..prompts import embedding_files, loras, product_classes, wildcards
from ..runner.run import Stages
from . import control_maps, family_options, replicate, text_to_image
from .devices import (
    device_and_dtype,
    encoder_dtype,
    has_own_memory,
    loading_place,
    parallel_parts,
    weight_storage,
)
from .per_shot_settings import PerShotSettings

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.prompts.instance_prompts import InstancePrompts

Report = Callable[[str], None]


def build_stages(
    settings: Settings,
    needs: Collection[str],
    *,
    report: Report = lambda text: None,
    late: bool = True,
) -> Stages:
    """Load the models of some stages and return the stages.

    Changes nothing about the process itself; see `process.prepare`.

    Args:
        settings: as `load_settings` gives them.
        needs: of "generate", "detect", "segment", "rerender"; "detect" includes the verifier.
        report: called with a line for each model that is loaded.
        late: with `run.low_memory` on a CPU, load each stage's models when it is called.
    """
    from . import batch_sizes, low_memory, model_licences

    model_licences.check(settings, needs)
    device, _ = device_and_dtype(settings)
    if settings.run.low_memory and has_own_memory(device):
        stages = low_memory.offloaded(_loaded(settings, needs, report), low_memory.offload(device))
    elif settings.run.low_memory and late:
        return low_memory.late(
            lambda names, report: _loaded(settings, names, report), needs, report
        )
    else:
        stages = _loaded(settings, needs, report)
    batch_sizes.fit(stages, device)
    return stages


def _loaded(settings: Settings, needs: Collection[str], report: Report) -> Stages:
    import torch

    from ...checkpoints import load
    from . import low_memory

    device, dtype = loading_place(settings)
    for name in ("generate", "rerender"):
        interval = getattr(settings, name).cache_interval
        if name in needs and interval > 1 and not settings.run.accelerate:
            report(f"{name}.cache_interval {interval} is not used: run.accelerate is off")
    parts: dict[str, Any] = {}
    pipe = None
    with low_memory.explained(settings), torch.inference_mode():
        if "generate" in needs and replicate.draws(settings):
            parts["generate"] = PerShotSettings(
                replicate.generator(settings, report), settings, replicate.generator, "generate."
            )
        draws = "generate" in needs and "generate" not in parts
        if draws or ("rerender" in needs and settings.rerender.model is None):
            pipe = text_to_image.text_to_image(settings, device=device, dtype=dtype, report=report)
        if draws:
            first = text_to_image.generator(
                pipe, settings, device=device, dtype=dtype, report=report
            )
            parts["generate"] = PerShotSettings(
                first, settings, lambda own: text_to_image.again(first, own), "generate."
            )
        if "detect" in needs:
            from ...stages.detect import Detector

            d = settings.detect
            report(f"loading {d.model}")
            model, processor = load.load_detector(
                d.model, device=device, allow_pickle=settings.run.allow_pickle
            )
            parts["detect"] = Detector(
                model,
                processor,
                d,
                classes=product_classes.class_specs(settings),
                accelerate=settings.run.accelerate,
            )
            parts["verify"] = _verifier(settings, device, report)
        if "segment" in needs:
            from ...stages.segment import Segmenter

            g = settings.segment
            model, processor = _segmenter(settings, parts.get("detect"), report, device)
            parts["segment"] = Segmenter(
                model,
                processor,
                batch_size=g.batch_size,
                crop_padding=g.crop_padding,
                encoder_dtype=encoder_dtype(settings),
            )
            parts["mask"] = _masker(settings)
        if "rerender" in needs:
            last = rerenderer(rerender_pipeline(settings, pipe, report), settings)
            parts["rerender"] = PerShotSettings(
                last,
                settings,
                lambda own: rerenderer(last.pipe, own, led=last.controls),
                *("rerender.", "generate.clip_skip"),
            )
    parallel = 1 if "generate" in needs else parallel_parts(settings, device)
    return Stages(**parts, parallel_parts=parallel)


def _verifier(settings: Settings, device: str, report: Report) -> Any:
    """The second look at each crop; None where the settings ask for none."""
    from ...checkpoints import load
    from ...stages.verify import Verifier

    v = settings.verify
    if v is None:
        return None
    report(f"loading {v.model}")
    return Verifier(
        *load.load_verifier(v.model, device=device),
        classes=product_classes.class_specs(settings),
        threshold=v.threshold,
        relabel=v.relabel,
        batch_size=v.batch_size,
    )


def _masker(settings: Settings) -> Any:
    """The choice of masks; None where every option of it is the default."""
    from ...stages.mask import MaskFilter

    m = settings.mask
    return None if m.is_default else MaskFilter(m)


def _segmenter(settings: Settings, detector: Any, report: Report, device: str) -> tuple[Any, Any]:
    """(model, processor); (None, None) where a loaded detector masks what it finds."""
    from ...checkpoints import load
    from ...stages.detection.backends import gives_masks

    if detector is not None and gives_masks(detector.model):
        return None, None
    ref = settings.segment.model
    report(f"loading {ref}")
    return load.load_segmenter(
        ref,
        device=device,
        allow_pickle=settings.run.allow_pickle,
        library=settings.segment.library,
    )


def check_words(
    settings: Settings,
    prompts: Collection[str] = (),
    negatives: Collection[str] = (),
    edits: Collection[str] = (),
    needs: Collection[str] = ("generate", "rerender"),
) -> None:
    """Raises ValueError for a wildcard, a sampler or a LoRA that is not there, for a LoRA that does
    not fit and for a textual inversion that cannot be read, before anything is loaded, in the
    prompts of the settings and in these; `edits` are of stage 3 alone, `needs` the stages that
    run."""
    from ...stages.diffusion import samplers

    wildcards.check_wildcards(settings, [*prompts, *edits])
    for name in (settings.generate.sampler, settings.rerender.sampler):
        if name not in samplers.NAMES:
            samplers.scheduler(name, {})
    text_to_image.check(settings)
    family_options.check(settings, needs)
    loras.check_loras(settings, prompts, edits, needs)
    embedding_files.find_embeddings(settings, [*prompts, *edits, *negatives])


def rerender_pipeline(settings: Settings, base: Any, report: Report = lambda text: None) -> Any:
    """The pipeline of stage 3: that of the method's own model, or one for ControlNet inpainting.

    `base`: the loaded pipeline of `generate.model`, whose models ControlNet inpainting shares
    unless `rerender.model` names another.
    """
    r = settings.rerender
    own = None if r.model is None else _own_model(settings, report)
    if r.method != "controlnet":
        return own
    report(f"loading {', '.join(c.model for c in settings.leading)}")
    return inpaint_pipeline(settings, own or base)


def _own_model(settings: Settings, report: Report) -> Any:
    """The pipeline of `rerender.model`."""
    from ...checkpoints import redrawing_models
    from ...stages.diffusion import decode

    r = settings.rerender
    assert r.model is not None
    report(f"loading {r.model}")
    device, dtype = loading_place(settings)
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    options["weights"] = weight_storage(settings)
    if r.method != "controlnet":
        pipe = redrawing_models.load_redrawing_model(r.model, r.method, **options)
    else:
        pipe = load_base(r.model, allow_pickle=settings.run.allow_pickle, **options)
    decode.use_tiles(pipe.vae, settings.run.low_memory)
    if settings.run.torch_compile:
        from ...stages.accel import compile
        from ...stages.diffusion.family import denoiser

        compile.blocks(denoiser(pipe))
    return pipe


@keepable
def load_base(ref: str, **options: Any) -> Any:
    """Load a text-to-image pipeline beside that of stage 1; `options`: of `load_text_to_image`."""
    from ...checkpoints import load

    with anew():
        return load.load_text_to_image(ref, **options)


def inpaint_pipeline(settings: Settings, base: Any) -> Any:
    """The ControlNet inpainting pipeline that shares the components of a loaded one."""
    from ...checkpoints import load

    device, dtype = loading_place(settings)
    inpaint = load.load_controlnet_inpaint(
        settings.rerender_model,
        [c.model for c in settings.leading],
        device=device,
        dtype=dtype,
        base=base,
        weights=weight_storage(settings),
        allow_pickle=settings.run.allow_pickle,
    )
    if settings.run.torch_compile:
        from ...stages.accel import compile
        from ...stages.diffusion.family import denoiser

        compile.blocks(denoiser(inpaint), inpaint.controlnet)
    return inpaint


def rerenderer(
    pipe: Any,
    settings: Settings,
    *,
    conditioning_scale: float | None = None,
    led: Any = None,
) -> Any:
    """Stage 3 over a loaded pipeline.

    `conditioning_scale` goes over the settings' own; 0 switches the ControlNets off. `led`: the
    `Controlled` of the settings, where they are loaded already.
    """
    from ...stages.rerender import Rerenderer

    led = led or control_maps.build(settings, device=loading_place(settings)[0])
    control_maps.check_modes(pipe, settings)
    if conditioning_scale is not None:
        led = [replace(c, conditioning_scale=conditioning_scale) for c in led]
    return Rerenderer(
        pipe,
        led,
        _prompts(settings),
        settings.rerender,
        clip_skip=settings.generate.clip_skip,
        find_lora=lora_search.in_folders(loras.lora_folders(settings)),
        library=embedding_files.embedding_library(settings),
        fuse_loras=settings.generate.fuse_loras,
        references=text_to_image.references(settings) if settings.rerender.model is None else (),
        accelerate=settings.run.accelerate,
    )


def _prompts(settings: Settings) -> InstancePrompts:
    """What leads each instance: a prompt, or an instruction for an edit model."""
    from ...stages.prompts import lora_tags
    from ...stages.prompts.edit_instructions import INSTRUCTION, EditInstructions
    from ...stages.prompts.instance_prompts import InstancePrompts

    g, r = settings.generate, settings.rerender
    usual = g.prompt if r.model is None else lora_tags.parse(g.prompt)[0]
    edits = r.method == "edit"
    return (EditInstructions if edits else InstancePrompts)(
        r.prompt or (INSTRUCTION if edits else usual),
        prompts={n: c.prompt for n, c in settings.classes.items() if c.prompt},
        edits={n: c.edit for n, c in settings.classes.items() if c.edit},
        negative_prompt=r.negative_prompt or g.negative_prompt,
        wildcards=wildcards.load_wildcards(settings),
        own_template=bool(r.prompt),
        same_model=r.model is None,
    )
