"""The OpenAPI description as a page: HTML alone, nothing from elsewhere. Knows the JSON only."""

from __future__ import annotations

import shlex
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h2 { margin: 2.2rem 0 .3rem; font-size: 1.1rem; } h2 code { font-size: 1em; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #8884;
  vertical-align: top; }
pre { overflow-x: auto; padding: .7rem .9rem; border-radius: 8px; background: #8882; }
"""


def page(spec: dict[str, Any], base: str) -> str:
    """A section for each operation: what it does, what it takes, how curl asks for it."""
    parts = [
        _operation(method, path, operation, spec, base)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>visuals API</title><style>{STYLE}</style></head><body><main>"
        f"<h1>visuals API</h1><p>{escape(spec['info']['description'])} "
        'For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). '
        "A server with a token wants <code>Authorization: Bearer TOKEN</code>.</p>"
        f"{''.join(parts)}</main></body></html>"
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], spec: dict[str, Any], base: str
) -> str:
    fields = [(p["name"], p["schema"], p.get("required", False)) for p in operation["parameters"]] \
        if operation.get("parameters") else []  # fmt: skip
    body = operation.get("requestBody", {}).get("content", {})
    form = "multipart/form-data" in body
    schema = _deref(next(iter(body.values()))["schema"], spec) if body else {}
    needed = schema.get("required", [])
    fields += [(name, value, name in needed) for name, value in schema["properties"].items()] \
        if schema else []  # fmt: skip
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(value))}</td>"
        f"<td>{'needed' if must else ''}</td></tr>"
        for name, value, must in fields
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    example = f"curl {'-X POST ' if method == 'post' and not body else ''}{base}{path}"
    if form:
        example += " -F photos=@mug.jpg -F classes=mug"
    elif body:
        example += " -H 'content-type: application/json' -d " + shlex.quote(
            '{"classes": ["mug"], "count": 2}'
        )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p>{table}"
        f'<pre tabindex="0">{escape(example)}</pre></section>'
    )


def _deref(schema: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    found: dict[str, Any] = spec["components"]["schemas"][name] if name else schema
    return found


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words.

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
