"""The run folder: files are the database.

`run.yaml` (request, settings, hashes of the models, versions), `manifest.jsonl` (a line per
finished shot, appended and synced), `images/`, `sources/`, `masks/`, `instances/` (a mask of each
product, where a shot has several). Every file is written beside and renamed, and a shot is done
when its line is there. Knows no models, no terminal.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import parameters, pictures
from .encode import Format

if TYPE_CHECKING:
    from ..stages.shot import Shot

NAME = "manifest.jsonl"


class RunFolderError(ValueError):
    """A run folder that cannot be used; the message says got, expected, remedy."""


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The manifest's lines in order; a last line that was cut off in writing is left out."""
    path = folder / NAME
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                yield json.loads(raw)
            except ValueError:
                raise RunFolderError(
                    f"{path} line {number}: not JSON; expected one object a line; "
                    "take the line out and its shot is made again"
                ) from None


class RunFolder:
    """A run's files. `record(shot)` is the sink of `run_shots`.

    Opening a folder that holds a run goes on with it: `done` has the ids whose lines are
    there. Its request and settings must be the same, else RunFolderError names what differs.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        request: Mapping[str, Any],
        settings: Mapping[str, Any],
        checkpoints: Mapping[str, str] | None = None,
        output: Format | None = None,
    ) -> None:
        self.path = Path(path)
        self.output = output or Format()
        self._settings = settings
        self.done: dict[str, dict[str, Any]] = {}
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{path} is a file: expected a folder for the run; set --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            record = {"request": request, "settings": settings, "checkpoints": checkpoints or {}}
            self._start(_plain(record))
        except OSError as error:
            raise RunFolderError(
                f"cannot write to {path} ({error.strerror}); set --out to a folder of yours"
            ) from None
        for line in read_lines(self.path):
            self.done[line["id"]] = line
        self._cut_torn_line()

    def _start(self, record: dict[str, Any]) -> None:
        import yaml

        path = self.path / "run.yaml"
        if path.is_file():
            old = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            differ = _differences(old, record)
            if differ and (self.path / NAME).is_file():
                raise RunFolderError(
                    f"{self.path} holds a run with other settings ({', '.join(differ)}); "
                    "repeat that run's options to go on with it, or set --out to a new folder"
                )
        record["versions"] = versions()
        text = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
        pictures.write(path, text.encode())

    def _cut_torn_line(self) -> None:
        """Drop what a crash left behind the last newline, so that the next line is whole."""
        path = self.path / NAME
        if path.is_file():
            data = path.read_bytes()
            if data and not data.endswith(b"\n"):
                pictures.write(path, data[: data.rfind(b"\n") + 1])

    def record(self, shot: Shot) -> dict[str, Any]:
        """Write the shot's files, then its line; returns the line."""
        files = self._files(shot)
        line = self._line(shot, files, self._instances(shot, files["mask"]))
        data = to_json(line).encode() + b"\n"
        with (self.path / NAME).open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.done[shot.id] = line
        return line

    def _files(self, shot: Shot) -> dict[str, str | None]:
        files: dict[str, str | None] = dict.fromkeys(
            ("source", "mask", "blend", "control", "result")
        )

        def put(kind: str, name: str, pixels: np.ndarray, **beside: Any) -> None:
            pictures.write(self.path / name, pictures.png(pixels, **beside))
            files[kind] = name

        if shot.image is not None:
            final = shot.status == "kept"
            files["source"] = self._picture(shot, shot.image, shot.deep, final=final)
        if any(found.mask is not None for found in shot.detections) and shot.mask is not None:
            put("mask", f"masks/{shot.id}.png", _grey(shot.mask))
        if shot.blend is not None:
            put("blend", f"masks/{shot.id}.blend.png", _cover(shot.blend))
        if shot.control is not None:
            put("control", f"masks/{shot.id}.control.png", shot.control)
        if shot.result is not None:
            files["result"] = self._picture(shot, shot.result, shot.deep_result, final=True)
        return files

    def _picture(
        self, shot: Shot, pixels: np.ndarray, deep: np.ndarray | None, *, final: bool
    ) -> str:
        """Write a whole picture with all that stands beside it; what is final goes to `images/`
        in the run's format, a source is PNG. Returns its name."""
        output = self.output if final else Format()
        name = f"{'images' if final else 'sources'}/{shot.id}{output.ending}"
        data = output.encode(
            pixels if deep is None else deep,
            alpha=shot.alpha,
            icc_profile=shot.icc_profile,
            exif=shot.exif,
            text=parameters.text(shot, self._settings) if final else "",
        )
        pictures.write(self.path / name, data)
        return name

    def _instances(self, shot: Shot, union: str | None) -> list[str | None]:
        """A mask file for each detection; one that stands alone has the union's.

        They lie in a folder of their own: in `masks/` the second instance of `a` would be
        the mask of a shot named `a.2`.
        """
        if union is None or len(shot.detections) == 1:
            return [union] * len(shot.detections)
        names: list[str | None] = []
        for number, found in enumerate(shot.detections, 1):
            name = None if found.mask is None else f"instances/{shot.id}.{number}.png"
            if name and found.mask is not None:
                pictures.write(self.path / name, pictures.png(_grey(found.mask)))
            names.append(name)
        return names

    def _line(
        self, shot: Shot, files: dict[str, str | None], masks: list[str | None]
    ) -> dict[str, Any]:
        source: Any = shot.source
        failure = shot.failure
        detections = [
            {
                "label": found.label,
                "score": round(float(found.score), 4),
                "box_xyxy": [round(float(v), 2) for v in found.box_xyxy],
                "mask_area": None if found.mask is None else int(found.mask.sum()),
                "mask_score": None
                if found.mask_score is None
                else round(float(found.mask_score), 4),
                "verify_score": None
                if found.verify_score is None
                else round(float(found.verify_score), 4),
                "mask": mask,
            }
            for found, mask in zip(shot.detections, masks, strict=True)
        ]
        return _plain(
            {
                "id": shot.id,
                "input": getattr(source, "path", None),
                "prompt": getattr(source, "prompt", None),
                "seed": source.seed,
                "classes": list(shot.classes),
                "edit": shot.edit,
                "prompts": list(shot.prompts),
                "status": shot.status,
                "reason": None
                if shot.reason is None
                else {"code": shot.reason.code, "message": shot.reason.message},
                "notes": list(shot.notes),
                "detections": detections,
                "files": files,
                "metrics": dict(shot.metrics),
                "seconds": dict(shot.seconds),
                "error": None
                if failure is None
                else {"kind": failure.kind, "message": failure.message, "where": failure.where},
            }
        )


