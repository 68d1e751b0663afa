"""Chooses the device and the dtype of models from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError

if TYPE_CHECKING:
    from ...checkpoints.stored_weights import Weights
    from ...configs.schema import Settings

KINDS = ("cpu", "cuda", "mps", "xpu")


class DeviceError(UsageError):
    """A device that is not there; the message says got, expected, remedy."""


def device_and_dtype(settings: Settings) -> tuple[str, Any]:
    """`auto` is the first GPU, else Apple's, else the CPU; float16 on a GPU, bfloat16 on Apple's
    where it can, float32 elsewhere.

    Raises DeviceError.
    """
    import torch

    device: str = settings.run.device
    name: str = settings.run.dtype
    if device == "auto":
        apple = "mps" if torch.backends.mps.is_available() else "cpu"
        device = "cuda" if torch.cuda.is_available() else apple
    device = _there(device)
    if name == "auto":
        name = "float16" if device.startswith("cuda") else "float32"
        if device == "mps" and _takes_bfloat16(device):
            name = "bfloat16"
    return device, getattr(torch, name)


def _takes_bfloat16(device: str) -> bool:
    """Whether Apple's GPU computes in bfloat16: with macOS 14 and Apple's own chips. In float16,
    Stable Diffusion overflows there (AUTOMATIC1111 starts with --upcast-sampling --no-half-vae)."""
    import torch

    try:
        torch.ones(1, dtype=torch.bfloat16, device=device)
    except (TypeError, RuntimeError):  # "BFloat16 is not supported on MPS"
        return False
    return True


def has_own_memory(device: str) -> bool:
    """Whether a model that waits in main memory leaves room there; Apple's GPUs share it."""
    return device not in ("cpu", "mps")


def loading_place(settings: Settings) -> tuple[str, Any]:
    """Where models are loaded to, and their dtype: with run.low_memory those of a GPU wait in main
    memory."""
    device, dtype = device_and_dtype(settings)
    waits = settings.run.low_memory and has_own_memory(device)
    return "cpu" if waits else device, dtype


def weight_storage(settings: Settings) -> Weights:
    """How the weights of large transformers are stored: `run.weights`; unasked in 8 bits with
    run.low_memory, where the device has numbers of 8 bits."""
    if settings.run.weights != "auto":
        return settings.run.weights
    device, _ = device_and_dtype(settings)
    return "fp8" if settings.run.low_memory and device != "mps" else "full"


def encoder_dtype(settings: Settings) -> Any:
    """What the segmenter encodes pictures in: float16 on a device with its own memory, unless the
    run is in float32 or not accelerated; None for its weights' own float32."""
    import torch

    device, dtype = device_and_dtype(settings)
    half = has_own_memory(device) and dtype != torch.float32 and settings.run.accelerate
    return torch.float16 if half else None


def _there(device: str) -> str:
    """A device that torch has, as it calls it."""
    import torch

    kind, colon, number = device.partition(":")
    if kind not in KINDS or (colon and not number.isdecimal()):
        raise DeviceError(
            f"device {device!r}: expected auto, cpu, cuda, cuda:1 or mps; set --device"
        )
    if kind == "cpu":
        return "cpu"
    if not getattr(torch, kind).is_available():
        raise DeviceError(
            f"device {device!r}: this machine shows no GPU to torch; set --device cpu"
            if kind == "cuda"
            else f"device {device!r}: torch sees none here; set --device auto"
        )
    count = getattr(torch, kind).device_count()
    if colon and int(number) >= count:
        raise DeviceError(
            f"device {device!r}: expected {kind}:0 to {kind}:{count - 1}; set --device {kind}"
        )
    return device


def parallel_parts(settings: Settings, device: str) -> int:
    """How many parts of a batch go through stage 2 in parallel: on a CPU one a core, if there is
    memory for two."""
    from ...stages.accel import cpu_parallel

    sizes = (settings.run, settings.detect, settings.segment)
    least = min(section.batch_size for section in sizes)
    return 1 if settings.run.low_memory else min(least, cpu_parallel.workers(device, least))
