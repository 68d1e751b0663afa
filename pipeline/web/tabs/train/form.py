"""Form of a training's settings: its values to settings, and a file's settings to values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .....checkpoints.identify.base_family import pipeline_class
from .....configs.errors import one_line
from .....configs.schema import SettingsError, load_settings, presets
from .....configs.text_files import parse_yaml
from .....configs.train import ALIASES
from .....stages.families.known import family_named
from ... import visitor_settings
from ...files import lora_library
from ...widgets.seed_box import checked
from . import datasets

OWN = {
    "model", "train_data_dir", "output_dir", "output_name", "trigger_phrase", "rank",
    "lora_alpha", "learning_rate", "max_train_steps", "resolution", "train_batch_size", "seed",
    "validation_prompts", "resume_from_checkpoint",
}  # fmt: skip
"""Settings with a field or a button."""
_NOT_SHOWN = ("allow_pickle", "checkpointing_steps", "save_every_n_epochs", "validation_epochs")
_PATHS = ("cache_dir", "class_data_dir")


@dataclass(frozen=True)
class Form:
    """The fields, as they are typed.

    `seed`: -1 for a random one; `every`: steps between validations; `more`: YAML.
    """

    name: str = "look"
    model: str = "mini/sd"
    network_dim: float = 8
    network_alpha: float = 4
    learning_rate: str = "5e-4"
    max_train_steps: float = 100
    resolution: str = "128"
    train_batch_size: float = 2
    seed: float | None = -1
    prompts: str = ""
    every: float = 25
    more: str = ""

    def values(self, root: Path, data: str, tag: str, pictures: int) -> dict[str, Any]:
        """Return settings by the names of kohya and diffusers, without a seed that is to be random.

        Raises SettingsError, DatasetError, UsageError.
        """
        name = datasets.plain_name(self.name, "name of the LoRA")
        visitor_settings.check_models([self.model.strip()])
        epochs = self._epochs(pictures)
        prompts = [line.strip() for line in self.prompts.splitlines() if line.strip()]
        steps, seed = _number(self.max_train_steps, "max_train_steps"), checked(self.seed)
        looks = {"validation_prompts": prompts, "validation_epochs": epochs, **_looks(self.model)}
        return {
            "model": self.model.strip(),
            "train_data_dir": str(datasets.place(root, data)),
            "output_dir": str(lora_library.folder(root) / name),
            "trigger_phrase": tag.strip(" ,"),
            "network_dim": _number(self.network_dim, "network_dim"),
            "network_alpha": float(self.network_alpha) if self.network_alpha else None,
            "learning_rate": _typed(self.learning_rate, float),
            "max_train_steps": steps,
            "resolution": _typed(self.resolution, int),
            "train_batch_size": _number(self.train_batch_size, "train_batch_size"),
            **({} if seed == -1 else {"seed": seed}),
            "checkpointing_steps": max(1, min(200, steps // 4)),
            "checkpoints_total_limit": 2,
            "save_every_n_epochs": epochs,
            **(looks if prompts else {}),
            **more_of(root, self.more),
        }

    def _epochs(self, pictures: int) -> int:
        """Return the number of epochs that comes nearest to `every` steps."""
        an_epoch = max(1, math.ceil(pictures / max(1, int(self.train_batch_size or 1))))
        return max(1, round(int(self.every or 1) / an_epoch))


def of_values(values: Mapping[str, Any], pictures: int) -> Form:
    """Return the form of a training's file; what has no field goes to `more`."""
    usual = Form()
    known = {ALIASES.get(key, key): value for key, value in values.items()}
    size = known.get("resolution", 512)
    batch = int(known.get("train_batch_size", 1))
    an_epoch = max(1, math.ceil(pictures / batch))
    prompts = known.get("validation_prompts") or ()
    prompts = (prompts,) if isinstance(prompts, str) else prompts
    made = {"checkpoints_total_limit": 2, **_looks(str(known.get("model", "")))}
    rest = {
        key: value
        for key, value in known.items()
        if key not in OWN and key not in _NOT_SHOWN and made.get(key) != value
    }
    return Form(
        name=str(known.get("output_name") or Path(str(known.get("output_dir", "look"))).name),
        model=str(known.get("model", usual.model)),
        network_dim=known.get("rank", 16),
        network_alpha=known.get("lora_alpha") or known.get("rank", 16),
        learning_rate=f"{float(known.get('learning_rate', 1e-4)):g}",
        max_train_steps=known.get("max_train_steps") or usual.max_train_steps,
        resolution=",".join(map(str, size)) if isinstance(size, (list, tuple)) else str(size),
        train_batch_size=batch,
        seed=known.get("seed", 0),
        prompts="\n".join(map(str, prompts)),
        every=int(known.get("save_every_n_epochs") or 1) * an_epoch,
        more=yaml.safe_dump(rest, sort_keys=False, allow_unicode=True) if rest else "",
    )


def _looks(model: str) -> dict[str, Any]:
    """Return the settings of validation pictures that the form makes for a base model."""
    generate = load_settings(_preset_of(model)).generate
    return {
        "validation_weights": [0.0, 1.0],
        "validation_inference_steps": min(20, generate.steps),
        "validation_cfg_scale": generate.cfg_scale,
    }


def models() -> list[str]:
    """Return the base models of the presets that LoRAs are trained for, each once."""
    names = dict.fromkeys(load_settings(name).generate.model for name in presets())
    families = {name: family_named(pipeline_class(name)) for name in names}
    return [name for name, family in families.items() if family is None or family.trains]


def usual(model: str) -> Form:
    """Return the usual form for a base model: the embedded one learns at half of its 256 px, in a
    quarter of the time; SDXL trains at 1024."""
    settings = load_settings(_preset_of(model))
    side = settings.generate.width
    if side <= 256:
        return Form(model=model)
    return Form(
        model=model,
        network_dim=16,
        network_alpha=8,
        learning_rate="1e-4",
        max_train_steps=1500,
        resolution=str(side),
        train_batch_size=1,
        every=250,
    )


def more_of(root: Path, text: str) -> dict[str, Any]:
    """Return other settings, a line of YAML each; raises SettingsError for those with a field."""
    try:
        values = parse_yaml(text or "") or {}
    except yaml.YAMLError as error:
        where = one_line(error)
        raise SettingsError([f"other settings: not YAML ({where})"]) from None
    if not isinstance(values, dict):
        raise SettingsError(["other settings: expected lines as in `lr_scheduler: cosine`"])
    visitor_settings.check_training(values)
    for key in values:
        if ALIASES.get(str(key), str(key)) in OWN:
            raise SettingsError([f"{key}: it has a field of its own; set it there"])
    for key in _PATHS:
        if values.get(key):
            values[key] = str(datasets.place(root, str(values[key])))
    return {str(key): value for key, value in values.items()}


def _preset_of(model: str) -> str:
    """Return the first preset with this model, else one of SD 1.5's size."""
    names = presets()
    found = (name for name in names if load_settings(name).generate.model == model.strip())
    return next(found, "sd15" if "sd15" in names else "mini")


def _number(value: float | None, name: str) -> int:
    if not value or value < 1:
        raise SettingsError([f"{name} {value!r}: expected a whole number from 1 on; set {name}"])
    return int(value)


def _typed(text: str, kind: type[int] | type[float]) -> Any:
    """Return the numbers of a field; text without any is left to the check of the settings."""
    try:
        numbers = [kind(part) for part in re.split("[,x×]", str(text).lower())]
    except ValueError:
        return text
    return numbers[0] if len(numbers) == 1 else numbers
