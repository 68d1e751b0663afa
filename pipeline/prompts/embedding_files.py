"""Textual inversions of a run: which files its prompts name, checked before models are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...checkpoints.identify import base_family
from ...checkpoints.lora import search as lora_search
from ...checkpoints.textual_inversion import EmbeddingLibrary
from ...stages.prompts import dynamic_prompts, textual_inversions
from . import wildcards
from .loras import prompt_texts

if TYPE_CHECKING:
    from ...checkpoints.textual_inversion import Embedding
    from ...configs.schema import Settings


def embedding_folders(settings: Settings) -> tuple[str, ...]:
    """Return the folders of `generate.embedding_dirs`; catalogue names resolved."""
    from ...checkpoints.hub.first_use import local_or_repository

    return tuple(local_or_repository(folder) for folder in settings.generate.embedding_dirs)


def embedding_library(settings: Settings) -> EmbeddingLibrary:
    """Return the textual inversions of a run."""
    return EmbeddingLibrary(embedding_folders(settings), allow_pickle=settings.run.allow_pickle)


def find_embeddings(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, Embedding]:
    """Return the textual inversions that act, by name: those that the settings' prompts, negative
    prompts and edits name, or other texts, and that fit `generate.model`.

    Raises EmbeddingFileError, PickleError.
    """
    library = embedding_library(settings)
    if not library.files:
        return {}
    negatives = (settings.generate.negative_prompt, settings.rerender.negative_prompt)
    known = wildcards.load_wildcards(settings)
    texts = prompt_texts(settings, prompts)
    texts += [text for negative in negatives for text in dynamic_prompts.variants(negative, known)]
    names = [name for text in texts for name in textual_inversions.found(text, library.files)]
    model, allow = settings.generate.model, settings.run.allow_pickle
    base = base_family.base_of_checkpoint(model, allow_pickle=allow)
    out = {name: library.read(name) for name in dict.fromkeys(names)}
    return {name: embedding for name, embedding in out.items() if embedding.base.fits(base)}


def hash_embeddings(settings: Settings, prompts: Iterable[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the files of `find_embeddings`, as `embedding:name`."""
    try:
        found = find_embeddings(settings, prompts)
    except ValueError:  # a run without stages 1 and 3 needs none of them
        return {}
    return {f"embedding:{name}": lora_search.sha256(e.path) for name, e in found.items()}
