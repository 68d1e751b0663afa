"""What a ControlNet inpainting pipeline of diffusers computes again though it stays the same, or
though nobody asks for it: the hint's embedding and the words' keys and values in each step, a
ControlNet whose turn is over, the masked picture's latents. The pictures are the same.

Knows diffusers' pipelines; no shots, no files.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

from . import compile, cpu_parallel, patching

_HELD = 16
"""Inputs whose outcome a module keeps; several calls may be at work at once."""


def lean(pipe: Any, scheduler: Any) -> Any:
    """A pipeline over the same models for one call at a time, with a scheduler of its own; several
    may be at work at once. It leaves out the masked picture's latents where the UNet has no
    channels for them."""
    own = copy.copy(pipe)
    own.scheduler = copy.deepcopy(scheduler)
    if pipe.unet.config.in_channels == 4:
        own.prepare_mask_latents = _without_masked_image(pipe)
    return own


def _without_masked_image(pipe: Any) -> Callable[..., Any]:
    from diffusers import AutoencoderKL
    from diffusers.utils.torch_utils import randn_tensor

    whole = pipe.prepare_mask_latents
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
        if isinstance(pipe.vae, AutoencoderKL):  # as much noise as is drawn to encode it
            for one in generator if isinstance(generator, list) else [generator]:
                count = 1 if isinstance(generator, list) else len(masked_image)
                shape = (count, channels, height // scale, width // scale)
                randn_tensor(shape, generator=one, device=device, dtype=dtype)
        # SDXL's takes none for an answer, SD's what is already encoded.
        none = None if hasattr(pipe, "text_encoder_2") else mask.new_zeros(len(mask), 4, 1, 1)
        return whole(mask, none, batch_size, height, width, dtype, device, generator, *rest)

    return prepare


@contextlib.contextmanager
def steps(pipe: Any) -> Iterator[None]:
    """While it lasts, each hint is embedded once and each call's words once become keys and values,
    and a ControlNet whose scale is 0 (before its `control_guidance_start`, after its end) is not
    called."""
    nets = list(dict.fromkeys(getattr(pipe.controlnet, "nets", [pipe.controlnet])))
    changed = [(net, _when_asked(net)) for net in nets]
    constant = [net.controlnet_cond_embedding for net in nets]
    for model in (pipe.unet, *nets):
        fixed = [name for name, module in model.named_modules() if compile.is_compiled(module)]
        for name, module in model.named_modules():
            inside = any(name.startswith(f"{block}.") for block in fixed)  # all of it is one call
            if name.endswith("attn2") and not inside:  # the one that reads the words
                constant += [module.to_k, module.to_v]
    changed += [(module, _once(module)) for module in constant]
    with patching.forwards(changed):
        yield


def _once(module: Any) -> Callable[[Any], Any]:
    whole = module.forward
    known: dict[int, tuple[Any, Any]] = {}

    def forward(x: Any, *args: Any, **options: Any) -> Any:
        found = known.get(id(x))
        if found is None:
            # With the input itself: no other can have its id meanwhile.
            found = known[id(x)] = x, whole(x, *args, **options)
            for old in list(known)[:-_HELD]:
                known.pop(old, None)
        return found[1]

    return forward


def _when_asked(net: Any) -> Callable[..., Any]:
    whole = net.forward

    def forward(sample: Any, *args: Any, conditioning_scale: Any = 1.0, **options: Any) -> Any:
        cpu_parallel.step()
        scales = (
            conditioning_scale if isinstance(conditioning_scale, list) else [conditioning_scale]
        )
        if any(scales) or options.get("return_dict", True):
            return whole(sample, *args, conditioning_scale=conditioning_scale, **options)
        nothing = sample.new_zeros(1)
        return [nothing] * len(net.controlnet_down_blocks), nothing

    return forward
