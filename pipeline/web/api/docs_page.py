"""The OpenAPI description as a page of HTML that fetches nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parent / "docs_page.html.j2"
JSON_EXAMPLE = """ -H 'content-type: application/json' -d '{"classes": ["mug"], "count": 2}'"""
FORM_EXAMPLE = " -F photos=@mug.jpg -F classes=mug"


def page(spec: dict[str, Any], base: str) -> str:
    """Return a section for each operation: what it does, its parameters, a call by curl."""
    from jinja2 import Template

    template = Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True)
    operations = [
        {
            "method": method,
            "path": path,
            "description": operation.get("description", ""),
            "fields": list(_fields(operation, spec)),
            "example": _example(method, f"{base}{path}", operation),
        }
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    ]
    return template.render(description=spec["info"]["description"], operations=operations)


def _example(method: str, url: str, operation: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        return f"curl {url}{FORM_EXAMPLE if 'multipart/form-data' in body else JSON_EXAMPLE}"
    return f"curl {'-X POST ' if method == 'post' else ''}{url}"


def _fields(operation: dict[str, Any], spec: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield name, kind, and whether it is needed, of each parameter and field of the body."""
    for parameter in operation.get("parameters", ()):
        kind = _kind(parameter["schema"])
        yield parameter["name"], kind, parameter.get("required", False)
    for body in operation.get("requestBody", {}).get("content", {}).values():
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        schema = spec["components"]["schemas"][name] if name else body["schema"]
        for name, value in schema["properties"].items():
            yield name, _kind(value), name in schema.get("required", ())


def _kind(schema: dict[str, Any]) -> str:
    """Return a schema in a few words.

    >>> _kind({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]})
    'integer, 1 to 9'
    """
    kinds = [s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"]
    text = " or ".join(str(k.get("type", k.get("$ref", "any"))) for k in kinds)
    first = kinds[0] if kinds else {}
    if first.get("type") == "array":
        text = f"list of {first['items'].get('type', 'any')}"
    low = first.get("minimum", first.get("exclusiveMinimum"))
    high = first.get("maximum", first.get("exclusiveMaximum"))
    if low is not None:
        text += f", {low} to {high}"
    if schema.get("default") not in (None, ""):
        text += f"; usually {schema['default']}"
    return text
