"""`visuals checkpoints`: lists, downloads, verifies and names models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .grouped_help import examples
from .output import console, echo, print_json
from .progress import VerificationProgress

if TYPE_CHECKING:
    from ...checkpoints.hub.status import Status

_LOCK = click.option(
    "--lock",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="VISUALS_LOCK",
    metavar="FILE",
    help="Lock file. Default: ./checkpoints.lock if it exists, else the user's.",
)


@click.group()
def checkpoints() -> None:
    """List, download, verify and name models."""


@checkpoints.command(
    "list",
    epilog=examples(
        "visuals checkpoints list --cached", "visuals checkpoints list --kind controlnet"
    ),
)
@click.option("--kind", metavar="NAME", help="Only this kind, as in controlnet.")
@click.option("--cached", is_flag=True, help="Only models on this machine.")
@_LOCK
@options.apply("json")
@options.errors
def list_(kind: str | None, cached: bool, lock: Path | None, as_json: bool) -> None:
    """List all models: where each one is, its size on disk, its licence."""
    from ...checkpoints.hub import status as hub_status
    from ...checkpoints.licences.find import licence_of
    from ...checkpoints.licences.terms import terms_of

    found = [s for s in hub_status.list_all(lock) if not cached or s.where != "missing"]
    kinds = sorted({s.entry.kind for s in found})
    if kind and kind not in kinds:
        raise click.UsageError(f"--kind {kind!r}: expected one of {', '.join(kinds)}")
    found = [s for s in found if not kind or s.entry.kind == kind]
    if as_json:
        print_json({"checkpoints": [s.as_dict() | _licence(s) for s in found]})
        return
    from rich.table import Table

    from ...checkpoints.hub.pull import format_bytes

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("name", "kind", "where", "on disk", "pinned", "licence", "commercial"):
        table.add_column(title, justify="right" if title == "on disk" else "left", no_wrap=True)
    for s in found:
        size = format_bytes(s.size) if s.size else ""
        pinned = (s.commit or "")[:7] if s.pinned else ""
        licence = licence_of(s.name)
        terms = terms_of(licence)
        use = {"conditions": "conditions"}.get(terms.use, str(terms))
        table.add_row(s.name, s.entry.kind, s.where, size, pinned, licence, use)
    console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140).print(table)


@checkpoints.command(
    epilog=examples(
        "visuals checkpoints info sd15",
        "visuals checkpoints info runwayml/stable-diffusion-inpainting",
    )
)
@click.argument("name")
@_LOCK
@options.apply("json")
@options.errors
def info(name: str, lock: Path | None, as_json: bool) -> None:
    """Show details of a model: NAME, or a hub repository owner/name."""
    from ...checkpoints.hub import status as hub_status

    found = hub_status.look_up(name, lock)
    if as_json:
        print_json(found.as_dict(files=True) | _licence(found))
        return
    for key, value in _lines(found):
        echo(f"{key + ':':<12} {value}")


def _pull_preset(preset: str, as_json: bool) -> None:
    from ...checkpoints.hub.first_use import missing
    from ...configs.schema import load_settings
    from ..build.required_models import STAGES, required_models
    from .downloads import download

    models = required_models(load_settings(preset), STAGES)
    lacking = missing(models)
    download(lacking, yes=True)
    if as_json:
        print_json({"preset": preset, "downloaded": [todo.repository for todo in lacking]})
    elif not lacking:
        echo(f"preset {preset}: all models are here")


@checkpoints.command(
    epilog=examples(
        "visuals checkpoints pull --preset sd15", "visuals checkpoints pull sam-vit-base --update"
    )
)
@click.argument("names", nargs=-1)
@click.option(
    "--preset", metavar="NAME", help="Download all models of this preset or settings file."
)
@click.option("--update", is_flag=True, help="Pin the latest commit on the hub.")
@click.option(
    "--variant", metavar="NAME", help="Weights to download: fp16, or none for full precision."
)
@_LOCK
@options.apply("json")
@options.errors
def pull(
    names: tuple[str, ...],
    preset: str | None,
    update: bool,
    variant: str | None,
    lock: Path | None,
    as_json: bool,
) -> None:
    """Download models to the Hugging Face cache: NAMES, those of --preset, or all in the lock file.

    For a preset the same files are downloaded as its first run would.
    """
    if preset:
        if names or update or variant:
            raise click.UsageError("--preset with NAMES, --update or --variant: expected one")
        _pull_preset(preset, as_json)
        return
    from ...checkpoints.hub import lockfile as locks
    from ...checkpoints.hub import pull as puller

    path = lock or locks.default_path()
    todo = list(names) or list(locks.read(path))
    if not todo:
        raise click.UsageError(f"no NAME, and {path} pins nothing; visuals checkpoints list")
    done: list[dict[str, Any]] = []
    failed = 0
    for name in todo:
        try:
            with VerificationProgress(name, as_json) as bar:
                made = puller.pull(
                    name,
                    path=path,
                    update=update,
                    variant=variant,
                    say=bar.say,
                    progress=bar.advance,
                )
        except puller.PullError as error:  # the others are still pulled
            failed += 1
            echo(f"visuals: {error}", err=True)
            done.append({"name": name, "error": str(error)})
            continue
        done.append(
            {"name": name, "repository": made.repository, "commit": made.pin.commit}
            | {"folder": str(made.folder), "size": made.pin.size, "fetched": made.fetched}
        )
        if not as_json:
            what = puller.format_bytes(made.pin.size)
            verb = (
                f"fetched {puller.format_bytes(made.fetched)}"
                if made.fetched
                else "was here already"
            )
            echo(f"{name}: {verb}; {len(made.pin.files)} files, {what}, all as pinned")
    if as_json:
        print_json({"pulled": done})
    if failed:
        sys.exit(1)


@checkpoints.command(
    epilog=examples("visuals checkpoints verify", "visuals checkpoints verify sd15")
)
@click.argument("names", nargs=-1)
@_LOCK
@options.apply("json")
@options.errors
def verify(names: tuple[str, ...], lock: Path | None, as_json: bool) -> None:
    """Verify the hashes of downloaded files: of NAMES, or of all in the cache."""
    from ...checkpoints.hub import status as hub_status

    found = []
    for name in names or hub_status.verifiable(lock):
        with VerificationProgress(name, as_json) as bar:
            found.append(hub_status.verify(name, lock, progress=bar.advance))
        if not as_json:
            echo(found[-1].text)
    if as_json:
        print_json({"verified": [v.as_dict() for v in found]})
    elif not found:
        echo("nothing to verify: no model of the hub is in the cache")
    if any(v.bad for v in found):
        sys.exit(1)


@checkpoints.command(
    epilog=examples(
        "visuals checkpoints add shop models/shop.safetensors",
        "visuals checkpoints add shop-canny owner/canny --kind controlnet",
    )
)
@click.argument("name")
@click.argument("ref")
@click.option(
    "--kind",
    metavar="NAME",
    help="Kind of model, as in text-to-image. Default: guessed from its files.",
)
@click.option(
    "--files",
    multiple=True,
    metavar="PATTERN",
    help="Files to download of a repository; repeatable.",
)
@click.option(
    "--license",
    "licence",
    metavar="IDENTIFIER",
    help="Its licence, as in mit; commercial: a contract of your own.",
)
@options.errors
def add(name: str, ref: str, kind: str | None, files: tuple[str, ...], licence: str | None) -> None:
    """Name a folder, a .safetensors file or a hub repository REF."""
    from ...checkpoints.catalog import user_names
    from ...checkpoints.identify import model_kind
    from ...checkpoints.user_dirs import config_folder

    kind = kind or model_kind.guess_kind(ref)
    entry = user_names.add(name, ref, kind=kind, files=files, licence=licence)
    what = entry.path or entry.repository
    echo(f"{name}: {what} ({entry.kind}), in {config_folder() / user_names.FILE}")


@checkpoints.command(
    epilog=examples("visuals checkpoints remove shop", "visuals checkpoints remove sd15 --files")
)
@click.argument("name")
@click.option("--files", is_flag=True, help="Delete the files from the Hugging Face cache too.")
@options.errors
def remove(name: str, files: bool) -> None:
    """Remove a NAME that was added; with --files also delete the model from the cache."""
    from ...checkpoints.catalog import names as catalog
    from ...checkpoints.catalog import user_names
    from ...checkpoints.hub import cache as hub_cache
    from ...checkpoints.hub.pull import format_bytes, names_of

    entry = catalog.find(name)
    repository = entry.repository if entry else catalog.resolve(name)
    if entry is None and Path(str(repository)).exists():
        raise click.UsageError(f"{name} is a file or folder of yours: delete it yourself")
    taken = user_names.remove(name)
    if not taken and not files:
        raise click.UsageError(
            f"{name!r} is no name of your own; --files deletes its files from the cache"
        )
    if taken:
        echo(f"{name}: removed")
    if files and repository:
        freed = hub_cache.delete(repository)
        others = [n for n in names_of(repository) if n != name]
        also = f" (also {', '.join(others)})" if others else ""
        echo(
            f"{repository}{also}: {format_bytes(freed)} freed"
            if freed
            else f"{repository}: not cached"
        )
    elif files:
        where = entry.path if entry and entry.path else "this package"
        echo(f"{name}: its files stay in {where}; only the cache is deleted from")


def _licence(s: Status) -> dict[str, str]:
    from ...checkpoints.licences.find import licence_of
    from ...checkpoints.licences.terms import terms_of

    licence = licence_of(s.name)
    return {"licence": licence, "commercial": str(terms_of(licence))}


def _lines(s: Status) -> list[tuple[str, str]]:
    from ...checkpoints.hub.pull import format_bytes

    e = s.entry
    lines = [
        ("name", s.name),
        ("kind", e.kind),
        ("page", s.page or ""),
        *_licence(s).items(),
        ("gated", "yes: accept its terms on its page, then hf auth login" if e.gated else ""),
        ("needs", e.needs),
        ("note", e.note or ""),
        ("wanted", ", ".join(e.files) + (f" ({e.variant})" if e.variant else "")),
        ("revision", e.revision or ""),
        ("where", s.where),
        ("folder", str(s.folder or "")),
        ("on disk", format_bytes(s.size) if s.size else ""),
        ("commit", f"{s.commit} ({'pinned' if s.pinned else 'not pinned'})" if s.commit else ""),
    ]
    lines += [("lacking", name) for name in s.lacking]
    return [(key, value.strip()) for key, value in lines if value.strip()]
