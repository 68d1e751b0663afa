"""How each kind of model is loaded: the same code for embedded, local and hub checkpoints.

Knows no stages and no settings. Safetensors only, but for pickles where a caller allows them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..configs.errors import UsageError, one_line
from . import pipelines, reference_configs
from .catalog.names import resolve
from .formats import pickles
from .formats.pickle_cache import as_safetensors
from .hub.pull import ensure_local
from .identify import model_classes

if TYPE_CHECKING:
    import torch


class CheckpointError(UsageError):
    """A checkpoint that cannot be loaded; the message says got, expected, remedy."""


def found(ref: str | os.PathLike[str], load: Any) -> Any:
    """What `load(path, local_files_only)` gives; failures become one sentence. A pinned model
    is loaded from its verified files (see `pull.ensure_local`)."""
    from safetensors import SafetensorError

    path = ensure_local(ref)
    local = Path(path).exists()
    try:
        return load(path, local)
    except (model_classes.UnsupportedModelError, pickles.PickleError):
        raise
    except pipelines.UnsuitableWeightsError as error:
        raise CheckpointError(f"cannot load {os.fspath(ref)!r}: {error}") from None
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        what = one_line(error)[:300]
        remedy = (
            "the folder is incomplete; install the package anew or name another"
            if local
            else "check the name, or say what hinders: visuals checkpoints pull " + os.fspath(ref)
        )
        raise CheckpointError(f"cannot load {os.fspath(ref)!r}: {what}; {remedy}") from error


def load_text_to_image(
    ref: str | os.PathLike[str],
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    vae: str | os.PathLike[str] | None = None,
    allow_pickle: bool = False,
) -> Any:
    """A diffusers StableDiffusionPipeline or StableDiffusionXLPipeline, in evaluation mode, on
    `device`. `vae`: one that replaces its own. Both may be single files: `.safetensors`, or with
    `allow_pickle` `.ckpt`, `.pt` and `.pth`."""
    import torch

    dtype = dtype or torch.float32

    def file(path: str) -> str:
        return as_safetensors(path, allowed=allow_pickle)

    def own() -> Any:
        return found(ref, lambda p, here: pipelines.vae_config(file(p), here))

    def load_vae(path: str, local: bool) -> Any:
        return pipelines.autoencoder(file(path), local, dtype, own)

    other = None if vae is None else found(vae, load_vae)
    load = pipelines.text_to_image
    pipe = found(ref, lambda p, here: load(file(p), here, dtype, other)).to(device)
    pipelines.lay_out(pipe.vae)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def load_tokenizer(ref: str | os.PathLike[str]) -> Any:
    """The tokenizer of a text-to-image checkpoint, without its models; of a file CLIP's."""
    from transformers import CLIPTokenizer

    def load(path: str, local: bool) -> Any:
        if Path(path).is_file():
            return reference_configs.load_tokenizer()
        words = CLIPTokenizer.from_pretrained(path, subfolder="tokenizer", local_files_only=local)
        if len(words) < 256:  # transformers 5 makes one of no words where it finds no file
            raise OSError("no tokenizer there")
        return words

    return found(ref, load)


def load_refiner(
    ref: str | os.PathLike[str],
    base: Any,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
) -> Any:
    """A StableDiffusionXLImg2ImgPipeline that shares what it can with its SDXL base."""
    import torch

    def load(path: str, local: bool) -> Any:
        file = as_safetensors(path, allowed=allow_pickle)
        return pipelines.refiner(file, local, dtype or torch.float32, base)

    pipe = found(ref, load).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def fuse_lora(
    pipe: Any, ref: str | os.PathLike[str], *, weight_name: str | None = None, scale: float = 1.0
) -> None:
    """Add a LoRA to a pipeline's weights for good."""
    found(ref, lambda p, here: pipelines.fuse(pipe, p, here, weight_name, scale))


def attach_ip_adapter(
    pipe: Any, ref: str | os.PathLike[str], *, subfolder: str, weight_name: str, scale: float
) -> None:
    """Attach an IP-Adapter: from now on the pipeline's UNet needs reference pictures."""

    def load(path: str, local: bool) -> None:
        pipelines.ip_adapter(
            pipe, path, local, subfolder=subfolder, weight_name=weight_name, scale=scale
        )

    found(ref, load)


