"""Loads each kind of model, with the same code for embedded, local and hub checkpoints.

Reads safetensors, and pickles only where the caller allows them. Within an active `LoadedModels`
(see `loaded_models`) most loaders keep what they loaded last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..configs.errors import UsageError, first_sentences, is_out_of_memory
from ..configs.text_files import read_json_object
from . import pipelines, stored_weights
from .catalog.names import find, resolve
from .formats import pickles
from .formats.convert_pickle import as_safetensors
from .hub.first_use import ensure_local, local_or_repository
from .identify import model_classes
from .identify.missing_weights import load_whole
from .identify.tensor_names import UnsuitableWeightsError
from .loaded_models import keepable

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class CheckpointError(UsageError):
    """A checkpoint cannot be loaded."""


def load_or_explain(
    ref: str | os.PathLike[str],
    load: Callable[[str, bool], T],
    files: tuple[str, ...] = (),
    *,
    whole: bool = True,
) -> T:
    """Return `load(path, local_files_only)`; raise its failures as a CheckpointError, except for
    lack of memory.

    Args:
        ref: A name, folder, file or repository. The path of a repository is the folder of its
            files, which are downloaded first where they are missing.
        load: Loads the model.
        files: The files to load of a repository (see `first_use.Needed`).
        whole: False for a few small files, such as a tokenizer: `load` fetches them itself where
            the model is not on this machine.
    """
    from safetensors import SafetensorError

    path = ensure_local(ref, files) if whole else local_or_repository(ref)
    local = Path(path).exists()
    try:
        return load(path, local)
    except (model_classes.UnsupportedModelError, pickles.PickleError):
        raise
    except UnsuitableWeightsError as error:
        raise CheckpointError(f"cannot load {os.fspath(ref)!r}: {error}") from None
    except (ImportError, OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        what = first_sentences(error)
        remedy = (
            "the folder is incomplete; copy it again or name another model"
            if path == resolve(ref) and local
            else f"check the name, or see why: visuals checkpoints pull {os.fspath(ref)}"
        )
        raise CheckpointError(f"cannot load {os.fspath(ref)!r}: {what}; {remedy}") from error


@keepable
def load_text_to_image(
    ref: str | os.PathLike[str],
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    vae: str | os.PathLike[str] | None = None,
    weights: stored_weights.Weights = "full",
    allow_pickle: bool = False,
) -> Any:
    """Load a StableDiffusionPipeline or StableDiffusionXLPipeline of diffusers.

    Args:
        ref: A name, folder, repository or single file: `.safetensors`, or with `allow_pickle`
            `.ckpt`, `.pt` and `.pth`.
        device: Where to load it.
        dtype: Of its weights; None for float32.
        vae: A VAE to use in place of the model's own, given like `ref`.
        weights: How those of a large transformer are stored; see `stored_weights`.
        allow_pickle: Whether pickles may be read.
    """
    import torch

    dtype = dtype or torch.float32

    def readable(path: str) -> str:
        return as_safetensors(path, allowed=allow_pickle)

    def own_vae_config() -> Any:
        return load_or_explain(ref, lambda p, here: pipelines.vae_config(readable(p), here))

    def load_vae(path: str, local: bool) -> Any:
        return pipelines.autoencoder(readable(path), local, dtype, own_vae_config)

    other = None if vae is None else load_or_explain(vae, load_vae)
    load = pipelines.text_to_image
    pipe = load_or_explain(ref, lambda p, here: load(readable(p), here, dtype, other))
    stored_weights.apply(pipe, weights, dtype)
    pipelines.use_channels_last(pipe.to(device).vae)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@keepable
def load_refiner(
    ref: str | os.PathLike[str],
    base: Any,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    allow_pickle: bool = False,
) -> Any:
    """Load a StableDiffusionXLImg2ImgPipeline that shares the text encoder and VAE of `base`, the
    pipeline of an SDXL base; the other arguments are those of `load_text_to_image`."""
    import torch

    def load(path: str, local: bool) -> Any:
        file = as_safetensors(path, allowed=allow_pickle)
        return pipelines.refiner(file, local, dtype or torch.float32, base)

    pipe = load_or_explain(ref, load).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def fuse_lora(
    pipe: Any, ref: str | os.PathLike[str], *, weight_name: str | None = None, scale: float = 1.0
) -> None:
    """Merge a LoRA such as LCM, Hyper-SD or Lightning into a pipeline's weights for good.

    `weight_name` is the file in the folder or repository; None for the one of a catalogue name.
    """
    files = lora_files(ref, weight_name)

    def fuse(path: str, local: bool) -> None:
        name, file = files[0] if files else None, Path(path)
        if name and not name.endswith(".safetensors"):
            raise UnsuitableWeightsError(f"weight_name {name!r}: expected a .safetensors file")
        if file.is_file():
            path, name = str(file.parent), file.name
        weights: Any = path
        if name and hasattr(pipe, "transformer") and (Path(path) / name).is_file():
            weights = _lora_weights(pipe, Path(path) / name)
        pipe.load_lora_weights(
            weights,
            weight_name=name,
            adapter_name="fused",
            local_files_only=local,
            use_safetensors=True,
        )
        pipe.fuse_lora(lora_scale=scale)
        pipe.unload_lora_weights()

    load_or_explain(ref, fuse, files)


def _lora_weights(pipe: Any, path: Path) -> Any:
    from .lora import weights

    try:
        return weights.of_file(path, pipe)
    except UsageError as error:
        raise UnsuitableWeightsError(str(error)) from None


def lora_files(ref: str | os.PathLike[str], weight_name: str | None) -> tuple[str, ...]:
    """Return the file of a LoRA in its folder or repository; none where it may be any."""
    entry = find(ref)
    one = entry.files if entry and len(entry.files) == 1 and "*" not in entry.files[0] else ()
    return (weight_name,) if weight_name else one


def ip_adapter_files(subfolder: str, weight_name: str) -> tuple[str, ...]:
    """Return the files of an IP-Adapter and its image encoder in their repository."""
    start = f"{subfolder}/" if subfolder else ""
    return f"{start}{weight_name}", f"{start}image_encoder/*"


def attach_ip_adapter(
    pipe: Any, ref: str | os.PathLike[str], *, subfolder: str, weight_name: str, scale: float
) -> None:
    """Attach the IP-Adapter `subfolder`/`weight_name` of a folder or repository, and its image
    encoder, to a pipeline, whose UNet then needs reference images; `scale` is their weight."""

    def load(path: str, local: bool) -> None:
        pipe.load_ip_adapter(
            path, subfolder=subfolder, weight_name=weight_name, local_files_only=local
        )
        pipe.set_ip_adapter_scale(scale)

    load_or_explain(ref, load, ip_adapter_files(subfolder, weight_name))


@keepable
def load_controlnet_inpaint(
    ref: str | os.PathLike[str],
    controlnet_refs: Sequence[str | os.PathLike[str]],
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    base: Any = None,
    weights: stored_weights.Weights = "full",
    allow_pickle: bool = False,
) -> Any:
    """Load the ControlNet inpainting pipeline of the family of `ref`.

    `controlnet_refs` names a ControlNet for each control, a union ControlNet once or for each;
    `base` is a loaded pipeline of `ref` whose models are shared, None to load it. The other
    arguments are those of `load_text_to_image`.
    """
    import torch

    kind = dtype or torch.float32
    if base is None:
        base = load_text_to_image(ref, device=device, dtype=dtype, allow_pickle=allow_pickle)

    def load(path: str, local: bool) -> Any:
        return pipelines.controlnet(as_safetensors(path, allowed=allow_pickle), local, kind, base)

    nets = {r: load_or_explain(r, load) for r in dict.fromkeys(controlnet_refs)}
    for net in nets.values():
        stored_weights.store(net, weights if hasattr(base, "transformer") else "full", kind)
        pipelines.use_channels_last(net.to(device))
    union = any(pipelines.is_union(net) for net in nets.values())
    try:
        leading = nets.values() if union else [nets[r] for r in controlnet_refs]
        return pipelines.inpainting(base, list(leading))
    except UnsuitableWeightsError as error:
        raise CheckpointError(f"{', '.join(map(str, nets))}: {error}") from None


@keepable
def load_detector(
    ref: str | os.PathLike[str], *, device: str = "cpu", allow_pickle: bool = False
) -> tuple[Any, Any]:
    """Load (model, processor) of a Grounding DINO, MM-Grounding-DINO, OWLv2 or SAM 3, in float32.

    With `allow_pickle`, `ref` may be an original groundingdino_*.pth.
    """
    from .formats import grounding_dino_pth

    return _load_model_class(
        ref, model_classes.DETECTORS, "detector", grounding_dino_pth.load, device, allow_pickle
    )


@keepable
def load_segmenter(
    ref: str | os.PathLike[str],
    *,
    device: str = "cpu",
    allow_pickle: bool = False,
    library: str = "transformers",
) -> tuple[Any, Any]:
    """Load (model, processor) of a SAM, SAM-HQ, SAM 2 or SAM 3 (by boxes), in float32.

    With `allow_pickle`, `ref` may be an original sam_vit_*.pth; with `library`
    "segment-anything" it must be one, and the original's own code runs it.
    """
    from .formats import sam_pth, segment_anything_model

    original = sam_pth.load
    if library == "segment-anything":
        original = segment_anything_model.load
        if not pickles.is_pickle(os.fspath(ref)):
            raise CheckpointError(
                f"segment.model {os.fspath(ref)} with segment.library segment-anything: expected "
                "an original file such as sam_vit_b_01ec64.pth; for other models set "
                "segment.library to transformers"
            )
    return _load_model_class(
        ref, model_classes.SEGMENTERS, "segmenter", original, device, allow_pickle
    )


def _load_model_class(
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

    model, processor = load_or_explain(ref, load)
    return model.to(device).eval(), processor


@keepable
def load_verifier(ref: str | os.PathLike[str], *, device: str = "cpu") -> tuple[Any, Any]:
    """Load (model, processor) of a CLIP or an image classifier, in float32."""
    return _load_model_class(ref, model_classes.VERIFIERS, "verifier", None, device, False)


def load_captioner(
    ref: str | os.PathLike[str], *, device: str = "cpu", dtype: torch.dtype | None = None
) -> tuple[Any, Any]:
    """Load (model, processor) of a BLIP that writes captions."""
    from transformers import BlipForConditionalGeneration, BlipProcessor

    classes = BlipForConditionalGeneration, BlipProcessor
    model, processor = load_pair(ref, "captioner", *classes, dtype)
    return model.to(device).eval(), processor


def load_pair(
    ref: str | os.PathLike[str], what: str, model: Any, processor: Any, dtype: Any = None
) -> tuple[Any, Any]:
    """Load (model, processor) by two classes of transformers, of what is called `what` in messages;
    in float32 if no dtype is given."""
    import torch

    def load(path: str, local: bool) -> tuple[Any, Any]:
        return load_whole(model, processor, path, local, dtype or torch.float32, what)

    return load_or_explain(ref, load)


def known_words(ref: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read words.json in or beside a checkpoint's folder; None for models of open vocabulary."""
    path = Path(resolve(ref))  # no download: only embedded and local models have it
    for folder in (path, path.parent):
        file = folder / "words.json"
        if file.is_file():
            words = read_json_object(file)
            return words if "classes" in words else None
    return None
