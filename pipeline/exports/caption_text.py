"""Captions of annotated pictures, from their prompts and edits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..runs import run_yaml
from ..runs.manifest import ManifestRecord


def class_edits(folder: Path) -> dict[str, str]:
    """Return the edit of each class that has its own, by run.yaml; {} where there is none.

    Raises:
        RunFolderError: run.yaml cannot be read.
    """
    record = run_yaml.read(folder)
    try:
        classes = record["settings"]["classes"]
        return {name: spec["edit"] for name, spec in classes.items() if spec.get("edit")}
    except (KeyError, TypeError, AttributeError):
        return {}


def caption(record: ManifestRecord, edits: Mapping[str, str] | None = None) -> str:
    """Return what a picture shows: its prompt without LoRA tags, else "a {class}".

    The edit, the shot's or its class's own in `edits`, is part of it where stage 3 has painted it.
    """
    from ...stages.classes import MERGED, SCENE
    from ...stages.prompts.instance_prompts import expand
    from ...stages.prompts.lora_tags import parse

    labels = record.labels
    products = [name for name in labels if name not in (MERGED, SCENE)] or list(record.classes)
    painted = [SCENE] if SCENE in labels else products

    def edit_of(name: str) -> str:
        if name not in painted or not record.files.result:
            return ""
        label = MERGED if MERGED in labels else name
        return record.edit or (edits or {}).get(label, "")

    if record.prompt:
        text = parse(record.prompt)[0]
        if "{edit}" in text:
            return " ".join(expand(text, "", edit_of(painted[0])).split())
    else:
        text = " and ".join(f"{_article(name)} {name}" for name in products)
    for name in painted:
        if edit := edit_of(name):
            text = _insert(edit, name, text)
    return " ".join(text.split())


def _insert(edit: str, name: str, text: str) -> str:
    """Put the edit before the first mention of the product, with its article, or at the end."""

    def insert(match: re.Match[str]) -> str:
        return " ".join(filter(None, (match[1] and _article(edit), edit, match[2])))

    edited, count = re.subn(rf"(?:\b(an?) )?\b({re.escape(name)})\b", insert, text, count=1)
    return edited if count else f"{text}, {edit} {name}"


def _article(words: str) -> str:
    return "an" if words[0].lower() in "aeiou" else "a"
