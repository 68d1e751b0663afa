"""What the models of a run are, so that another can be told from it. Loads none."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..prompts import loras, wildcards
from . import text_to_image

if TYPE_CHECKING:
    from ...configs.schema import Settings


def fingerprints(settings: Settings, prompts: Collection[str] = ()) -> dict[str, str]:
    """What each model of the settings is: a hash of its weights, or its hub repository, with the
    commit where it is pinned.

    The hash is SHA-256 over names, sizes and the first 64 MiB of each weight file; that of a LoRA
    which a prompt names (`lora:name`) is over the whole file, that of a wildcard
    (`wildcard:name`) over its entries.
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
        for path in sorted([place] if place.is_file() else place.rglob("*.safetensors")):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                digest.update(file.read(64 << 20))
        out[ref] = f"sha256:{digest.hexdigest()}"
    out |= loras.hash_loras(settings, prompts)
    return out | wildcards.hash_wildcards(settings, prompts)
