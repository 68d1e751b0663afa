"""The settings of a LoRA training as a file: one flat YAML, checked as a whole.

Names are those of diffusers' LoRA scripts, and kohya's where only kohya has them; the other
one's name for the same thing is understood too. Knows no models and no command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from .errors import one_line
from .schema import SettingsError as SettingsError
from .schema import nearest
from .train import TrainSettings as TrainSettings

ALIASES = {
    "pretrained_model_name_or_path": "model",
    "network_dim": "rank",
    "network_alpha": "lora_alpha",
    "network_dropout": "lora_dropout",
    "lora_layers": "target_modules",
    "unet_lr": "learning_rate",
    "max_train_epochs": "num_train_epochs",
    "optimizer": "optimizer_type",
    "lr_scheduler_num_cycles": "lr_num_cycles",
    "flip_aug": "random_flip",
    "color_aug": "color_jitter",
    "min_snr_gamma": "snr_gamma",
    "proportion_empty_prompts": "caption_dropout_rate",
    "num_repeats": "repeats",
    "dataset_repeats": "repeats",
    "reg_data_dir": "class_data_dir",
    "validation_prompt": "validation_prompts",
    "gradient_clip": "max_grad_norm",
}
"""Other names of settings, as kohya's sd-scripts or diffusers' other scripts have them."""


def read_train_settings(
    path: str | Path, overrides: Mapping[str, Any] | None = None
) -> TrainSettings:
    """Settings of a YAML file, `overrides` on top; raises SettingsError, all problems at once."""
    file = Path(path)
    if not file.is_file():
        raise SettingsError([f"no file {str(path)!r}: expected the YAML settings of a training"])
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = one_line(error)
        raise SettingsError([f"{path}: not YAML ({where}); mend the file"]) from None
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: expected settings, as in `rank: 16`, a line each"])
    return check({**_renamed(values), **_renamed(dict(overrides or {}))})


def check(values: Mapping[str, Any]) -> TrainSettings:
    """Settings of plain values, under any of their names."""
    try:
        return TrainSettings.model_validate(_renamed(values))
    except ValidationError as error:
        problems = [_problem(e) for e in error.errors()]  # type: ignore[arg-type]
        raise SettingsError(list(dict.fromkeys(problems))) from None


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        name = ALIASES.get(str(key), str(key))
        if name == "use_8bit_adam":
            if not value:
                continue
            name, value = "optimizer_type", "AdamW8bit"
        if name in out:
            raise SettingsError([f"{key} is another name of {name}: expected one; drop one"])
        out[name] = _number(value)
    return out


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a word."""
    if isinstance(value, str):
        try:
            return float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def _problem(error: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in error["loc"][:1])
    if error["type"] == "extra_forbidden":
        known = [*TrainSettings.model_fields, *ALIASES]
        hint = nearest(name, known) or "; `visuals train --help` names the page of all settings"
        return f"unknown setting {name!r}{hint}"
    if error["type"] == "missing":
        return f"{name} is missing: set it in the file"
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    what = error["msg"][0].lower() + error["msg"][1:]
    return f"{name} {error['input']!r}: {what.replace('input should', 'should')}; set {name}"
