"""Provenance in picture files: the record that reproduces one, and IPTC's digital source type.

A PNG holds the record as the text `visuals`, JPEG and WebP hold it in their XMP.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape, unescape

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...configs.base import Text
from ...configs.errors import UsageError
from ...configs.text_files import parse_json
from ...configs.version import VERSION
from .read import PictureError, printable, read_texts

if TYPE_CHECKING:
    from ...stages.shot import Shot

KEY = "visuals"
DRAWN = "trainedAlgorithmicMedia"
"""Digital source type of a picture that a model generated."""
_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:visuals="urn:visuals:lineage">
<Iptc4xmpExt:DigitalSourceType>{type}</Iptc4xmpExt:DigitalSourceType>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>{record}
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
_RECORD = re.compile(r"<visuals:record>(.*?)</visuals:record>", re.DOTALL)


class _Photo(BaseModel):
    name: str
    sha256: str | None = None


class _Begun(BaseModel):
    """A shot of a batch as it began; see `source`."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: str
    seed: int
    classes: list[Text]
    prompt: Text | None = None
    negative_prompt: Text | None = None
    photo: _Photo | None = None
    edit: Text | None = None
    settings: dict[str, Any] | None = None


class _Lineage(BaseModel):
    model_config = ConfigDict(extra="allow")

    settings: dict[str, Any]
    needs: list[Literal["generate", "detect", "segment", "rerender"]]
    batch: list[_Begun]
    id: str
    checkpoints: dict[str, str] | None = None
    licences: dict[str, str] | None = None
    versions: dict[str, str] | None = None


class ProvenanceError(UsageError):
    """A picture holds no provenance record."""


def record(shot: Shot, made: Mapping[str, Any]) -> str:
    """Return the record of a finished shot as JSON; "" for an unchanged photo, and if the request
    is not known.

    `made`: the run's `request`, `settings`, `checkpoints`, `licences` and `versions`. A photo is
    recorded by name and SHA-256, without its folder.
    """
    request = made.get("request") or {}
    if not _type(shot) or not request.get("needs"):
        return ""
    values = {
        "versions": made.get("versions") or {},
        "command": request.get("command", ""),
        "needs": list(request.get("needs") or ()),
        "masks_given": masks_given(request),
        "settings": made.get("settings") or {},
        "checkpoints": made.get("checkpoints") or {},
        "licences": made.get("licences") or {},
        "id": shot.id,
        "batch": [source(one) for one in shot.batch or (shot,)],
        "detections": [
            {
                "label": found.label,
                "score": round(float(found.score), 4),
                "box_xyxy": [round(float(v), 2) for v in found.box_xyxy],
                "mask_sha256": None if found.mask is None else _digest(found.mask),
            }
            for found in shot.detections
        ],
    }
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace").decode()  # names of files may not be UTF-8


def source(shot: Shot) -> dict[str, Any]:
    """Return the input of a shot as plain values, without folders."""
    origin: Any = shot.source
    values: dict[str, Any] = {"id": shot.id, "seed": shot.seed, "classes": list(shot.classes)}
    if hasattr(origin, "prompt"):
        values |= {"prompt": origin.prompt, "negative_prompt": origin.negative_prompt}
    else:
        content = origin.content or {}
        values["photo"] = {"name": Path(origin.path).name, "sha256": content.get("sha256")}
    if shot.edit:
        values["edit"] = shot.edit
    if shot.settings:
        values["settings"] = dict(shot.settings)
    return values


def masks_given(request: Mapping[str, Any]) -> bool:
    """Return whether the masks came from the user or an earlier run, not from stage 2."""
    of_a_run = request.get("command") == "enhance" and not request.get("classes")
    return bool(request.get("mask") or request.get("masks_given")) or of_a_run


def xmp(shot: Shot, record: str = "") -> bytes:
    """Return the XMP packet of a finished shot's picture; b"" for an unchanged photo."""
    kind = _type(shot)
    return packet(kind, record) if kind else b""


def packet(kind: str, record: str = "") -> bytes:
    """Return an XMP packet with IPTC's digital source type, and with a record if there is one."""
    inner = f"\n<visuals:record>{escape(record)}</visuals:record>" if record else ""
    tool = escape(f"visuals {VERSION}")
    return _PACKET.format(type=_TYPES + kind, tool=tool, record=inner).encode()


def is_sheet(path: Path) -> bool:
    """Return whether a file is a sheet of pictures that this program drew: its XMP packet says so,
    and unlike a run's picture it holds no record."""
    try:
        texts = read_texts(path)
    except PictureError:
        return False
    packet = texts.get("xmp", "")
    is_drawn = "<xmp:CreatorTool>visuals " in packet and _TYPES + DRAWN in packet
    return is_drawn and KEY not in texts and not _RECORD.search(packet)


def read(path: str | Path) -> dict[str, Any]:
    """Read the record of a picture file; raises ProvenanceError without one, and PictureError."""
    texts = read_texts(path)
    text = texts.get(KEY, "")
    if not text and (found := _RECORD.search(texts.get("xmp", ""))):
        text = unescape(found[1])
    try:
        return _Lineage.model_validate(parse_json(text)).model_dump(exclude_unset=True)
    except ValueError:  # also pydantic's
        pass
    raise ProvenanceError(
        f"{printable(path)} holds no record of how it was made: expected a picture as visuals "
        "wrote it, not saved again by another program; take the original file"
    )


def _type(shot: Shot) -> str:
    if hasattr(shot.source, "prompt"):
        return DRAWN
    return "compositeWithTrainedAlgorithmicMedia" if shot.status == "enhanced" else ""


def _digest(mask: np.ndarray) -> str:
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
