"""The names of the models: embedded ones in this package, others on the Hugging Face hub.

Knows no torch. A reference is a name of the catalogue ('mini/sd'), a folder or file, or a hub
repository ('owner/name').
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

MINI_SWITCH = "VISUALS_MINI"
"""Development switch: a folder that stands in for checkpoints/mini."""


class UnknownCheckpoint(ValueError):
    """A reference that names nothing; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue. `folder`: below the embedded models; `repository`: on the hub."""

    kind: str
    folder: str | None = None
    repository: str | None = None
    licence: str = "Apache-2.0"


CATALOG: dict[str, Entry] = {
    "mini/sd": Entry("text-to-image", folder="sd"),
    "mini/controlnet-canny": Entry("controlnet", folder="controlnet-canny"),
    "mini/controlnet-depth": Entry("controlnet", folder="controlnet-depth"),
    "mini/depth": Entry("depth", folder="depth"),
    "mini/grounding-dino": Entry("detector", folder="grounding-dino"),
    "mini/sam": Entry("segmenter", folder="sam"),
    "mini/classifier": Entry("classifier", folder="classifier"),
    "mini/loras": Entry("loras", folder="loras"),
    "sd15": Entry(
        "text-to-image",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        licence="CreativeML OpenRAIL-M",
    ),
    "sd15-canny": Entry(
        "controlnet", repository="lllyasviel/control_v11p_sd15_canny", licence="OpenRAIL"
    ),
    "grounding-dino-tiny": Entry("detector", repository="IDEA-Research/grounding-dino-tiny"),
    "grounding-dino-base": Entry("detector", repository="IDEA-Research/grounding-dino-base"),
    "clip-vit-base-patch32": Entry(
        "verifier", repository="openai/clip-vit-base-patch32", licence="MIT"
    ),
    "clip-vit-large-patch14": Entry(
        "verifier", repository="openai/clip-vit-large-patch14", licence="MIT"
    ),
    "mm-grounding-dino-tiny": Entry(
        "detector", repository="openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det"
    ),
    "mm-grounding-dino-large": Entry(
        "detector", repository="openmmlab-community/mm_grounding_dino_large_all"
    ),
    "owlv2-base": Entry("detector", repository="google/owlv2-base-patch16-ensemble"),
    "owlv2-large": Entry("detector", repository="google/owlv2-large-patch14-ensemble"),
    "sam3": Entry("detector", repository="facebook/sam3", licence="SAM License"),
    "sam-vit-base": Entry("segmenter", repository="facebook/sam-vit-base"),
    "sam-vit-large": Entry("segmenter", repository="facebook/sam-vit-large"),
    "sam-vit-huge": Entry("segmenter", repository="facebook/sam-vit-huge"),
    "sam-hq-vit-base": Entry("segmenter", repository="syscv-community/sam-hq-vit-base"),
    "sam-hq-vit-large": Entry("segmenter", repository="syscv-community/sam-hq-vit-large"),
    "sam-hq-vit-huge": Entry("segmenter", repository="syscv-community/sam-hq-vit-huge"),
    "sam2-tiny": Entry("segmenter", repository="facebook/sam2.1-hiera-tiny"),
    "sam2-small": Entry("segmenter", repository="facebook/sam2.1-hiera-small"),
    "sam2-base-plus": Entry("segmenter", repository="facebook/sam2.1-hiera-base-plus"),
    "sam2-large": Entry("segmenter", repository="facebook/sam2.1-hiera-large"),
}


def mini_folder() -> Path:
    """Where the embedded models lie."""
    given = os.environ.get(MINI_SWITCH)
    return Path(given) if given else Path(__file__).parent / "mini"


def resolve(ref: str | os.PathLike[str]) -> str:
    """The folder, file or hub repository that a reference stands for.

    Raises UnknownCheckpoint for a name that is none of these, with the nearest match.
    """
    text = os.fspath(ref)
    entry = CATALOG.get(text)
    if entry and entry.repository:
        return entry.repository
    if entry and entry.folder:
        path = mini_folder() / entry.folder
        if not path.is_dir():
            raise UnknownCheckpoint(
                f"{text}: no folder {entry.folder!r} among the embedded models in "
                f"{mini_folder()}; install the package anew, or make them: "
                "python -m visuals.checkpoints.recipe"
            )
        return str(path)
    if Path(text).expanduser().exists():
        return str(Path(text).expanduser())
    if text.lower().endswith((".pth", ".pt", ".safetensors")):
        raise UnknownCheckpoint(f"no file {text!r}: expected a file of weights; check the path")
    looks_like_hub = text.count("/") == 1 and not text.startswith((".", "/", "~", "mini/"))
    if looks_like_hub:
        return text
    near = difflib.get_close_matches(text, list(CATALOG), 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownCheckpoint(
        f"unknown model {text!r}{hint} (expected a folder, a hub repository owner/name, or one "
        f"of {', '.join(CATALOG)})"
    )
