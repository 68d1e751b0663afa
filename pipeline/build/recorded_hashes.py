"""A1111's short hashes of a run's model and LoRAs, as they stand in its pictures; and which of them
are others by now. Loads no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints.lora import search as lora_search
from ..prompts import loras
from . import replicate

if TYPE_CHECKING:
    from ...configs.schema import Settings

MODEL = "model"


def of(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """The model's, as `model`, where it is one file (10 hex digits of its SHA-256), and those of
    the LoRAs that the settings' and other prompts name, as `lora:name` (see `short_hash`)."""
    from ...checkpoints.catalog.names import resolve

    out = {}
    file = Path(resolve(settings.generate.model))
    if file.is_file() and not replicate.draws(settings):
        out[MODEL] = lora_search.sha256(file)[:10]
    try:
        files = loras.find_loras(settings, prompts)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return out
    return out | {f"lora:{name}": lora_search.short_hash(f.path) for name, f in files.items()}


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A sentence for each hash that is known of both and differs.

    >>> differences({"lora:look": "0123456789ab"}, {"lora:look": "ba9876543210"})
    ["LoRA 'look' has other weights: 0123456789ab then, ba9876543210 now"]
    """
    out = []
    for name, then in was.items():
        here = now.get(name)
        size = min(len(then), len(here or ""))
        if here and then.lower()[:size] != here[:size]:
            what = "the model" if name == MODEL else f"LoRA {name.removeprefix('lora:')!r}"
            out.append(f"{what} has other weights: {then} then, {here} now")
    return out
