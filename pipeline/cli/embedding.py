"""`visuals embedding`: lists textual inversions and shows what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output
from .grouped_help import examples
from .options import apply, errors
from .output import echo

if TYPE_CHECKING:
    from ...checkpoints.textual_inversion import Embedding, EmbeddingLibrary


@click.group()
def embedding() -> None:
    """Show textual inversions in the preset's folders and --embedding-dir, or one by its path."""


@embedding.command(
    epilog=examples(
        "visuals embedding info look.safetensors",
        "visuals embedding info look --embedding-dir embeddings",
    )
)
@click.argument("name", metavar="FILE|NAME")
@apply("embedding_dir", "preset", "allow_pickle", "json")
@errors
def info(name: str, as_json: bool, **options: Any) -> None:
    """Show base model, vectors and hashes of a textual inversion."""
    from ...checkpoints import textual_inversion
    from ...checkpoints.lora.search import sha256

    if Path(name).is_file():
        found = textual_inversion.read(Path(name), allow_pickle=bool(options["allow_pickle"]))
    else:
        found = _library(**options).find(name)
    whole = sha256(found.path)
    record = _record(found) | {"sha256": whole, "ti_hash": whole[:12]}
    if as_json:
        output.print_json(record)
        return
    for key, value in record.items():
        echo(f"{key.replace('_', ' '):<8} {value}")


@embedding.command(
    "list",
    epilog=examples("visuals embedding list", "visuals embedding list --embedding-dir embeddings"),
)
@apply("embedding_dir", "preset", "allow_pickle", "json")
@errors
def list_(as_json: bool, **options: Any) -> None:
    """List the textual inversions in the folders."""
    library = _library(**options)
    records = []
    for name in library.files:
        try:
            records.append(_record(library.read(name)))
        except ValueError as error:
            output.warn(str(error))
    if as_json:
        output.print_json(records)
        return
    columns = ("name", "base", "vectors")
    output.print_table(columns, [[str(record[c]) for c in columns] for record in records])


def _library(
    embedding_dirs: tuple[str, ...], preset: str, allow_pickle: bool | None
) -> EmbeddingLibrary:
    from ...checkpoints.textual_inversion import EmbeddingLibrary
    from ...configs.schema import load_settings
    from ..prompts.embedding_files import embedding_folders

    folders = [*embedding_dirs, *embedding_folders(load_settings(preset))]
    return EmbeddingLibrary(folders, allow_pickle=bool(allow_pickle))


def _record(found: Embedding) -> dict[str, Any]:
    return {
        "name": found.name,
        "file": str(found.path),
        "base": str(found.base),
        "vectors": found.count,
    }
