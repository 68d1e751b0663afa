"""Hashes of what draws a run: fingerprints of models, LoRAs and embeddings, and short hashes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoints.catalog.entry import UnknownCheckpointError
from ...checkpoints.lora import search as lora_search
from ..prompts import embedding_files, loras, wildcards
from . import replicate, text_to_image

if TYPE_CHECKING:
    from ...configs.schema import Settings

MODEL = "model"
_KINDS = {"lora": "LoRA", "embedding": "textual inversion"}


def fingerprints(
    settings: Settings, prompts: Collection[str] = (), negatives: Collection[str] = ()
) -> dict[str, str]:
    """What each model of the settings is: a hash of its weights, or its hub repository, with the
    commit where it is pinned.

    The hash is SHA-256 over names, sizes and the first 64 MiB of each weight file; that of a LoRA
    (`lora:name`) or textual inversion (`embedding:name`) which a prompt names is over the whole
    file, that of a wildcard (`wildcard:name`) over its entries.
    """
    from ...checkpoints.catalog.names import resolve
    from ...checkpoints.hub.pull import identity

    out = {}
    refs = [settings.generate.model, settings.detect.model, settings.segment.model]
    refs += [ref for c in settings.leading for ref in (c.model, c.annotator) if ref]
    refs += [settings.verify.model] if settings.verify else []
    refs += text_to_image.refs(settings)
    for ref in refs:
        place = Path(resolve(ref))
        if not place.exists():
            out[ref] = identity(ref)
            continue
        digest = sha256()
        try:
            files = place.rglob("*.safetensors") if place.is_dir() else [place]
            for path in sorted(path for path in files if path.is_file()):
                digest.update(f"{path.name} {path.stat().st_size}\n".encode())
                with path.open("rb") as file:
                    digest.update(file.read(64 << 20))
        except OSError as error:
            raise UnknownCheckpointError(
                f"model {ref!r} cannot be read ({(error.strerror or str(error)).lower()}): "
                "expected a folder or a weights file; check the path"
            ) from None
        out[ref] = f"sha256:{digest.hexdigest()}"
    out |= loras.hash_loras(settings, prompts)
    embeddings = embedding_files.hash_embeddings(settings, [*prompts, *negatives])
    out |= {name: f"sha256:{digest}" for name, digest in embeddings.items()}
    return out | wildcards.hash_wildcards(settings, prompts)


def short_hashes(
    settings: Settings, prompts: Collection[str] = (), negatives: Collection[str] = ()
) -> dict[str, str]:
    """The model's, as `model`, where it is one file (10 hex digits of its SHA-256), and those of
    what the settings' and other texts name: LoRAs as `lora:name` (see `short_hash`), textual
    inversions as `embedding:name` (12 hex digits of their SHA-256)."""
    from ...checkpoints.catalog.names import resolve

    embeddings = embedding_files.hash_embeddings(settings, [*prompts, *negatives])
    out = {name: digest[:12] for name, digest in embeddings.items()}
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
            kind, _, own = name.partition(":")
            what = f"{_KINDS[kind]} {own!r}" if own else "the model"
            out.append(f"{what} has other weights: {then} then, {here} now")
    return out
