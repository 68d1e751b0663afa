"""Prompt templates with `{class}` and `{edit}`."""

from __future__ import annotations


def expand(template: str, name: str, edit: str = "") -> str:
    """Fill `{class}` and `{edit}`; an edit without a place of its own goes before the class.

    >>> expand("tag, {class}, studio", "handbag", "red leather")
    'tag, red leather handbag, studio'
    """
    if "{edit}" in template:
        return template.replace("{edit}", edit).replace("{class}", name)
    return template.replace("{class}", f"{edit} {name}".strip())
