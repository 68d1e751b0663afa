"""Reads product catalogues (JSON, JSONL, CSV): SKU, picture names and text of each product.

Shops name fields differently: names are given, or guessed from the usual ones.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ...configs.errors import UsageError
from ...configs.schema import nearest
from ...configs.text_files import parse_json, read_text

LIKELY = {
    "sku": ("sku", "product_sku", "variant sku", "product_id", "productid", "item_id", "article")
    + ("asin", "handle", "id"),
    "image": ("image", "images", "image_path", "file_name", "filename", "image_file", "file")
    + ("photo", "photos", "picture", "pictures", "image src", "image_url", "img", "path", "url"),
    "text": ("text", "caption", "title", "name", "product_name", "product_title", "description"),
}
"""Usual names of the fields, best first; case and `_ -` are ignored."""

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")


class CatalogError(UsageError):
    """A catalogue cannot be read."""


@dataclass(frozen=True)
class Product:
    """A record. `images`: file names as in the catalogue."""

    sku: str
    images: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Fields:
    """Names of the fields; None if there is none."""

    sku: str | None
    image: str
    text: str | None


def read_catalogue(
    path: Path | str,
    *,
    sku: str | None = None,
    image: str | None = None,
    text: str | None = None,
) -> tuple[list[Product], Fields]:
    """Return the products of a catalogue and the fields that they were read from.

    Args:
        path: JSON, JSONL, CSV or TSV file.
        sku: Field of the SKU, `a.b` if nested; None: guessed, as for the other fields.
        image: Field of the pictures: a name, a list of names, or names between `|` or `;`.
        text: Field of the description.
    """
    path = Path(path)
    records = _records(path)
    if not records:
        raise CatalogError(f"{path}: no record; expected a product at least")
    known = list(dict.fromkeys(key for record in records for key in record))
    fields = Fields(
        _field("sku", sku, known, records),
        _field("image", image, known, records) or "",
        _field("text", text, known, records),
    )
    if not fields.image:
        raise CatalogError(
            f"{path}: none of its fields ({', '.join(known)}) seems to name pictures: "
            "say which one does; set --field-image"
        )
    products = []
    for row, record in enumerate(records, 1):
        names = _names(_value(record, fields.image))
        sku, text = _text(record, fields.sku), _text(record, fields.text)
        stem = PurePosixPath(names[0]).stem if names else ""
        products.append(Product(sku or stem or f"row-{row}", names, text))
    return products, fields


def _records(path: Path) -> list[Mapping[str, Any]]:
    kind = path.suffix.lower()
    if kind not in ENDINGS:
        raise CatalogError(
            f"{path}: ending {kind!r}; expected .json, .jsonl or .csv; save it as one of these"
        )
    text = read_text(path, CatalogError, "a product catalogue")
    where = ""
    try:
        if kind in (".csv", ".tsv"):
            return _table(text, kind)
        if kind == ".json":
            found = _list_in(parse_json(text, ()))
        else:
            found = []
            for number, line in enumerate(text.split("\n"), 1):
                where = f"line {number}, "
                found += [parse_json(line, ())] if line.strip() else []
    except csv.Error as error:
        raise CatalogError(f"{path}: not a table ({error}); fix the file") from None
    except ValueError as error:
        raise CatalogError(f"{path}: not JSON ({where}{error}); fix the file") from None
    if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
        raise CatalogError(
            f"{path}: expected a list of objects, one a product (or an object that holds such a "
            "list, or one object a SKU); export it so"
        )
    return found


def _table(text: str, kind: str) -> list[Mapping[str, Any]]:
    first = text.partition("\n")[0]
    comma = "\t" if kind == ".tsv" else max(",;\t", key=first.count)
    csv.field_size_limit(10_000_000)  # descriptions with pictures in them pass the usual limit
    rows = csv.DictReader(io.StringIO(text), delimiter=comma)
    return [{k: v for k, v in row.items() if k} for row in rows]


def _list_in(found: Any) -> Any:
    """`{"products": [...]}` and `{"SKU-1": {...}}` are lists as well."""
    if not isinstance(found, dict):
        return found
    lists = [v for v in found.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if len(lists) == 1:
        return lists[0]
    if found and all(isinstance(v, dict) for v in found.values()):
        return [{"sku": key, **value} for key, value in found.items()]
    return [found]


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def _field(
    what: str, given: str | None, known: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> str | None:
    if given is not None:
        if any(_value(record, given) is not None for record in records):
            return given
        raise CatalogError(
            f"no record has a field {given!r}{nearest(given, list(known))} (fields: "
            f"{', '.join(known)}); set --field-{what}"
        )
    names = {_plain(key): key for key in reversed(known)}
    return next((names[_plain(n)] for n in LIKELY[what] if _plain(n) in names), None)


def _value(record: Mapping[str, Any], name: str) -> Any:
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _text(record: Mapping[str, Any], name: str | None) -> str:
    value = _value(record, name) if name else None
    return "" if value is None else " ".join(str(value).split())


def _names(value: Any) -> tuple[str, ...]:
    """File names of a field: text, a list, or objects with a name in them; a URL's last part."""
    if value is None:
        return ()
    if isinstance(value, str):
        parts = [p.strip() for p in value.replace(";", "|").split("|")]
        return tuple(_last(p) for p in parts if p)
    if isinstance(value, Mapping):
        likely = {_plain(n) for n in (*LIKELY["image"], "src")}
        return next((_names(v) for k, v in value.items() if _plain(k) in likely), ())
    if isinstance(value, Sequence):
        return tuple(name for part in value for name in _names(part))
    return (str(value),)


def _last(name: str) -> str:
    if "://" not in name:
        return name.replace("\\", "/")
    try:
        path = urlsplit(name).path
    except ValueError:  # such as http://[
        path = name
    return unquote(PurePosixPath(path).name)
