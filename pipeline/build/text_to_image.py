"""Builds stage 1 from settings: pipeline, refiner, initial and reference pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...checkpoints.loaded_models import anew, keepable
from .devices import weight_storage

if TYPE_CHECKING:
    import numpy as np

    from ...configs.generate import BaseLoraSettings, IPAdapterSettings
    from ...configs.schema import Settings

Report = Callable[[str], None]


def text_to_image(settings: Settings, *, device: str, dtype: Any, report: Report) -> Any:
    """The pipeline of `generate.model` with the VAE, LoRAs and IP-Adapter that it is to have."""
    from ...checkpoints import load
    from ...stages.diffusion import decode

    g = settings.generate
    adapter = g.ip_adapter if g.ip_adapter and g.ip_adapter.references else None
    changes = [lora.model for lora in g.base_loras] + ([adapter.model] if adapter else [])
    for name in (g.model, *changes):
        report(f"loading {name}")
    options: dict[str, Any] = {
        "device": device, "dtype": dtype, "vae": g.vae, "weights": weight_storage(settings),
        "allow_pickle": settings.run.allow_pickle,
    }  # fmt: skip
    if changes:
        adapter = adapter and adapter.model_copy(update={"references": ()})  # the stages' own
        pipe = load_changed(g.model, base_loras=g.base_loras, ip_adapter=adapter, **options)
    else:
        pipe = load.load_text_to_image(g.model, **options)
    decode.use_tiles(pipe.vae, settings.run.low_memory)  # a server may have them from another run
    if settings.run.torch_compile:
        from ...stages.accel import compile
        from ...stages.diffusion.family import denoiser

        compile.blocks(denoiser(pipe))
    return pipe


@keepable
def load_changed(
    ref: str,
    *,
    base_loras: Sequence[BaseLoraSettings],
    ip_adapter: IPAdapterSettings | None,
    weights: Any,
    **options: Any,
) -> Any:
    """Load a pipeline of its own and change it for good; `options`: of `load_text_to_image`."""
    from ...checkpoints import load, stored_weights

    with anew():
        pipe = load.load_text_to_image(ref, **options)
    for lora in base_loras:
        load.fuse_lora(pipe, lora.model, weight_name=lora.weight_name, scale=lora.scale)
    if ip_adapter:
        a = ip_adapter
        load.attach_ip_adapter(
            pipe, a.model, subfolder=a.subfolder, weight_name=a.weight_name, scale=a.scale
        )
    stored_weights.apply(pipe, weights, options["dtype"])  # last: LoRAs are added to full ones
    return pipe


def generator(
    pipe: Any, settings: Settings, *, device: str, dtype: Any, report: Report, loaded: Any = None
) -> Any:
    """Stage 1 over a loaded pipeline; loads the refiner, where one is asked for. `loaded`: that
    refiner's pipeline, where it is there already."""
    from ...checkpoints import load
    from ...stages.diffusion.passes import Refiner

    r = settings.refiner
    refiner = None
    if r:
        if loaded is None:
            report(f"loading {r.model}")
            loaded = load.load_refiner(
                r.model,
                pipe,
                device=device,
                dtype=dtype,
                allow_pickle=settings.run.allow_pickle,
            )
        refiner = Refiner(loaded, r.high_noise_frac)
    return _generator(pipe, settings, refiner)


def again(generator: Any, settings: Settings) -> Any:
    """Stage 1 with other settings, over the models that `generator` has."""
    return _generator(generator.pipe, settings, generator.passes.refiner)


def _generator(pipe: Any, settings: Settings, refiner: Any) -> Any:
    from ...checkpoints.lora import search as lora_search
    from ...stages.generate import Generator
    from ..images.read import read_image
    from ..prompts import embedding_files, loras

    g = settings.generate
    return Generator(
        pipe,
        g,
        find_lora=lora_search.in_folders(loras.lora_folders(settings)),
        library=embedding_files.embedding_library(settings),
        init_image=read_image(g.init_image).srgb_on_white if g.init_image else None,
        refiner=refiner,
        references=references(settings),
        accelerate=settings.run.accelerate,
    )


def references(settings: Settings) -> list[np.ndarray]:
    """The reference pictures of the IP-Adapter, uint8 (H, W, 3) each."""
    from ..images.read import read_image

    adapter = settings.generate.ip_adapter
    return [read_image(path).srgb_on_white for path in adapter.references] if adapter else []


def check(settings: Settings) -> None:
    """Raises ValueError for a picture that cannot be read, before anything is loaded."""
    from ..images.read import read_image

    if settings.generate.init_image:
        read_image(settings.generate.init_image)
    references(settings)


def refs(settings: Settings) -> list[str]:
    """What draws beside `generate.model`."""
    g = settings.generate
    out = [g.vae, settings.refiner and settings.refiner.model, settings.rerender.model]
    out += [lora.model for lora in g.base_loras]
    if g.ip_adapter and g.ip_adapter.references:
        out.append(g.ip_adapter.model)
    return [ref for ref in out if ref]
