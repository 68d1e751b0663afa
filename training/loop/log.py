"""Training log: `log.jsonl`, experiment trackers, and a PNG of the loss curve."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...checkpoints import atomic_files
from ...configs.errors import MissingDependencyError
from ...configs.text_files import parse_json
from ..datasets import images as dataset_images

Point = tuple[float, float]


def tracker(report_to: str) -> str | None:
    """Return the tracker for accelerate, or None; `auto` is TensorBoard if it is installed.

    Raises MissingDependencyError if a tracker that was named is not installed.
    """
    name = "tensorboard" if report_to == "auto" else report_to
    if name == "none":
        return None
    if importlib.util.find_spec(name):
        return name
    if report_to == "auto":
        return None
    raise MissingDependencyError(name, "wandb" if name == "wandb" else "train")


class Log:
    """`log.jsonl`: a JSON object a line. Lines after `step`, of an interrupted training, are
    dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file() and step:
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):  # cut by a kill
                    row = parse_json(line)
                    self.rows += [row] if row["step"] <= step else []
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        atomic_files.write(path, text.encode())
        self._file = path.open("a", encoding="utf-8")

    def add(self, **values: Any) -> None:
        """Append a line; `step` must be among the values."""
        self.rows.append(values)
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()

    def points(self, name: str) -> list[Point]:
        """(step, value) of every line with this name; the last line of a step counts."""
        return sorted({row["step"]: row[name] for row in self.rows if name in row}.items())

    def close(self) -> None:
        self._file.close()


def curve(loss: Sequence[Point], held_out: Sequence[Point], path: Path) -> None:
    """Write a PNG of the loss over steps: grey each step, blue the mean, red held out."""
    from PIL import Image, ImageDraw

    width, height, left, top, low = 900, 420, 64, 36, 40
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    points = [*loss, *held_out]
    if not points:
        return
    last = max(1.0, max(x for x, _ in points))
    most = max(y for _, y in points) or 1.0

    def at(point: Point) -> Point:
        x, y = point
        return (
            left + x / last * (width - left - 20),
            height - low - y / most * (height - top - low),
        )

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = at((0, most * share))[1]
        draw.line([(left, y), (width - 20, y)], fill="#e5e5e5")
        draw.text((8, y - 6), f"{most * share:.4f}", fill="#555555")
        draw.text((at((last * share, 0))[0] - 8, height - 28), f"{last * share:.0f}", fill="#555")
    mean, smooth = None, []
    for x, y in loss:
        mean = y if mean is None else 0.9 * mean + 0.1 * y
        smooth.append((x, mean))
    for line, colour, thick in ((loss, "#cccccc", 1), (smooth, "#2563eb", 2)):
        if len(line) > 1:
            draw.line([at(p) for p in line], fill=colour, width=thick)
    if len(held_out) > 1:
        draw.line([at(p) for p in held_out], fill="#dc2626", width=2)
    for x, y in map(at, held_out):
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill="#dc2626")
    draw.text((left, 10), "loss (blue: mean), held out (red), over steps", fill="#333333")
    dataset_images.write_png(path, image)
