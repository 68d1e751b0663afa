"""Licences of a run's models and LoRAs: recorded as facts, and held against `run.license`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints.catalog.names import catalogue, find
from ...checkpoints.licences.find import licence_of
from ...checkpoints.licences.terms import UNKNOWN, terms_of
from ...configs.errors import UsageError
from ..prompts import loras
from . import replicate
from .required_models import auxiliary_models, required_models

if TYPE_CHECKING:
    from ...configs.schema import Settings

_LORA, _HOST = "lora:", "replicate:"
_CONTROLNET = ", the ControlNet of stage 3,"
_WITHOUT_IT = (
    "leave stage 3 out (visuals generate), take a preset whose ControlNet allows it, such as zimage"
)


class LicenceError(UsageError):
    """A model's licence does not allow what `run.license` asks for."""


def licences(
    settings: Settings, needs: Collection[str], prompts: Collection[str] = (), *, ask: bool = False
) -> dict[str, str]:
    """Return the licence of each model that stages load, and of each LoRA as `lora:name`.

    A model that a host draws with is `replicate:version`. "unknown" where nothing names a licence.
    `ask`: whether the hub is asked, see `licence_of`.
    """
    refs = [model.ref for model in required_models(settings, needs)]
    refs += auxiliary_models(settings, needs)
    out = {ref: licence_of(ref, ask=ask) for ref in dict.fromkeys(refs)}
    hosted = "generate" in needs and replicate.draws(settings)
    if hosted:
        out[f"{_HOST}{settings.generate.version}"] = UNKNOWN
    if "rerender" in needs or ("generate" in needs and not hosted):
        out |= _of_loras(settings, prompts)
    return out


def _of_loras(settings: Settings, prompts: Collection[str]) -> dict[str, str]:
    """Return the licences of LoRAs: their own, else those of the folders that they were found in.

    LoRAs that cannot be read are refused elsewhere, in words of their own.
    """
    try:
        files = loras.find_loras(settings, prompts)
    except ValueError:
        return {}
    folders = dict(zip(loras.lora_folders(settings), settings.generate.lora_dirs, strict=True))
    out = {}
    for name, file in files.items():
        found = licence_of(file.path)
        for place, ref in folders.items():
            if found == UNKNOWN and Path(place).resolve() in file.path.resolve().parents:
                found = licence_of(ref)
        out[f"{_LORA}{name}"] = found
    return out


def check(settings: Settings, needs: Collection[str], prompts: Collection[str] = ()) -> None:
    """Raise LicenceError for models that `run.license` rules out, before anything is downloaded."""
    if settings.run.license == "any":
        return
    bad = [
        _refusal(ref, licence, leads=ref in {c.model for c in settings.leading})
        for ref, licence in licences(settings, needs, prompts, ask=True).items()
        if terms_of(licence).use in ("forbidden", "unknown")
    ]
    if bad:
        raise LicenceError(f"--license commercial: {'; '.join(bad)}")


def conditions(
    settings: Settings, needs: Collection[str], prompts: Collection[str] = ()
) -> Iterator[str]:
    """Yield a line for each licence that allows commercial use under conditions."""
    by_licence: dict[str, list[str]] = {}
    for ref, licence in licences(settings, needs, prompts).items():
        if terms_of(licence).use == "conditions":
            by_licence.setdefault(licence, []).append(ref)
    for licence, refs in by_licence.items():
        yield f"{', '.join(refs)}: {licence}: {terms_of(licence).note}"


def _refusal(ref: str, licence: str, *, leads: bool) -> str:
    """What is wrong with a model and what to do; `leads`: whether it is a ControlNet of stage 3."""
    if terms_of(licence).use == "forbidden":
        what, remedy = (_CONTROLNET, _WITHOUT_IT) if leads else ("", _remedy(ref))
        return (
            f"{ref}{what} is licensed {licence!r}, which forbids commercial use: {remedy}, or, "
            "with a contract of your own: visuals checkpoints add NAME "
            f"{_place(ref)} --license commercial"
        )
    what = f"{ref} has a licence that is not known"
    if licence != UNKNOWN:
        what = f"{ref} is licensed {licence!r}, of which nothing is known here"
    if ref.startswith(_HOST):
        return f"{what}; read the host's terms, then leave --license out"
    return (
        f"{what}: read it, then name the model with it: visuals checkpoints add NAME "
        f"{_place(ref)} --license IDENTIFIER, as in mit"
    )


def _place(ref: str) -> str:
    return "FILE" if ref.startswith(_LORA) else ref


def _remedy(ref: str) -> str:
    """Return what to take in place of a model: the first of its kind and make that is allowed."""
    known = catalogue()
    repository = getattr(find(ref), "repository", None) or ref
    for name, entry in known.items():
        if entry.repository != repository:
            continue
        for other, instead in known.items():
            alike = other.split("-")[0] == name.split("-")[0] and instead.kind == entry.kind
            if alike and terms_of(instead.licence or UNKNOWN).use in ("allowed", "conditions"):
                return f"take {instead.repository or other} ({instead.licence})"
    return "take another, visuals checkpoints list shows licences"
