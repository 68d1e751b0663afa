"""Parses the training metadata of LoRA files: kohya's `ss_*` and the `modelspec.*` standard."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...configs.text_files import parse_json


def written_base(meta: Mapping[str, str]) -> str | None:
    """Return the family that the metadata names, or None."""
    text = meta.get("modelspec.architecture", "") or meta.get("ss_base_model_version", "")
    known = {
        "SDXL refiner": r"stable-diffusion-xl-.*refiner",
        "SDXL": r"stable-diffusion-xl|sdxl",
        "SD 2.x": r"stable-diffusion-v2|sd_v2",
        "SD 1.x": r"stable-diffusion-v1|sd_v1",
        "SD 3": r"stable-diffusion-3|sd3",
        "Flux": r"flux",
        "Z-Image": r"z-?image",
    }
    if meta.get("ss_v2") == "True" and not text:
        return "SD 2.x"
    return next((name for name, form in known.items() if re.match(form, text)), None)


def _object(meta: Mapping[str, str], name: str) -> Any:
    try:
        return parse_json(meta.get(name, ""))
    except ValueError:
        return None


def tag_counts(meta: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return the ten most frequent caption tags with their number of images."""
    total: Counter[str] = Counter()
    folders = _object(meta, "ss_tag_frequency")
    for counts in folders.values() if isinstance(folders, dict) else ():
        if isinstance(counts, dict):
            total.update({k.strip(): v for k, v in counts.items() if isinstance(v, int)})
    return [(tag, count) for tag, count in total.most_common(10) if tag]


def trigger(meta: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the trigger word and the metadata field that it comes from.

    A tag counts only if it is in the captions of at least half of the images.
    """
    folders = _object(meta, "ss_dataset_dirs")
    sets = folders.values() if isinstance(folders, dict) else ()
    counts = [d.get("img_count") for d in sets if isinstance(d, dict)]
    pictures = sum(n for n in counts if isinstance(n, int))
    tags = [tag for tag, count in tag_counts(meta) if 2 * count >= pictures]
    name = re.sub(r"-\d{6}$", "", meta.get("ss_output_name", ""))
    given = (
        (meta.get("modelspec.trigger_phrase", "").strip(), "modelspec.trigger_phrase"),
        (tags[0] if tags else "", "ss_tag_frequency"),
        (name, "ss_output_name"),
    )
    return next(((word, where) for word, where in given if word and word != "None"), None)


def resolution(meta: Mapping[str, str]) -> tuple[int, int] | None:
    """Return width and height of the training images in pixels, each up to 4096."""
    sets = _object(meta, "ss_datasets")
    texts = [meta.get("ss_resolution", ""), meta.get("modelspec.resolution", "")]
    sets = sets if isinstance(sets, list) else []
    texts += [str(d.get("resolution")) for d in sets if isinstance(d, dict)]
    for text in texts:
        sides = [int(n[:5]) for n in re.findall(r"\d+", text)]
        if sides and min(sides) > 0 and max(sides) <= 4096:
            return sides[0], sides[1] if len(sides) > 1 else sides[0]
    return None


def clip_skip(meta: Mapping[str, str]) -> int | None:
    """Return the clip skip as kohya and A1111 count, up to 12: 1 is none."""
    text = meta.get("ss_clip_skip", "")
    return int(text) if re.fullmatch("[1-9]|1[0-2]", text) else None
