"""Lists the models that stages load, before they are loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints.annotators import ANNOTATORS as AUXILIARY
from ...checkpoints.catalog.names import resolve
from ...checkpoints.hub.first_use import Needed
from ...checkpoints.load import ip_adapter_files, lora_files
from ...configs.text_files import read_json_object
from . import control_maps, replicate

if TYPE_CHECKING:
    from ...configs.schema import Settings

STAGES = ("generate", "detect", "segment", "rerender")


def required_models(settings: Settings, needs: Collection[str]) -> list[Needed]:
    """Return the models that some of the `STAGES` load; "detect" includes the verifier.

    Left out are the preprocessors of controlnet-aux, which fetches them itself.
    """
    return [*_drawing(settings, needs), *_finding(settings, needs), *_leading(settings, needs)]


def auxiliary_models(settings: Settings, needs: Collection[str]) -> list[str]:
    """Return the repositories that controlnet-aux fetches from for the control maps of stage 3."""
    if "rerender" not in needs:
        return []
    kinds = [c for c in settings.leading if c.kind in AUXILIARY]
    return [c.annotator or control_maps.ANNOTATORS[c.kind] for c in kinds]


def _drawing(settings: Settings, needs: Collection[str]) -> Iterator[Needed]:
    g = settings.generate
    draws = "generate" in needs and not replicate.draws(settings)
    own = settings.rerender.model if "rerender" in needs else None
    if own:
        yield Needed(own)
    if not draws and (own or "rerender" not in needs):
        return
    yield Needed(g.model)
    if g.vae:
        yield Needed(g.vae)
    for lora in g.base_loras:
        yield Needed(lora.model, lora_files(lora.model, lora.weight_name))
    if g.ip_adapter and g.ip_adapter.references:
        a = g.ip_adapter
        yield Needed(a.model, ip_adapter_files(a.subfolder, a.weight_name))
    if draws and settings.refiner:
        yield Needed(settings.refiner.model)


def _finding(settings: Settings, needs: Collection[str]) -> Iterator[Needed]:
    if "detect" in needs:
        yield Needed(settings.detect.model)
        if settings.verify:
            yield Needed(settings.verify.model)
    if "segment" in needs and not ("detect" in needs and _gives_masks(settings.detect.model)):
        yield Needed(settings.segment.model)


def _leading(settings: Settings, needs: Collection[str]) -> Iterator[Needed]:
    if "rerender" not in needs:
        return
    for c in settings.leading:
        yield Needed(c.model)
        if c.kind in ("depth", "seg"):
            yield Needed(c.annotator or control_maps.ANNOTATORS[c.kind])


def _gives_masks(detector: str) -> bool:
    """Whether a detector is SAM 3, with which no segmenter is loaded."""
    place = Path(resolve(detector))
    model_type = read_json_object(place / "config.json").get("model_type")
    return str(model_type or place.name).startswith("sam3")
