"""Skips redundant work in ControlNet inpainting: caches hint embeddings and the prompt's keys and
values, skips ControlNets outside their guidance range and latents that the UNet does not read.

The pictures stay the same. Works on the pipelines of diffusers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from . import compile, patching, signatures
from .patching import Forward

_CACHED_INPUTS = 16
"""Inputs whose output a module keeps; on a CPU several threads may call it at the same time."""
Cache = dict[int, tuple[Any, Any]]
"""id of an input → the input and a module's output."""


def skip_masked_latents(pipe: Any, *, takes_none: bool = False) -> None:
    """Let a pipeline leave out the latents of the masked picture where its UNet has no channels
    for them. `pipe` is a shallow copy (copy.copy) that nobody else uses; `takes_none`: its method
    accepts None for the masked picture, others accept latents that are encoded already."""
    prepare = pipe.prepare_mask_latents
    if pipe.unet.config.in_channels == 4 and patching.fits(
        prepare, signatures.PREPARE_MASK_LATENTS
    ):
        pipe.prepare_mask_latents = _without_masked_image(pipe, takes_none)


def _without_masked_image(pipe: Any, takes_none: bool) -> Forward:
    from diffusers import AutoencoderKL
    from diffusers.utils.torch_utils import randn_tensor

    original = pipe.prepare_mask_latents
    scale, channels = pipe.vae_scale_factor, pipe.vae.config.latent_channels

    def prepare(
        mask: Any,
        masked_image: Any,
        batch_size: int,
        height: int,
        width: int,
        dtype: Any,
        device: Any,
        generator: Any,
        *rest: Any,
    ) -> Any:
        if isinstance(pipe.vae, AutoencoderKL):  # draw as much noise as encoding would have drawn
            for one in generator if isinstance(generator, list) else [generator]:
                count = 1 if isinstance(generator, list) else len(masked_image)
                shape = (count, channels, height // scale, width // scale)
                randn_tensor(shape, generator=one, device=device, dtype=dtype)
        none = None if takes_none else mask.new_zeros(len(mask), 4, 1, 1)
        return original(mask, none, batch_size, height, width, dtype, device, generator, *rest)

    return prepare


@contextlib.contextmanager
def reuse(pipe: Any) -> Iterator[Callable[[], None]]:
    """Within the block each hint is embedded once, each call's prompt becomes keys and values once,
    and a ControlNet whose scale is 0 (outside its guidance range) is not called. Models with other
    signatures are left alone.

    Yields a function to be called before each call of the pipeline: on a device with memory of its
    own, where calls follow one another, it lets go what the call before left there. For SDXL that
    is 110 MB a call of two pictures.
    """
    if not signatures.known(pipe):
        yield lambda: None
        return
    caches: list[Cache] = []
    nets = signatures.controlnets(pipe)
    replacements = [(net, _skipped_at_scale_0(net)) for net in nets]
    constant = [net.controlnet_cond_embedding for net in nets]
    for model in (pipe.unet, *nets):
        compiled = [name for name, module in model.named_modules() if compile.is_compiled(module)]
        for name, module in model.named_modules():
            inside = any(name.startswith(f"{block}.") for block in compiled)  # one call, as a whole
            if name.endswith("attn2") and not inside:  # cross-attention to the prompt
                constant += [module.to_k, module.to_v]
    for module in constant:
        caches.append({})
        replacements.append((module, _cached(module, caches[-1])))

    def begin_call() -> None:
        if pipe._execution_device.type != "cpu":
            for cache in caches:
                cache.clear()

    with patching.replaced_forwards(replacements):
        yield begin_call


def _cached(module: Any, cache: Cache) -> Forward:
    original = module.forward

    def forward(x: Any, *args: Any, **options: Any) -> Any:
        entry = cache.get(id(x))
        if entry is None:
            # Holding the input itself keeps its id from being given to another tensor.
            entry = cache[id(x)] = x, original(x, *args, **options)
            for old in list(cache)[:-_CACHED_INPUTS]:
                cache.pop(old, None)
        return entry[1]

    return forward


def _skipped_at_scale_0(net: Any) -> Forward:
    original = net.forward

    def forward(sample: Any, *args: Any, conditioning_scale: Any = 1.0, **options: Any) -> Any:
        scales = (
            conditioning_scale if isinstance(conditioning_scale, list) else [conditioning_scale]
        )
        if any(scales) or options.get("return_dict", True):
            return original(sample, *args, conditioning_scale=conditioning_scale, **options)
        nothing = sample.new_zeros(1)
        return [nothing] * len(net.controlnet_down_blocks), nothing

    return forward
