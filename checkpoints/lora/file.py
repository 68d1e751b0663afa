"""Reads the header of a LoRA file: format, base, rank, alpha, trigger words, training settings.

Formats: kohya (LoRA, and LoCon with its convolutions), diffusers, PEFT, LyCORIS. Metadata: kohya's
`ss_*` and the `modelspec.*` standard. Reads no weights and imports no torch.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...configs.errors import UsageError, one_line
from ...configs.text_files import parse_json, read_text
from ..formats import safetensors_header
from ..identify.base_family import Base, base_of_width
from . import lycoris, transformer_names
from . import metadata as lora_metadata

PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")
_DOWN = re.compile(
    r"(?P<module>.+?)[._](?:lora_down|lora_A|lora\.down|lora_linear_layer\.down)"
    r"(?:\.default)?\.weight"
)
HALF = re.compile(
    r"(?P<module>.+?)(?P<mark>[._](?:lora_|lora\.|lora_linear_layer\.))(?P<half>down|A|up|B|mid)"
    r"(?:\.default)?\.(?P<kind>weight|bias)"
)
"""Key of one of a module's matrices."""
BESIDE = re.compile(r"(?P<module>.+?)\.(?:alpha|lora_magnitude_vector(?:\.default)?(?:\.weight)?)")
"""Key of what a module has beside its matrices."""
_UNET = (
    "down_blocks.", "mid_block.", "up_blocks.", "conv_in", "conv_out", "time_embedding.",
    "add_embedding.",
)  # fmt: skip
_PREFIXES = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "unet.": "unet",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    **dict.fromkeys(_UNET, "unet"),
}
_REFUSED = {
    "a GLoRA": r"\.[ab][12]\.weight$",
    "a BOFT": r"\.boft_|\.oft_diag$",
    "one for HunyuanVideo": r"double_blocks\.\d+\.\w+_attn_qkv",
}
_UNREAD = {
    "norm layers": r"\.[wb]_norm$",
    "a textual inversion": r"^bundle_emb\.",
    "lycoris_ names": r"^lycoris_",
    "differences of biases": r"\.diff_b$",
    "biases": r"_(down|A)(\.default)?\.bias$",
    "other names": "",
}
"""Kinds of keys that are not read, by their form; the last takes the rest."""
_DTYPES = re.compile("F(64|32|16)|BF16|F8_E[45]M[32]|[IU](8|16|32|64)|BOOL")
"""Types of numbers that are read."""
_MATRIX = re.compile(r"[._](down|up|A|B)(\.default)?\.weight$|\.hada_")
_SGM = ("lora_unet_input_blocks_", "lora_unet_middle_block_", "lora_unet_output_blocks_")


class LoraFileError(UsageError):
    """The LoRA file cannot be read or does not fit the model."""


