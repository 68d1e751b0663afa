"""Manifest records: one finished shot each, as a line of manifest.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ...configs.base import Text
from ...configs.errors import RunFolderError
from ...stages.shot import Box, Detection, Failure, Skip, Status
from . import jsonl
from .inside_path import InsideName, InsidePath, inside

if TYPE_CHECKING:
    from ...stages.shot import Shot
    from .object_store import ObjectStore

NAME = "manifest.jsonl"
_Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Content(TypedDict):
    """What tells the bytes of a photo from others'."""

    sha256: str
    bytes: int
    mtime_ns: int


class _Record(BaseModel):
    """Keys of later versions are kept and written back."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class DetectionRecord(_Record):
    """One detection of a shot.

    Args:
        label: the class that it was found as.
        score: 0..1, of the detector.
        box_xyxy: x0, y0, x1, y1 in pixels; the end is exclusive.
        mask_area: pixels of the mask; None without a mask.
        mask_score: 0..1, the segmenter's own estimate of its IoU; None without a segmenter.
        verify_score: 0..1, of the CLIP check; None where there was none.
        mask: file of the mask, relative to the run folder; None without a mask, "" in manifests
            of early versions, which name only the union of a shot's masks.
        prompt: prompt of stage 3 for this instance alone; "" for the shot's.
        edit: edit of this instance alone; "" for the shot's.
        strength: 0..1, denoising strength of this instance alone; None for the run's.
    """

    label: Text
    score: float
    box_xyxy: Box
    mask_area: int | None = None
    mask_score: float | None = None
    verify_score: float | None = None
    mask: InsidePath | Literal[""] | None = ""
    prompt: Text = ""
    edit: Text = ""
    strength: float | None = None

    @model_validator(mode="after")
    def _is_a_detection(self) -> DetectionRecord:
        Detection(self.box_xyxy, self.score, self.label, strength=self.strength)
        return self

    @classmethod
    def from_detection(cls, found: Detection, mask: str | None) -> DetectionRecord:
        """Return the record of a detection whose mask was written to the file `mask`."""
        return cls(
            label=found.label,
            score=round(float(found.score), 4),
            box_xyxy=tuple(round(float(v), 2) for v in found.box_xyxy),  # type: ignore[arg-type]
            mask_area=None if found.mask is None else int(found.mask.sum()),
            mask_score=_rounded(found.mask_score),
            verify_score=_rounded(found.verify_score),
            mask=mask,
            prompt=found.prompt,
            edit=found.edit,
            strength=found.strength,
        )

    @model_serializer(mode="wrap")
    def _only_given_overrides(self, serialize: Any) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        overrides = ("prompt", "edit", "strength")
        return {key: value for key, value in values.items() if value or key not in overrides}


class FileNames(_Record):
    """The files of a shot, relative to the run folder; None where there is none."""

    source: InsidePath | None = None
    mask: InsidePath | None = None
    blend: InsidePath | None = None
    control: InsidePath | None = None
    result: InsidePath | None = None

    @property
    def picture(self) -> str | None:
        """The result where there is one, else the source."""
        return self.result or self.source


class ManifestRecord(_Record):
    """What became of one shot.

    Args:
        id: name of the shot, unique in its run.
        input: path of the photo; None for a picture drawn by stage 1.
        content: `sha256`, `bytes` and `mtime_ns` of the photo.
        prompt: prompt of stage 1; None for a photo.
        negative_prompt: negative prompt of stage 1; None for a photo.
        seed: seed of the attempt that counts.
        prediction: `id` and `version` of a picture drawn by a host.
        classes: classes that were looked for.
        edit: what stage 3 was to change.
        settings: the shot's overrides of the run's settings, by dotted name.
        batch: (id, seed) of the shots that went through the stages together.
        prompts: prompts of stage 3, one an instance.
        status: `enhanced`, `kept`, `skipped` or `failed`.
        reason: why the shot was skipped.
        notes: what to know of the source.
        detections: the detections, with the files of their masks.
        files: the files of the shot.
        metrics: numbers that describe the result.
        seconds: seconds a stage.
        error: why the shot failed.
        run: identity of the run that the line belongs to; None in early versions.
    """

    id: InsidePath
    input: str | None = None
    content: Content | None = None
    prompt: Text | None = None
    negative_prompt: Text | None = None
    seed: int
    prediction: Mapping[str, Any] | None = None
    classes: tuple[Text, ...] = ()
    edit: Text = ""
    settings: Mapping[str, Any] = {}
    batch: tuple[tuple[str, int], ...] = ()
    prompts: tuple[Text, ...] = ()
    status: Status
    reason: Skip | None = None
    notes: tuple[str, ...] = ()
    detections: tuple[DetectionRecord, ...] = ()
    files: FileNames = FileNames()
    metrics: Mapping[str, _Integer | float | None] = {}
    seconds: Mapping[str, float] = {}
    error: Failure | None = None
    run: str | None = None

    @field_validator("reason")
    @classmethod
    def _code_is_a_name(cls, reason: Skip | None) -> Skip | None:
        if reason:
            TypeAdapter(InsideName).validate_python(reason.code)
        return reason

    @property
    def failure(self) -> Failure | None:
        """Why the shot failed, named as in a shot."""
        return self.error

    @property
    def kept(self) -> bool:
        """Whether the shot left a picture that counts: kept or enhanced."""
        return self.status in ("kept", "enhanced")

    @property
    def file_names(self) -> list[str]:
        """The names of all its files."""
        files = self.files
        masks = [found.mask for found in self.detections]
        names = [files.source, files.mask, files.blend, files.control, files.result, *masks]
        return list(filter(None, names))

    @property
    def labels(self) -> list[str]:
        """The classes that were found, each once, in order."""
        return list(dict.fromkeys(found.label for found in self.detections))

    @classmethod
    def from_shot(cls, shot: Shot, files: FileNames, masks: Sequence[str | None]) -> ManifestRecord:
        """Return the record of a finished shot, its files, and the mask file of each detection."""
        source: Any = shot.source
        return cls(
            id=shot.id,
            input=getattr(source, "path", None),
            content=plain(getattr(source, "content", None)),
            prompt=getattr(source, "prompt", None),
            negative_prompt=getattr(source, "negative_prompt", None),
            seed=source.seed,
            prediction=plain(getattr(source, "prediction", None)),
            classes=shot.classes,
            edit=shot.edit,
            settings=plain(shot.settings),
            batch=tuple((one.id, one.seed) for one in shot.batch),
            prompts=shot.prompts,
            status=shot.status,
            reason=shot.reason,
            notes=shot.notes,
            detections=tuple(
                DetectionRecord.from_detection(found, mask)
                for found, mask in zip(shot.detections, masks, strict=True)
            ),
            files=files,
            metrics=plain(shot.metrics),
            seconds=plain(shot.seconds),
            error=shot.failure,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ManifestRecord:
        """Return the record of a parsed line; keys that an early version lacks have defaults.

        Raises:
            RunFolderError: a key is missing or has a value of another type.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"]))
            raise RunFolderError(
                f"{NAME}, a line of the shot {values.get('id')!r}: {name}: {problem['msg']}; "
                "remove the line, and its shot is made again"
            ) from None

    @classmethod
    def from_json(cls, line: str | bytes) -> ManifestRecord:
        """Return the record of a line that `to_json` wrote."""
        return cls.from_dict(jsonl.parse(line))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Return the line, without its line break."""
        return jsonl.to_json(self.to_dict())


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(float(score), 4)


def plain(value: Any) -> Any:
    """Convert to plain JSON values: tuples to lists, numpy numbers to Python's, NaN to None."""
    if type(value) in (str, int, bool, NoneType):  # nearly all
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def read_records(place: Path | ObjectStore) -> Iterator[ManifestRecord]:
    """Yield the records of a run in order; a last line cut off by a crash is left out."""
    if isinstance(place, Path):
        lines: Iterator[dict[str, Any]] = (line for _, line in jsonl.each(inside(place, NAME)))
    else:
        lines = place.lines(NAME)
    return map(ManifestRecord.from_dict, lines)


def last_records(folder: Path) -> list[ManifestRecord]:
    """Return the last record of each shot of a run folder, in order."""
    return list({record.id: record for record in read_records(folder)}.values())


class ManifestIndex(Mapping[str, ManifestRecord]):
    """Records of a manifest by shot id. Only their offsets are in memory.

    `runs`: identities of the runs that they belong to. Raises RunFolderError for a wrong line.
    """

    def __init__(self, path: Path) -> None:
        self._path = inside(path.parent, path.name)
        self._offsets: dict[str, int] = {}
        self.runs: set[str | None] = set()
        for offset, line in jsonl.each(path):
            record = ManifestRecord.from_dict(line)
            self._offsets[record.id] = offset
            self.runs.add(record.run)

    def __getitem__(self, id_: str) -> ManifestRecord:
        with self._path.open("rb") as file:
            file.seek(self._offsets[id_])
            return ManifestRecord.from_json(file.readline())

    def __iter__(self) -> Iterator[str]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._offsets

    def add(self, id_: str, offset: int) -> None:
        """Note where the line of a shot begins."""
        self._offsets[id_] = offset
