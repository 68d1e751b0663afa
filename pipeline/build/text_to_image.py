"""Builds stage 1 from settings: pipeline, refiner, initial and reference pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ...configs.schema import Settings

Report = Callable[[str], None]


def text_to_image(settings: Settings, *, device: str, dtype: Any, report: Report) -> Any:
    """The pipeline of `generate.model` with the VAE, LoRAs and IP-Adapter that it is to have."""
    from ...checkpoints import load
    from ...stages.diffusion import decode

    g = settings.generate
    report(f"loading {g.model}")
    pipe = load.load_text_to_image(
        g.model, device=device, dtype=dtype, vae=g.vae, allow_pickle=settings.run.allow_pickle
    )
    decode.use_tiles(pipe.vae, settings.run.low_memory)  # a server may have them from another run
    for lora in g.base_loras:
        report(f"loading {lora.model}")
        load.fuse_lora(pipe, lora.model, weight_name=lora.weight_name, scale=lora.scale)
    if g.ip_adapter and g.ip_adapter.references:
        a = g.ip_adapter
        report(f"loading {a.model}")
        load.attach_ip_adapter(
            pipe, a.model, subfolder=a.subfolder, weight_name=a.weight_name, scale=a.scale
        )
    if settings.run.torch_compile:
        from ...stages.accel import compile

        compile.blocks(pipe.unet)
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
    """What the two sections name beside `generate.model`."""
    g = settings.generate
    out = [g.vae, settings.refiner and settings.refiner.model]
    out += [lora.model for lora in g.base_loras]
    if g.ip_adapter and g.ip_adapter.references:
        out.append(g.ip_adapter.model)
    return [ref for ref in out if ref]
