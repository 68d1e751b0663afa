"""Peaks of memory without a GPU, of tensors that have shapes and no values."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

GIB = 2**30


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of tensors that are made within it: `live` now, `peak` at most. Storages are
    counted once, whichever tensors show them."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(storage) for storage in _storages((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            key = id(storage)
            if key not in given and key not in self._known:
                self._known.add(key)
                self.live += storage.nbytes()
                weakref.finalize(storage, self._gone, key, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return out

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def _storages(tree: Any) -> Iterable[Any]:
    import torch
    from torch.utils._pytree import tree_leaves

    return [x.untyped_storage() for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def traced_peak(make: Callable[[], Any], call: Callable[[Any], object], dtype: Any) -> float:
    """GiB of activations at the peak of `call` on the model that `make` builds in `dtype`."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        model = _built(make, dtype).eval()
        with torch.no_grad(), PeakMemory() as memory:
            call(model)
    return memory.peak / GIB


def _built(make: Callable[[], Any], dtype: Any) -> Any:
    """A model made in `dtype`: the weights of fake models cannot be converted in place."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return make()
    finally:
        torch.set_default_dtype(before)


def unet(family: str) -> Any:
    """A UNet in the published configuration of "sd15", "sdxl" or "sdxl-refiner"."""
    from diffusers import UNet2DConditionModel

    from ...checkpoints import reference_configs

    return UNet2DConditionModel.from_config(reference_configs.components(family)["unet"])


def vae(family: str) -> Any:
    from diffusers import AutoencoderKL

    from ...checkpoints import reference_configs

    return AutoencoderKL.from_config(reference_configs.components(family)["vae"])


def unet_inputs(family: str, count: int, dtype: Any) -> dict[str, Any]:
    """Inputs of a UNet for `count` pictures of the family's own size with CFG."""
    import torch

    xl = family == "sdxl"
    side, width = (128, 2048) if xl else (64, 768)
    made = functools.partial(torch.empty, dtype=dtype)
    inputs = {
        "sample": made(2 * count, 4, side, side),
        "timestep": torch.tensor(5),
        "encoder_hidden_states": made(2 * count, 77, width),
        "return_dict": False,
    }
    if xl:
        inputs["added_cond_kwargs"] = {
            "text_embeds": made(2 * count, 1280),
            "time_ids": made(2 * count, 6),
        }
    return inputs


def _denoise(family: str, model: Any) -> Any:
    return model(**unet_inputs(family, 1, model.dtype))


def _decode(side: int, model: Any) -> Any:
    import torch

    return model.decode(torch.empty(1, 4, side, side, dtype=model.dtype), return_dict=False)


def _led(family: str, dtype: Any) -> float:
    """The peak of a ControlNet's step with its UNet."""
    import torch
    from diffusers import ControlNetModel

    class Led(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = unet(family)
            self.net = ControlNetModel.from_unet(self.unet, load_weights_from_unet=False)

    def step(models: Any) -> Any:
        inputs = unet_inputs(family, 1, dtype)
        side = inputs["sample"].shape[-1] * 8
        down, middle = models.net(
            controlnet_cond=torch.empty(2, 3, side, side, dtype=dtype), **inputs
        )
        return models.unet(
            **inputs,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        )

    return traced_peak(Led, step, dtype)


def _segmenter(half: bool) -> float:
    import torch
    from transformers import SamConfig, SamModel

    from ...stages.accel import half_encoder

    def make() -> Any:
        model = SamModel(SamConfig())
        if half:
            half_encoder.apply(model, torch.float16)
        return model

    def mask(model: Any) -> Any:
        picture, box = torch.empty(1, 3, 1024, 1024), torch.empty(1, 1, 4)
        return model(pixel_values=picture, input_boxes=box, multimask_output=False)

    return traced_peak(make, mask, torch.float32)


def training_peak(family: str, *, checkpointing: bool, rank: int = 16) -> float:
    """GiB beside the frozen weights at the peak of a LoRA's training steps on one picture."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from ...training.lora import network

    dtype = torch.bfloat16
    with torch.device("meta"):
        model = _built(lambda: unet(family), dtype)
        network.attach(model, rank=rank, alpha=rank / 2)
    if checkpointing:
        model.enable_gradient_checkpointing()
    model.train()
    with FakeTensorMode(allow_non_fake_inputs=True), PeakMemory() as memory:
        for module in model.modules():
            for name, weight in module._parameters.items():
                if weight is not None:
                    module._parameters[name] = torch.nn.Parameter(
                        torch.empty(weight.shape, dtype=weight.dtype), weight.requires_grad
                    )
        learned = list(network.parameters(model).values())
        frozen = sum(w.nbytes for w in model.parameters() if not w.requires_grad)
        optimizer = torch.optim.AdamW(learned, foreach=False)
        inputs = unet_inputs(family, 1, dtype)
        for values in (inputs, inputs.get("added_cond_kwargs", {})):
            for name, value in values.items():  # no CFG
                if isinstance(value, torch.Tensor) and value.ndim:
                    values[name] = value[:1]
        for _ in range(2):  # the second has the optimizer's state beside it
            with torch.autocast("cpu", dtype=dtype):
                loss = model(**inputs)[0].float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return (memory.peak - frozen) / GIB


def trace() -> dict[str, float]:
    """`TRACED` anew."""
    import torch

    half, out = torch.float16, {}
    for family, side in (("sd15", 64), ("sdxl", 128)):
        out[f"{family} unet"] = traced_peak(
            functools.partial(unet, family), functools.partial(_denoise, family), half
        )
        out[f"{family} unet, controlnet"] = _led(family, half)
        out[f"{family} vae"] = traced_peak(
            functools.partial(vae, family), functools.partial(_decode, side), half
        )
    out["sam"], out["sam float32"] = _segmenter(half=True), _segmenter(half=False)
    out["sdxl training"] = training_peak("sdxl", checkpointing=False)
    out["sdxl training, checkpointing"] = training_peak("sdxl", checkpointing=True)
    return {name: round(value, 2) for name, value in out.items()}
