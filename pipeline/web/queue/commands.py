"""What a page or a request asks for, as the `visuals …` command that does it.

A job of the studio is nothing but such a command, so that what a page did can be copied, run
elsewhere and gone on with. Knows settings and run.yaml; no models, no web server.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from ....configs.errors import UsageError

_PLAIN = re.compile(r"[A-Za-z][\w+./ -]*")
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "none"}


class CommandError(UsageError):
    """An order that cannot be carried out; the message says got, expected, remedy."""


@dataclass(frozen=True)
class Command:
    """A call of `run`, `generate`, `filter` or `enhance`; None leaves an option out.

    `changes`: settings by dotted names, as after `--set`; `out`: the run folder.
    """

    command: str
    inputs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    count: int | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    edit: str = ""
    strength: float | None = None
    confidence: float | None = None
    mask: str | None = None
    seed: int | None = None
    preset: str = "mini"
    out: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    gentle: ClassVar[bool] = False
    """Whether a cancelled command is given the time to save what it has in hand."""
    when_stopped: ClassVar[str] = "stopped; the command below goes on where it stopped"

    def to(self, out: str | Path) -> Command:
        """The order with its run folder."""
        return replace(self, out=str(out))

    def words(self) -> list[str]:
        """The command's words, without `visuals` itself."""
        words = [self.command, *self.inputs]
        for name in self.classes:
            words += ["--class", name]
        for option, value in (
            ("--count", self.count),
            ("--prompt", self.prompt),
            ("--negative-prompt", self.negative_prompt),
            ("--edit", self.edit or None),
            ("--strength", self.strength),
            ("--confidence", self.confidence),
            ("--mask", self.mask),
            ("--seed", self.seed),
            ("--preset", self.preset),
        ):
            if value is not None:
                words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
        for name, value in self.changes.items():
            words += ["--set", f"{name}={as_value(value)}"]
        return words + (["--out", self.out] if self.out else [])

    def line(self) -> str:
        """The command as it is typed into a shell.

        >>> Command("run", classes=("mug",), edit="red clay").line()
        "visuals run --class mug --edit 'red clay' --preset mini"
        """
        return shlex.join(["visuals", *self.words()])


def check(order: Command) -> None:
    """Raises ValueError, in one line, for settings or classes that the command would refuse."""
    from ....checkpoints.load import known_words
    from ....configs.schema import NULL, load_settings
    from ...build.stages import check_words
    from ...prompts.product_classes import merge_classes

    changes = {k: NULL if v is None else v for k, v in order.changes.items()}
    changes |= {"rerender.strength": order.strength, "detect.box_threshold": order.confidence}
    changes |= {"run.seed": order.seed, "generate.prompt": order.prompt}
    changes = {k: v for k, v in changes.items() if v is not None}
    settings = load_settings(order.preset, changes)
    reader = settings.detect.model if order.inputs else settings.generate.model
    merge_classes(settings, order.classes, known_words(reader), preset=order.preset, fallback=False)
    if order.command != "filter":
        check_words(settings)


def of_run(folder: Path) -> Command:
    """The order that a run folder was made by, without its `out`.

    Raises CommandError where run.yaml is not there or is of another program.
    """
    from ....configs.schema import load_settings

    try:
        record = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
        request, settings = record["request"], record["settings"]
        usual = load_settings(request["preset"]).model_dump(mode="json")
        changes = dict(_changed(usual, settings))
        prompts = request.get("prompts")
        return Command(
            command=request["command"],
            inputs=tuple(request["inputs"]),
            classes=tuple(request["classes"]),
            count=request.get("count"),
            edit=request.get("edit") or "",
            mask=request.get("mask"),
            preset=request["preset"],
            changes=changes if not prompts else {**changes, "generate.prompt": prompts[0]},
        )
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise CommandError(
            f"{folder.name}: its run.yaml cannot be read ({type(error).__name__}); "
            "expected the folder of a run"
        ) from None


def _changed(usual: Any, mine: Any, path: str = "") -> list[tuple[str, Any]]:
    """Settings that differ from the preset's, by dotted names."""
    out: list[tuple[str, Any]] = []
    for key, value in mine.items():
        name = f"{path}{key}"
        old = usual.get(key) if isinstance(usual, Mapping) else None
        if isinstance(value, Mapping) and isinstance(old, Mapping) and "." not in str(key):
            out += _changed(old, value, f"{name}.") if value else []
        elif value != old and (value or old):
            out.append((name, value))
    return out


def as_value(value: Any) -> str:
    """A value as YAML reads it back: plain words as they are, the rest as JSON."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
