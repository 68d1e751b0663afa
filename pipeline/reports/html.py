"""The report of a run folder: one HTML page that needs nothing beside it.

Reads the manifest and the pictures of a run; knows no models. Source, what was found, and
result stand side by side, with scores and reasons. Resting on a result shows its source.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..images import read as image_reader
from ..runs import folder as run_folder

MOST = 400
"""Shots drawn in one page, so that a browser still opens it; the manifest has all."""
_LONGEST = 512
_FOUND = np.array((255, 64, 129), np.float32)
_STATUS = {
    "enhanced": "enhanced",
    "kept": "kept",
    "skipped": "skipped",
    "failed": "failed",
}


def write_report(folder: Path, *, title: str = "") -> Path:
    """Write `report.html` into a run folder and return its path."""
    page = render(folder, run_folder.read_lines(folder), title=title or folder.resolve().name)
    path = folder / "report.html"
    image_reader.write(path, page.encode(errors="replace"))
    return path


def render(folder: Path, lines: Iterable[Mapping[str, Any]], *, title: str) -> str:
    """The page as text, its pictures embedded. Of `lines` no more is held than is shown."""
    css = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    total, seconds, changed, results = 0, 0.0, 0, False
    shown: list[Mapping[str, Any]] = []
    for line in lines:
        total += 1
        counts[line["status"]] += 1
        seconds += sum(line["seconds"].values())
        changed += int(line["metrics"].get("changed_outside") or 0)
        results = results or bool(line["files"]["result"])
        if line["reason"]:
            reasons[line["reason"]["code"]] += 1
        if len(shown) < MOST:
            shown.append(line)
    facts = [("pictures", str(total))]
    facts += [(name, str(counts[name])) for name in _STATUS if counts[name]]
    if results:
        facts.append(("pixels changed outside the masks", str(changed)))
    if total:
        facts.append(("seconds a picture", f"{seconds / total:.1f}"))
    chips = "".join(
        f'<label><input type="radio" name="show" id="show-{name}"{checked}> {name} '
        f"<b>{number}</b></label>"
        for name, number, checked in [("all", total, " checked")]
        + [(name, counts[name], "") for name in _STATUS if counts[name]]
    )
    why = ", ".join(f"{code.replace('_', ' ')}: {n}" for code, n in reasons.most_common())
    cards = "\n".join(_card(folder, line) for line in shown)
    more = (
        f'<p class="more">The first {MOST} of {total} are shown; '
        f"{run_folder.NAME} beside this page has all.</p>"
        if total > MOST
        else ""
    )
    numbers = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · visuals</title>
<style>
{css}</style>
</head>
<body>
<header>
<p class="brand">visuals</p>
<h1>{escape(title)}</h1>
<dl class="facts">{numbers}</dl>
{f'<p class="why">Skipped for: {escape(why)}</p>' if why else ""}
</header>
<nav aria-label="Show">{chips}</nav>
<main>
{cards or '<p class="more">No picture in this run yet.</p>'}
</main>
{more}
</body>
</html>
"""


def _card(folder: Path, line: Mapping[str, Any]) -> str:
    status = _STATUS.get(line["status"], "failed")
    files, name = line["files"], escape(line["id"])
    figures = []
    source = _read(folder, files["source"])
    if source is not None:
        figures.append(_figure("source", _uri(source), f"{name}, source"))
        if line["detections"]:
            mask = _read(folder, files["mask"])
            marked = overlay(source, mask, [d["box_xyxy"] for d in line["detections"]])
            figures.append(_figure("found", _uri(marked), f"{name}, what was found"))
        result = _read(folder, files["result"])
        if result is not None:
            figures.append(
                '<figure class="result" tabindex="0">'
                f'<div class="pair"><img src="{_uri(result)}" alt="{name}, result">'
                f'<img class="before" src="{_uri(source)}" alt=""></div>'
                "<figcaption>result</figcaption></figure>"
            )
    said = ""
    if line["reason"]:
        said = f'<p class="reason">{escape(line["reason"]["message"])}</p>'
    elif line["error"]:
        error = line["error"]
        text = (
            error["message"] if error["where"] == "load" else "{where}: {message}".format(**error)
        )
        said = f'<p class="reason">{escape(text)}</p>'
    words = line["prompt"] or line["input"] or ""
    if line.get("edit"):
        words += f" → {line['edit']}"
    return (
        f'<article class="{status}"><h2>{name} <span class="badge">{status}</span></h2>'
        f'<div class="figures n{len(figures)}">{"".join(figures)}</div>{said}'
        f'<p class="words">{escape(words)}</p><p class="numbers">{_numbers(line)}</p></article>'
    )


def _numbers(line: Mapping[str, Any]) -> str:
    parts = []
    for d in line["detections"]:
        mask = "" if d["mask_score"] is None else f", mask {d['mask_score']:.2f}"
        parts.append(f"{d['label']} {d['score']:.2f}{mask}")
    metrics = line["metrics"]
    if metrics.get("edge_iou") is not None:
        parts.append(f"edges kept {metrics['edge_iou']:.2f}")
    if metrics.get("changed_outside") is not None:
        parts.append(f"changed outside {metrics['changed_outside']:.0f}")
    if metrics.get("attempts"):
        parts.append(f"attempt {metrics['attempts']:.0f}")
    parts.append(f"seed {line['seed']}")
    parts.append(f"{sum(line['seconds'].values()):.1f} s")
    return " · ".join(f"<span>{escape(part)}</span>" for part in parts)


def _figure(kind: str, uri: str, alt: str) -> str:
    return (
        f'<figure><img src="{uri}" alt="{alt}" loading="lazy">'
        f"<figcaption>{kind}</figcaption></figure>"
    )


def _read(folder: Path, name: str | None) -> np.ndarray | None:
    if not name:
        return None
    try:
        return image_reader.read(folder / name).rgb
    except image_reader.PictureError:
        return None


def overlay(
    image: np.ndarray, mask: np.ndarray | None, boxes_xyxy: list[list[float]]
) -> np.ndarray:
    """The picture with its mask tinted and outlined, its boxes drawn, the rest dimmed.

    `image`, `mask`: uint8 (H, W, 3); the mask is 255 on the product. Returns a new picture,
    enlarged by a whole factor where it is small, so that the lines are fine.
    """
    import cv2

    scale = max(1, 384 // max(image.shape[:2]))
    size = image.shape[1] * scale, image.shape[0] * scale
    out = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    line = max(2, round(max(size) / 256))
    if mask is not None and mask.shape == image.shape:
        on = cv2.resize(mask[..., 0], size, interpolation=cv2.INTER_LINEAR) > 127
        out[~on] *= 0.45
        out[on] = out[on] * 0.75 + _FOUND * 0.25
        outline, _ = cv2.findContours(on.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, outline, -1, _FOUND.tolist(), line, cv2.LINE_AA)
    for x0, y0, x1, y1 in boxes_xyxy:
        corner = round(x0 * scale), round(y0 * scale)
        cv2.rectangle(out, corner, (round(x1 * scale), round(y1 * scale)), (255, 255, 255), line)
    return np.rint(out).clip(0, 255).astype(np.uint8)


def _uri(rgb: np.ndarray) -> str:
    """A data URI: PNG up to 256 px, above that JPEG of at most 512 px."""
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    kind = "PNG" if max(rgb.shape[:2]) <= 256 else "JPEG"
    image.save(out, kind, **({"compress_level": 4} if kind == "PNG" else {"quality": 88}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