def to_json(value: Any) -> str:
    """One line of JSON that UTF-8 can write: a file name of other bytes is escaped."""
    said = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        said.encode()
    except UnicodeEncodeError:
        said = json.dumps(value, allow_nan=False)
    return said


def _grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _cover(blend: np.ndarray) -> np.ndarray:
    """Float 0..1 to 0..255, rounded up: 0 stands only where the weight is exactly 0."""
    return np.ceil(np.clip(blend, 0, 1) * 255).astype(np.uint8)


def _plain(value: Any) -> Any:
    """Tuples to lists, numpy numbers to Python's, what is not finite to None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


# What may change between a run and its continuation without changing a picture.
_FREE = {"settings.run.retries", "settings.run.batch_size", "request.count"}


def _differences(old: Any, new: Any, path: str = "") -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [k for k in {**old, **new} if path or k != "versions"]
        return [
            d for k in keys for d in _differences(old.get(k), new.get(k), f"{path}.{k}"[not path :])
        ]
    return [] if old == new or path in _FREE else [path]


def versions() -> dict[str, str]:
    """Versions of what makes the pictures."""
    from importlib.metadata import PackageNotFoundError, version

    from .. import __version__

    out = {"visuals": __version__, "python": platform.python_version()}
    for name in ("torch", "diffusers", "transformers", "peft", "numpy"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "not installed"
    return out
