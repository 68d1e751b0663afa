"""What this machine has, and what each preset would need of it. Loads no model, asks no network."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...configs.version import VERSION, installed
from ...stages.accel.memory import main_memory

if TYPE_CHECKING:
    from ...configs.schema import Settings

_GIB = 2**30
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate", "numpy", "pillow")
EXTRAS = {
    "controlnet_aux": "aux",
    "gradio": "ui",
    "pycocotools": "annotate",
    "ray": "ray",
    "segment_anything": "originals",
    "bitsandbytes": "quantize",
}
"""Packages that some commands need, and the extra that installs them."""


IN_PARTS = 4
"""GiB of a GPU on which a large transformer runs block by block: a block, and activations."""


@dataclass(frozen=True)
class Device:
    """What models run on. `why`: what chose it; memory in GiB of that device, None where it cannot
    be told."""

    name: str
    why: str
    dtype: str
    memory_gib: float | None
    free_gib: float | None


@dataclass(frozen=True)
class Need:
    """A preset and this machine. `memory_gib`: advised for its models together, at their own size,
    None where nothing is known of them; `low_gib`: the same with --low-memory; `in_parts`: whether
    it fits block by block alone; `missing`: models that are not on this disk; `broken`: why the
    preset cannot be read."""

    preset: str
    memory_gib: float | None
    missing: tuple[str, ...]
    fits: bool | None
    broken: str = ""
    low_gib: float | None = None
    fits_low: bool | None = None
    in_parts: bool = False

    def __str__(self) -> str:
        if self.broken:
            return self.broken
        size = f"{self.memory_gib:g} GiB" if self.memory_gib else "little memory"
        verdict = {True: "fits", False: "does not fit", None: "cannot be told"}[self.fits]
        if self.fits is False and self.low_gib:
            verdict = "fits with --low-memory" if self.fits_low else verdict
            verdict += ", block by block" if self.fits_low and self.in_parts else ""
            size = (
                f"{self.low_gib:g} GiB; {size} without"
                if self.fits_low
                else (f"{size}; {self.low_gib:g} GiB with --low-memory")
            )
        there = f"to fetch: {', '.join(self.missing)}" if self.missing else "all models are here"
        return f"{verdict} ({size}); {there}"


def device(asked: str = "auto") -> Device:
    """The device that a run would take, and why; raises DeviceError for one that is not there."""
    import torch

    from ...configs.schema import load_settings
    from ..build.devices import device_and_dtype

    name, dtype = device_and_dtype(load_settings("mini", {"run.device": asked}))
    if asked != "auto":
        why = "as asked"
    elif name.startswith("cuda"):
        why = f"the first GPU of {torch.cuda.device_count()}"
    elif name == "mps":
        why = "Apple's GPU; float16 overflows there"
    elif torch.version.cuda is None and torch.version.hip is None:
        why = "this torch was built without CUDA"
    else:
        why = "torch sees no GPU"
    if name.startswith("cuda"):
        index = torch.device(name).index or 0
        free, total = torch.cuda.mem_get_info(index)
        why = f"{torch.cuda.get_device_name(index)}, {why}"
        memory, left = total / _GIB, free / _GIB
        return Device(name, why, _short(dtype), round(memory, 1), round(left, 1))
    return Device(name, why, _short(dtype), *memory_gib())


def _short(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def memory_gib() -> tuple[float, float]:
    """(all, available) main memory."""
    total, available = main_memory()
    return round(total / _GIB, 1), round(available / _GIB, 1)


def libraries() -> dict[str, str | None]:
    """Versions of what makes the pictures and of the extras; None: not installed."""
    return {name: installed(name.replace("_", "-")) for name in (*LIBRARIES, *EXTRAS)}


def cache() -> dict[str, Any]:
    """Where models lie and how much room there is, in GiB; which switches are set."""
    from huggingface_hub import constants, get_token

    from ...checkpoints.hub import lockfile
    from ...checkpoints.hub.cache import root

    place = root()
    there = next(p for p in (place, *place.parents) if p.exists())
    models = list(place.glob("models--*")) if place.is_dir() else []
    pins = lockfile.default_path()
    return {
        "folder": str(place),
        "models": len(models),
        "free_gib": round(shutil.disk_usage(there).free / _GIB, 1),
        "offline": bool(constants.HF_HUB_OFFLINE),
        "token": get_token() is not None,
        "lock": str(pins) if pins.is_file() else None,
    }


def refs(settings: Settings) -> list[str]:
    """Every model that the settings name, each once."""
    from ..build import control_maps, text_to_image

    out = [settings.generate.model, settings.detect.model, settings.segment.model]
    for c in settings.leading:
        out += [c.model, c.annotator or control_maps.ANNOTATORS.get(c.kind, "")]
    out += [settings.verify.model] if settings.verify else []
    return list(dict.fromkeys(ref for ref in [*out, *text_to_image.refs(settings)] if ref))


def together(settings: Settings, gpu: bool) -> list[list[str]]:
    """The models that are in memory at a time with --low-memory: a GPU's, or a CPU's."""
    from ..build import control_maps, text_to_image

    refiner = [settings.refiner.model] if settings.refiner else []
    own = [settings.rerender.model] if settings.rerender.model else []
    refs = (ref for ref in text_to_image.refs(settings) if ref not in (*refiner, *own))
    base = [settings.generate.model, *refs]
    nets = [c.model for c in settings.leading]
    maps = [c.annotator or control_maps.ANNOTATORS.get(c.kind, "") for c in settings.leading]
    find = [settings.detect.model, settings.segment.model]
    find += [settings.verify.model] if settings.verify else []
    if gpu:
        leads = [[*base], [*own, *nets]] if own else [[*base, *nets]]
        return [*leads, refiner, *([ref] for ref in (*find, *maps))]
    return [[*base, *refiner], find, [*(own or base), *nets, *maps]]


def need(preset: str, on: Device, main_gib: float | None = None) -> Need:
    """What a preset would need on a device. `main_gib`: the main memory beside a GPU's, where what
    is not at work waits with --low-memory; None: enough.

    In float32 (a CPU) models take twice what the catalogue advises, which is of float16.
    """
    from ...checkpoints.catalog.entry import UnknownCheckpointError
    from ...checkpoints.catalog.names import catalogue
    from ...checkpoints.hub import status as hub_status
    from ...configs.schema import SettingsError, load_settings
    from ..build.devices import has_own_memory

    try:
        settings = load_settings(preset)
    except SettingsError as error:
        return Need(preset, None, (), None, f"cannot be read: {error}")
    dtype = settings.run.dtype if settings.run.dtype != "auto" else on.dtype
    gpu, each = has_own_memory(on.name), 2 if dtype == "float32" else 1
    advised: dict[str, float] = {}
    spared: dict[str, float] = {}  # with --low-memory on a GPU
    missing, embedded, large = [], True, False
    by_repository = {e.repository: e for e in catalogue().values() if e.repository}
    for ref in refs(settings):
        try:
            where = hub_status.look_up(ref).where
        except (UnknownCheckpointError, ValueError):
            where = "missing"
        if where in ("missing", "partial"):
            missing.append(ref)
        embedded = embedded and where == "embedded"
        entry = by_repository.get(ref) or catalogue().get(ref)
        advised[ref] = (entry.memory_gib or 0) if entry else 0
        in_8_bits = entry.low_memory_gib if entry and gpu else None
        spared[ref] = advised[ref] * each if in_8_bits is None else in_8_bits
        large = large or in_8_bits is not None
    if embedded:
        return Need(preset, None, tuple(missing), True, fits_low=True)
    if not any(advised.values()):
        return Need(preset, None, tuple(missing), None)
    whole = each * sum(advised.values())
    low = max(
        sum(spared.get(ref, 0) for ref in dict.fromkeys(part)) for part in together(settings, gpu)
    )
    if on.memory_gib is None:
        return Need(preset, whole, tuple(missing), None, low_gib=low)
    room = not gpu or main_gib is None or whole <= main_gib
    in_parts = large and IN_PARTS <= on.memory_gib < low
    return Need(
        preset,
        whole,
        tuple(missing),
        fits=whole <= on.memory_gib,
        low_gib=low,
        fits_low=(low <= on.memory_gib or in_parts) and room,
        in_parts=in_parts,
    )


def report(asked: str = "auto") -> dict[str, Any]:
    """Everything, as plain values."""
    from ...configs.schema import presets

    on = device(asked)
    total, available = memory_gib()
    return {
        "visuals": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": asdict(on),
        "memory": {"gib": total, "available_gib": available, "cores": os.cpu_count()},
        "libraries": libraries(),
        "cache": cache(),
        "presets": {name: need(name, on, total) for name in presets()},
    }
