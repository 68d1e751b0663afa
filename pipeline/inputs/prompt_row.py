"""The values of one row of a prompt file, read and checked. Knows no files, no models."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from .prompt_rows import OWN, Row, nested

WORDS = ("prompt", "negative_prompt", "class", "edit", "seed", "count", "name", "lora")
SAME = {
    "loras": "lora",
    "file_name": "name",
    "filename": "name",
    "n_iter": "count",
    "cfg": "generate.cfg_scale",
    "guidance_scale": "generate.cfg_scale",
    "num_inference_steps": "generate.steps",
    "sampler_name": "generate.sampler",
    "strength": "rerender.strength",
    "denoising_strength": "rerender.strength",
    **{name.partition(".")[2]: name for name in reversed(OWN) if name.startswith("generate.")},
}
"""Columns by the names of diffusers and A1111."""
COLUMNS = (*WORDS, *SAME, *OWN)
_NO_NAME = re.compile(r'[\\/<>:"|?*\x00-\x1f]|^\.|[. ]$')
_LONGEST = 120


@functools.lru_cache(maxsize=1)
def _usual() -> dict[str, Any]:
    """Settings that a row's own are put over to check them."""
    from ...configs.schema import raw

    return raw("mini")


class Cells:
    """The values of one row, read one by one; `problems`: what is wrong with them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {SAME.get(key, key): value for key, value in values.items()}
        self.problems: list[str] = []

    def row(self, line: int) -> Row:
        if not self.values:
            self.problems.append("nothing in it; expected a prompt or a class")
        return Row(
            line=line,
            prompt=self._text("prompt") or "",
            negative_prompt=self._text("negative_prompt"),
            class_=" ".join((self._text("class") or "").lower().split()),
            edit=self._text("edit"),
            seed=self._number("seed", 0, 2**32 - 1, none=-1),
            count=self._number("count", 1, 100_000),
            name=self._name(),
            loras=self._loras(),
            settings=self._settings(),
        )

    def _text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            self.problems.append(f"{key} {value!r}: expected text")
            return None
        return None if value is None else " ".join(value.split())

    def _number(self, key: str, low: int, high: int, none: int | None = None) -> int | None:
        value = self.values.get(key)
        if value is None or value == "":
            return None
        try:
            if isinstance(value, (bool, float)):
                raise ValueError
            number = int(value)
            if number == none:
                return None  # A1111's "any seed": the run's seed says which
            if not low <= number <= high:
                raise ValueError
        except (TypeError, ValueError):
            self.problems.append(f"{key} {value!r}: expected a whole number, {low} to {high}")
            return None
        return number

    def _name(self) -> str:
        value = self.values.get("name")
        name = re.sub(r"\.(png|jpe?g|webp)$", "", str("" if value is None else value).strip())
        if _NO_NAME.search(name) or len(name.encode("utf-8", "replace")) > _LONGEST:
            self.problems.append(
                f"name {name[:60]!r}: expected a file's name without a folder, of at most "
                f'{_LONGEST} bytes, without \\ / < > : " | ? *'
            )
            return ""
        return name

    def _loras(self) -> str:
        """`name:0.8; other` as tags."""
        value = self.values.get("lora")
        if value is None or value == "":
            return ""
        if isinstance(value, str) and "<" in value:
            return value
        if isinstance(value, str):
            value = re.split(r"\s*[;,]\s*", value)
        if isinstance(value, Mapping):
            value = [f"{name}:{weight}" for name, weight in value.items()]
        tags = []
        for part in value if isinstance(value, list) else [value]:
            found = re.fullmatch(r"\s*([^:<>]+?)\s*((?::\s*-?\d+(\.\d+)?\s*){0,2})", str(part))
            if not found:
                self.problems.append(f"lora {str(part)!r}: expected NAME:WEIGHT, as in film:0.8")
                continue
            weights = re.sub(r"\s", "", found[2]) or ":1"
            tags.append(f"<lora:{found[1]}{weights}>")
        return " ".join(tags)

    def _settings(self) -> dict[str, Any]:
        """Settings of the row, checked as those of --set are."""
        import yaml

        from ...configs.schema import SettingsError, check, merge
        from ...stages.diffusion import samplers

        own: dict[str, Any] = {}
        for name in OWN:
            value = self.values.get(name)
            if value is None or value == "":
                continue
            if isinstance(value, str) and not name.endswith("prompt"):
                try:
                    value = yaml.safe_load(value)
                except yaml.YAMLError:
                    pass  # the check below says what was expected
            own[name] = value
        if not own:
            return own
        try:
            made = check(merge(_usual(), nested(own)))
        except SettingsError as error:
            self.problems += error.problems
        for name in ("generate.sampler", "rerender.sampler"):
            if own.get(name) not in (None, *samplers.NAMES):
                try:
                    samplers.scheduler(own[name], {})
                except samplers.UnknownSamplerError as error:
                    self.problems.append(str(error))
        if self.problems:
            return {}
        values = made.model_dump(mode="json")
        return {name: values[name.partition(".")[0]][name.partition(".")[2]] for name in own}
