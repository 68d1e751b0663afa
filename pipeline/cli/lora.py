"""`visuals lora`: lists LoRA files and shows their metadata and hashes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import output
from .grouped_help import examples
from .options import apply, errors
from .output import echo

if TYPE_CHECKING:
    from ...checkpoints.lora.file import LoraFile


@click.group()
def lora() -> None:
    """Show LoRA files in the preset's folders and --lora-dir, or one by its path."""


@lora.command(
    epilog=examples("visuals lora info ppzmini", "visuals lora info look.safetensors --json")
)
@click.argument("name", metavar="FILE|NAME")
@apply("lora_dir", "preset", "json")
@errors
def info(name: str, lora_dirs: tuple[str, ...], preset: str, as_json: bool) -> None:
    """Show format, base model, rank, alpha, trigger words, licence and hashes of a LoRA."""
    from ...checkpoints.licences.find import licence_of
    from ...checkpoints.lora import search as lora_search

    path = Path(name)
    if not path.is_file():
        path = lora_search.find(name, _folders(lora_dirs, preset))
    file = lora_search.read(path)
    record = _record(file) | {"licence": licence_of(path)} | _hashes(file)
    if as_json:
        output.print_json(record)
        return
    for key, value in record.items():
        if value not in (None, [], {}, ""):
            echo(f"{key.replace('_', ' '):<15} {_plain(value)}")


@lora.command("list", epilog=examples("visuals lora list", "visuals lora list --lora-dir loras"))
@apply("lora_dir", "preset", "json")
@errors
def list_(lora_dirs: tuple[str, ...], preset: str, as_json: bool) -> None:
    """List the LoRAs in the folders."""
    from ...checkpoints.lora import search as lora_search
    from ...checkpoints.lora.file import LoraFileError

    records = []
    for path in lora_search.files_in(_folders(lora_dirs, preset)):
        try:
            records.append(_record(lora_search.read(path)))
        except LoraFileError as error:
            output.warn(str(error))
    if as_json:
        output.print_json(records)
        return
    columns = ("name", "format", "base", "rank", "alpha", "trigger_word")
    output.print_table(columns, [[_plain(r[c]) for c in columns] for r in records])


def _folders(lora_dirs: tuple[str, ...], preset: str) -> list[str]:
    from ...configs.schema import load_settings
    from ..prompts.loras import lora_folders

    return [*lora_dirs, *lora_folders(load_settings(preset))]


def _record(file: LoraFile) -> dict[str, Any]:
    word, where = file.trigger or (None, None)
    return {
        "name": file.name,
        "file": str(file.path),
        "format": file.format,
        "base": str(file.base),
        "rank": list(file.ranks),
        "alpha": list(file.alphas),
        "modules": dict(file.modules),
        "output_name": file.output_name,
        "trigger_word": word,
        "trigger_source": where,
        "tags": list(file.tags),
        "resolution": list(file.resolution) if file.resolution else None,
        "clip_skip": file.clip_skip,
        "unread_keys": dict(file.unread),
    }


def _hashes(file: LoraFile) -> dict[str, str | None]:
    """Return the file's hashes: SHA-256; AutoV2, A1111's and Civitai's short hash; AutoV3, of the
    weights alone, as in A1111's images; `sshs_model_hash`, the full AutoV3 if the trainer wrote it.
    """
    from ...checkpoints.lora import search as lora_search

    whole = lora_search.sha256(file.path)
    short = {"auto_v2": whole[:10], "auto_v3": lora_search.short_hash(file.path)}
    return {"sha256": whole, **short, "sshs_model_hash": file.model_hash}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} in {part}" for part, count in value.items())
    if isinstance(value, list):
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    return "" if value is None else str(value)
