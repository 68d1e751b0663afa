"""What a page or an API request asks for, as a `visuals …` command and as a task of the worker.

What a page did can be copied as a command, run elsewhere and resumed. Knows settings and run.yaml;
no models, no web server.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from ....configs.errors import UsageError
from ...jobs.request import RunRequest, yaml_value

as_value = yaml_value


class CommandError(UsageError):
    """A command that cannot be carried out; the message says got, expected, what to do."""


@dataclass(frozen=True)
class Command:
    """A call of `run`, `generate`, `filter` or `enhance`; see RunRequest for the fields.

    `changes` are its `overrides`; `out` is the run folder.
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
    when_stopped: ClassVar[str] = "stopped; the command below resumes it"

    def to(self, out: str | Path) -> Command:
        """Return the command with its run folder."""
        return replace(self, out=str(out))

    def request(self) -> RunRequest:
        """Return the request; raises RequestError."""
        values = {k: v for k, v in vars(self).items() if k != "changes" and v is not None}
        return RunRequest(**values, overrides=self.changes)

    def task(self) -> dict[str, Any]:
        """Return what the worker gets, as plain values."""
        request = self.request().model_dump(mode="json", exclude_defaults=True)
        return {"kind": "run", "request": request}

    def words(self) -> list[str]:
        """Return the command's words, without `visuals` itself."""
        return self.request().words()

    def line(self) -> str:
        """Return the command as it is typed into a shell.

        >>> Command("run", classes=("mug",), edit="red clay").line()
        "visuals run --class mug --edit 'red clay'"
        """
        return shlex.join(["visuals", *self.words()])


def check(command: Command) -> None:
    """Raise UsageError for settings, classes or prompts that the command would refuse."""
    from ...build.stages import check_words
    from ...jobs.resolve import resolve

    resolved = resolve(command.request())
    if command.command != "filter":
        check_words(resolved.settings)


def of_run(folder: Path) -> Command:
    """Return the command that made a run folder, without its `out`.

    Raises CommandError where run.yaml is missing or of another program.
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