class WrongBaseError(UsageError):
    """The LoRA was trained for another base than the model."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file, described by its header. Values that it does not tell are None.

    Args:
        path: The file.
        format: "kohya", "LoCon", "diffusers", "PEFT", or a kind of `lycoris.KINDS`.
        base: Family and text width that it was trained for.
        ranks: All ranks in it.
        alphas: All alphas in it.
        modules: Number of adapted modules in each part of the pipeline.
        output_name: Name given to the training.
        trigger: The trigger word and the metadata field that it comes from.
        tags: The most frequent caption tags.
        resolution: Width and height in pixels.
        clip_skip: As kohya and A1111 count: 1 is none.
        model_hash: kohya's `sshs_model_hash`.
        unread: Number of keys that do nothing, by kind.
    """

    path: Path
    format: str
    base: Base
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    modules: Mapping[str, int]
    output_name: str | None = None
    trigger: tuple[str, str] | None = None
    tags: tuple[str, ...] = ()
    resolution: tuple[int, int] | None = None
    clip_skip: int | None = None
    model_hash: str | None = None
    unread: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in prompts: the file's stem, or its folder's name if the stem is generic."""
        return name_of(self.path)

    def require_fit(self, base: Base, model: str) -> None:
        """Raise WrongBaseError unless this LoRA was trained for the base of `model`."""
        if not self.base.fits(base):
            own = self.base.beside(base)
            raise WrongBaseError(
                f"LoRA {self.name!r} was trained for {own}, but {model} is "
                f"{base.beside(self.base)}: name another LoRA, or a model "
                f"{f'of {own}' if self.base.family else 'that it fits'}"
            )


def read(path: str | os.PathLike[str]) -> LoraFile:
    """Read a LoRA file. Raises LoraFileError for a damaged file or an unknown format."""
    try:
        head = safetensors_header.read(path)
    except safetensors_header.HeaderError as error:
        raise LoraFileError(f"cannot read LoRA {error}") from None
    _check_tensors(head)
    downs = {m["module"]: name for name in head.shapes if (m := _DOWN.fullmatch(name))}
    others = lycoris.modules(head.shapes)
    kinds = {module: lycoris.kind_of(names) for module, names in others.items()}
    form = _format(head, downs, {m: k for m, k in kinds.items() if part_of(m)})
    places = {module: part_of(module) for module in (*downs, *kinds)}
    shapes = {module: head.shapes[name] for module, name in downs.items()}
    shapes |= {m: head.shapes[f"{m}.hada_w1_b"] for m in kinds if f"{m}.hada_w1_b" in head.shapes}
    meta = head.metadata
    return LoraFile(
        path=head.path,
        format=form,
        base=_base(shapes, places, meta),
        ranks=tuple(sorted({shape[0] for shape in shapes.values()})),
        alphas=_alphas(head, shapes),
        modules={p: n for p in PARTS if (n := sum(v == p for v in places.values()))},
        output_name=meta.get("ss_output_name") or None,
        trigger=lora_metadata.trigger(meta),
        tags=tuple(tag for tag, _ in lora_metadata.tag_counts(meta)),
        resolution=lora_metadata.resolution(meta),
        clip_skip=lora_metadata.clip_skip(meta),
        model_hash=meta.get("sshs_model_hash") or None,
        unread=_unread(head, places, others),
    )


def name_of(path: Path) -> str:
    """Return the file's stem, or its folder's name where the stem is that of diffusers or PEFT."""
    is_generic = path.stem in ("pytorch_lora_weights", "adapter_model")
    return path.parent.name if is_generic else path.stem


def part_of(module: str) -> str | None:
    """Return the part of the pipeline that a module belongs to; None for other modules."""
    if module.startswith(transformer_names.PREFIXES):
        return "transformer"
    if module.startswith("base_model.model."):
        text = re.search(r"(^|\.)(text_model|encoder\.layers)\.", module)
        return "text_encoder" if text else "unet"
    return next((p for start, p in _PREFIXES.items() if module.startswith(start)), None)


def _check_tensors(head: safetensors_header.SafetensorsHeader) -> None:
    """Raise LoraFileError for a tensor that no LoRA has, by its type and shape."""
    for name, shape in head.shapes.items():
        numbers, expected = math.prod(shape), ""
        if not _DTYPES.fullmatch(head.dtypes[name]):
            expected = "numbers of 8 to 64 bits"
        elif numbers != 1 and re.search(r"\.(alpha|on_input)$", name):
            expected = "one number"
        elif not numbers or (len(shape) < 2 and _MATRIX.search(name)):
            expected = "a matrix"
        if expected:
            got = f"{head.dtypes[name]} of shape {list(shape)}"
            raise LoraFileError(
                f"LoRA {head.path}: {name[:99]} is {got}; expected {expected}; download it again"
            )


class _PeftConfig(BaseModel):
    """What is read of PEFT's configuration."""

    model_config = ConfigDict(allow_inf_nan=False)

    lora_alpha: float | None = None
    alpha_pattern: dict[str, float] | None = None
    use_rslora: bool = False


def alpha_config(head: safetensors_header.SafetensorsHeader) -> dict[str, dict[str, Any]]:
    """Read PEFT's configuration by part, from the metadata or from adapter_config.json."""
    text = head.metadata.get("lora_adapter_metadata")
    beside = head.path.parent / "adapter_config.json"
    out: dict[str, dict[str, Any]] = {}
    try:
        if text:
            for name, value in parse_json(text).items():
                part, _, key = name.partition(".")
                out.setdefault(part, {})[key] = value
        elif beside.is_file() and any(n.startswith("base_model.model.") for n in head.shapes):
            values = parse_json(read_text(beside, UsageError, "PEFT's settings"))
            out = dict.fromkeys(PARTS, values)
        return {part: _PeftConfig.model_validate(v).model_dump() for part, v in out.items()}
    except (ValueError, AttributeError) as error:
        what = one_line(error)[:200]
        raise LoraFileError(f"cannot read LoRA {head.path}: its configuration: {what}") from None