def load_controlnet_inpaint(
    ref: str | os.PathLike[str],
    controlnet_refs: Sequence[str | os.PathLike[str]],
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    base: Any = None,
    allow_pickle: bool = False,
) -> Any:
    """The ControlNet inpainting pipeline of the family of `ref`, SD 1.x or SDXL; with a union
    ControlNet, named once or for each control, the one for such. With `base` it shares that
    pipeline's models. Single files as in `load_text_to_image`."""
    import torch

    kind = dtype or torch.float32
    if base is None:
        base = load_text_to_image(ref, device=device, dtype=dtype, allow_pickle=allow_pickle)

    def load(path: str, local: bool) -> Any:
        file = as_safetensors(path, allowed=allow_pickle)
        return pipelines.controlnet(file, local, kind, base)

    nets = {r: found(r, load).to(device) for r in dict.fromkeys(controlnet_refs)}
    for net in nets.values():
        pipelines.lay_out(net)
    union = any(pipelines.is_union(net) for net in nets.values())
    try:
        leading = nets.values() if union else [nets[r] for r in controlnet_refs]
        return pipelines.inpainting(base, list(leading))
    except pipelines.UnsuitableWeightsError as error:
        raise CheckpointError(f"{', '.join(map(str, nets))}: {error}") from None


def load_detector(
    ref: str | os.PathLike[str], *, device: str = "cpu", allow_pickle: bool = False
) -> tuple[Any, Any]:
    """(model, processor) of a Grounding DINO, MM-Grounding-DINO, OWLv2 or SAM 3, in float32.

    `ref` may be an original groundingdino_*.pth, which is read only with `allow_pickle`.
    """
    from .formats import grounding_dino_pth

    return _family(
        ref, model_classes.DETECTORS, "detector", grounding_dino_pth.load, device, allow_pickle
    )


def load_segmenter(
    ref: str | os.PathLike[str], *, device: str = "cpu", allow_pickle: bool = False
) -> tuple[Any, Any]:
    """(model, processor) of a SAM, SAM-HQ, SAM 2 or SAM 3 (by boxes), in float32.

    `ref` may be an original sam_vit_*.pth, which is read only with `allow_pickle`.
    """
    from .formats import sam_pth

    return _family(ref, model_classes.SEGMENTERS, "segmenter", sam_pth.load, device, allow_pickle)


def _family(
    ref: str | os.PathLike[str],
    classes: model_classes.Classes,
    role: str,
    original: Any,
    device: str,
    allow_pickle: bool,
) -> tuple[Any, Any]:
    def load(path: str, local: bool) -> tuple[Any, Any]:
        if pickles.is_pickle(path):
            loaded: tuple[Any, Any] = original(pickles.read(path, allowed=allow_pickle), path)
            return loaded
        return model_classes.load(path, classes, role, local=local)

    model, processor = found(ref, load)
    return model.to(device).eval(), processor


def load_verifier(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any]:
    """(model, processor) of a CLIP, in float32."""
    from transformers import CLIPModel, CLIPProcessor

    model, processor = pair(ref, CLIPModel, CLIPProcessor)
    return model.to(device).eval(), processor


def load_captioner(
    ref: str | os.PathLike[str], *, device: str = "cpu", dtype: torch.dtype | None = None
) -> tuple[Any, Any]:
    """(model, processor) of a BLIP that writes captions."""
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model, processor = pair(ref, BlipForConditionalGeneration, BlipProcessor, dtype)
    return model.to(device).eval(), processor


def pair(
    ref: str | os.PathLike[str], model: Any, processor: Any, dtype: torch.dtype | None = None
) -> tuple[Any, Any]:
    """(model, processor) of these classes of transformers; float32, where no dtype is given."""
    import torch

    def load(path: str, local: bool) -> tuple[Any, Any]:
        loaded = model.from_pretrained(
            path, dtype=dtype or torch.float32, local_files_only=local, use_safetensors=True
        )
        return loaded, processor.from_pretrained(path, local_files_only=local)

    both: tuple[Any, Any] = found(ref, load)
    return both


def known_words(ref: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The words.json beside or in a checkpoint's folder; None for models that know all words."""
    path = Path(
        resolve(ref)
    )  # not ensure_local(): what is asked is only of embedded and local folders
    for folder in (path, path.parent):
        file = folder / "words.json"
        if file.is_file():
            words: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return words
    return None