def _unread(
    head: safetensors_header.SafetensorsHeader,
    places: Mapping[str, str | None],
    others: Mapping[str, set[str]],
) -> dict[str, int]:
    """Count the keys that belong to no module of the model, by kind."""
    known = {f"{module}.{name}" for module, names in others.items() for name in names}
    found: Counter[str] = Counter()
    for key in head.shapes:
        part = HALF.fullmatch(key) or BESIDE.fullmatch(key)
        module = part["module"] if part else key.rpartition(".")[0] if key in known else ""
        if not places.get(module) or re.search(_UNREAD["biases"], key):
            found[next(kind for kind, form in _UNREAD.items() if re.search(form, key))] += 1
    return dict(found)


def _format(
    head: safetensors_header.SafetensorsHeader,
    downs: Mapping[str, str],
    kinds: Mapping[str, str],
) -> str:
    for name, mark in _REFUSED.items():
        if any(re.search(mark, key) for key in head.shapes):
            raise LoraFileError(
                f"LoRA {head.path} is {name}: expected LoRA, LoCon, LoHa, LoKr, (IA)^3, OFT "
                "or DoRA of Stable Diffusion 1.x, 2.x or XL, or a LoRA of another family"
            )
    if any(part_of(module) == "transformer" for module in kinds):
        base = transformer_names.family(head.shapes) or "a transformer"
        raise LoraFileError(
            f"LoRA {head.path} is a {', '.join(sorted(set(kinds.values())))} of {base}: expected "
            "plain matrices in kohya's or diffusers' format"
        )
    if kinds:
        return ", ".join(sorted(set(kinds.values())))
    if not downs or not any(part_of(m) for m in downs):
        keys = ", ".join(key[:99] for key in list(head.shapes)[:2]) or "none"
        raise LoraFileError(
            f"{head.path} is no LoRA of a known family (its keys: {keys} …): expected kohya's, "
            "diffusers' or PEFT's format"
        )
    first = next(m for m in downs if part_of(m))
    if first.startswith("lora_"):
        kernels = [head.shapes[n][2:] for n in downs.values()]
        conv = any(k not in ((), (1, 1)) for k in kernels)
        conv = conv or any(n.endswith(".lora_mid.weight") for n in head.shapes)
        return "LoCon" if conv else "kohya"
    return "PEFT" if first.startswith("base_model.") else "diffusers"


def _base(
    shapes: Mapping[str, tuple[int, ...]],
    places: Mapping[str, str | None],
    meta: Mapping[str, str],
) -> Base:
    """Find the base by the shapes, else by the names of modules, else by the metadata."""
    if "transformer" in places.values():
        return Base(transformer_names.family(places), 0, **transformer_names.sizes(shapes))
    sdxl = "text_encoder_2" in places.values() or any(m.startswith(_SGM) for m in shapes)
    family = "SDXL" if sdxl else None
    for module, shape in shapes.items():
        if re.search(r"attn2[._](processor\.)?to_[kv]$", module):
            return base_of_width(shape[1], family)
    return Base(family or lora_metadata.written_base(meta))


def _alphas(
    head: safetensors_header.SafetensorsHeader, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[float, ...]:
    """Collect all alphas; a missing alpha or 0 means the rank."""
    names = {m: f"{m}.alpha" for m in shapes if f"{m}.alpha" in head.shapes}
    values = head.scalars(list(names.values()))
    if not all(map(math.isfinite, values.values())):
        raise LoraFileError(
            f"LoRA {head.path}: an alpha is NaN or infinity; expected a number; train it again"
        )
    config = alpha_config(head)
    out = set()
    for module, shape in shapes.items():
        usual = config.get(part_of(module) or "", {}).get("lora_alpha")
        out.add(values.get(names.get(module, ""), 0) or float(usual or shape[0]))
    return tuple(sorted(out))
