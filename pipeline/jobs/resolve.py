"""Resolves a request: its settings, classes and prompts, checked before any model is loaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ...configs.errors import UsageError
from ...configs.schema import load_settings
from .engine_options import EngineOptions, RequestError, sentences
from .reporter import Reporter
from .request import RunRequest

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ..inputs.prompt_rows import PromptRow
    from ..runs.object_store import ObjectStore

VERSION = 2
"""Version of the request in run.yaml; version 1, of the first release, is read too."""

_RECORDED = (
    "edits", "limit", "annotate", "copy_skipped", "sort_by_class", "cutout", "background", "prompt",
    "negative_prompt",
)  # fmt: skip
"""Fields of a request that run.yaml keeps among its options, beside those that settings hold."""
_REQUESTED = ("command", "classes", "count", "edit", "preset", "mask")
"""Fields of a request that run.yaml keeps under their names."""


@dataclass(frozen=True)
class ResolvedRequest:
    """A request whose words have been put together with its settings.

    Args:
        request: what was asked for.
        settings: all settings of the run.
        classes: names of the classes to generate or look for, in the model's own words.
        needs: the stages to go through.
        prompts: prompts of stage 1 that take turns; with `rows`, their texts.
        rows: rows of a prompt table, with words and settings of their own.
        given: dotted names of the settings that the user set, which a LoRA's recommendation does
            not replace; None where the settings are final, as of a resumed run.
        random_seed: whether the seed was drawn for this run.
    """

    request: RunRequest
    settings: Settings
    classes: tuple[str, ...]
    needs: tuple[str, ...]
    prompts: tuple[str, ...] = ()
    rows: tuple[PromptRow, ...] = ()
    given: frozenset[str] | None = None
    random_seed: bool = False

    def record(self) -> dict[str, Any]:
        """Return the request of run.yaml: with the settings beside it, all that resuming needs."""
        from ..exports.cutouts import is_color

        request = self.request
        words: dict[str, Any] = {"prompts": None if self.rows else list(self.prompts) or None}
        if self.rows:
            words["rows"] = [row.to_json() for row in self.rows]
        options = request.model_dump(mode="json", include=set(_RECORDED), exclude_defaults=True)
        if request.background and not is_color(request.background):
            options["background"] = os.path.abspath(request.background)
        return {
            "version": VERSION,
            "command": request.command,
            "needs": list(self.needs),
            "inputs": [absolute(name) for name in request.inputs],
            "preset": request.preset,
            "classes": list(self.classes),
            "count": request.count,
            "edit": request.edit,
            **words,
            "mask": request.mask and os.path.abspath(request.mask),
            "options": options,
        }


def resolve(
    request: RunRequest,
    reporter: Reporter | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> ResolvedRequest:
    """Resolve a request.

    Args:
        request: the request.
        reporter: receives its warnings.
        base: settings by dotted name between the preset and the request, as a server's own.

    Raises:
        VisualsError: settings, classes, prompts or the engine's options are wrong.
    """
    from ...configs.schema import given
    from ..exports.annotate import require
    from .check_prompt_rows import read_prompt_file

    reporter = reporter or Reporter()
    check_engine(request.engine)
    check_out(request)
    settings = request_settings(request, reporter.warn, base=base)
    prompts, rows = read_prompt_file(request, settings)
    require(request.annotate)
    settings, classes = resolve_classes(request, settings, reporter, prompts=prompts, rows=rows)
    own = given(request.preset, {**(base or {}), **request.setting_overrides()})
    settings, drawn = as_begun(settings, request, own)
    if "detect" not in request.needs:
        settings = settings.model_copy(update={"verify": None})  # nothing is looked for
    return ResolvedRequest(
        request, settings, tuple(classes), request.needs, prompts, rows, frozenset(own), drawn
    )


def request_settings(
    request: RunRequest,
    warn: Callable[[str], None] = lambda text: None,
    *,
    base: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of a request: its preset with its overrides and options on top.

    Args:
        request: the request.
        warn: is called with a sentence where the prompt leaves no place for the edit.
        base: settings by dotted name between the preset and the request.

    Raises:
        SettingsError: a setting is unknown or out of range.
    """
    preset, low = request.preset, dict(base or {})
    overrides = {**low, **request.setting_overrides()}
    if request.prompt is not None:
        overrides |= request.prompt_settings(load_settings(preset, overrides), warn)
    settings = load_settings(preset, overrides)
    more: dict[str, Any] = {
        f"generate.{name}": [*own, *getattr(settings.generate, name)]
        for name in ("lora_dirs", "embedding_dirs")
        if (own := getattr(request, name))
    }
    if request.controlnet_weight is not None:
        more |= {
            f"controls.{name}.conditioning_scale": request.controlnet_weight
            for name in settings.rerender.controls
        }
    return load_settings(preset, {**overrides, **more}) if more else settings


def as_begun(
    settings: Settings, request: RunRequest, own: Collection[str]
) -> tuple[Settings, bool]:
    """Return the settings with a seed in place of -1, and whether it was drawn at random.

    A run that is resumed keeps its seed, and, where an earlier version began it, does without the
    settings that came later, unless they are among `own`; `generate.first_seed` serves for both.
    Where nothing is drawn the seed is 0.
    """
    from ...configs.errors import VisualsError
    from ...stages.shot import seed_or_random
    from ..runs.locate import run_place
    from ..runs.object_store import read

    earlier: dict[str, Any] = {}
    draws = bool({"generate", "rerender"} & set(request.needs))
    if draws and request.out:
        with contextlib.suppress(VisualsError, OSError):  # opening the folder reports it
            earlier = read(run_place(request.out)).get("settings") or {}
    settings = _without_later_settings(settings, earlier, own)
    if settings.run.seed != -1:
        return settings, False
    usual = settings.generate.first_seed if draws else 0
    known = (earlier.get("run") or {}).get("seed", usual)
    run = settings.run.model_copy(update={"seed": seed_or_random(-1 if known is None else known)})
    return settings.model_copy(update={"run": run}), known is None


def _without_later_settings(
    settings: Settings, earlier: Mapping[str, Any], own: Collection[str]
) -> Settings:
    """Put what the sections of `earlier` lack at its default, as reading `earlier` does."""
    changes = {}
    for name, section in settings:
        old = earlier.get(name)
        if isinstance(old, Mapping) and isinstance(section, BaseModel):
            later = {
                key: field.get_default(call_default_factory=True)
                for key, field in type(section).model_fields.items()
                if key not in old and f"{name}.{key}" not in own
            }
            changes[name] = section.model_copy(update=later)
    return settings.model_copy(update=changes)


def resolve_classes(
    request: RunRequest,
    settings: Settings,
    reporter: Reporter,
    *,
    prompts: Sequence[str] = (),
    rows: Sequence[PromptRow] = (),
) -> tuple[Settings, list[str]]:
    """Return the settings with the classes in them, and the classes' names.

    Classes and prompts are checked against the vocabulary of the model that reads them.
    """
    from ...checkpoints.load import known_words
    from ...stages.classes import MERGED, SCENE
    from ..build.replicate import draws
    from ..inputs.shots import is_run_folder
    from ..prompts.model_vocabulary import unknown_words
    from ..prompts.product_classes import class_prompts, merge_classes, without_prompts
    from .check_prompt_rows import default_classes

    named = default_classes(rows, request.classes, settings)
    of_rows = list(dict.fromkeys(row.class_ for row in rows if row.class_))
    local = not request.inputs and not draws(settings)
    reader = settings.generate.model if local else settings.detect.model
    known = known_words(reader)
    earlier = is_run_folder(request.inputs)
    texts = prompts or (request.prompt or settings.generate.prompt,)
    full = request.command == "generate" and not any("{class}" in text for text in texts)
    unneeded = earlier or request.mask or rows or full
    if not named and not unneeded and not set(settings.classes) - {MERGED, SCENE}:
        known_names = f" ({', '.join(known['classes'])})" if known else ""
        raise RequestError(f"no --class: expected the product to look for{known_names}")
    before, preset = settings, request.preset
    settings, names, warnings = merge_classes(
        settings, [*named, *of_rows], known, preset=preset, fallback=not earlier
    )
    if of_rows:
        names = merge_classes(before, named, known, preset=preset)[1] if named else []
    for warning in warnings:
        reporter.warn(warning)
    if request.prompt is not None:
        settings = without_prompts(settings)
    words = (request.prompt, *prompts, *request.all_edits, *class_prompts(settings))
    text = " ".join(filter(None, words)).replace("{class}", "")
    unknown = unknown_words(text, known, load_settings(preset).generate.prompt)
    if unknown:
        reporter.warn(
            f"the models of preset {preset!r} were not trained on: {', '.join(unknown)} "
            f"(see words.json of {reader}; --preset sd15 knows more)"
        )
    return settings, names


def check_out(request: RunRequest) -> None:
    """Raise RunFolderError where `out` is a file, or a folder of other files."""
    from ..runs.folder import check_place
    from ..runs.object_store import is_url

    if request.out and not is_url(request.out):
        check_place(Path(request.out))


def check_engine(engine: EngineOptions) -> None:
    """Raise EngineError for a bad address, MissingDependencyError where Ray is not installed."""
    if engine.engine == "local":
        return
    from importlib.util import find_spec

    from ...configs.errors import MissingDependencyError
    from ..engines.ray_cluster import place

    place(engine.address)
    if find_spec("ray") is None:
        raise MissingDependencyError("ray", "ray")


def recorded_request(
    record: Mapping[str, Any], folder: Path | ObjectStore, inputs: Sequence[str] = ()
) -> ResolvedRequest:
    """Return the request of a run.yaml, to be resumed.

    Args:
        record: the values of run.yaml, of this version or the one before.
        folder: the run folder.
        inputs: where its photos are now, if they moved.

    Raises:
        RunFolderError: the record holds no request that can be resumed.
    """
    from ...configs.schema import check
    from ..inputs.prompt_rows import PromptRow
    from ..runs.run_yaml import NAME, RunFolderError, without_pickles
    from .check_prompt_rows import row_prompts

    request = record.get("request") or {}
    if request.get("command") == "replay":
        raise RunFolderError(
            f"{folder} is a replay: to go on with it, repeat its command with --out {folder}"
        )
    if "needs" not in request:
        raise RunFolderError(
            f"{folder}/{NAME} does not say how the run goes on: it was begun by the library or an "
            f"earlier version; repeat its command with --out {folder}"
        )
    options = request.get("options") or {}
    fields = {key: request.get(key) for key in _REQUESTED} | {
        key: options.get(key) for key in _RECORDED
    }
    try:
        settings = check(without_pickles(record.get("settings") or {}))
        with sentences(PromptRow):
            rows = tuple(map(PromptRow.model_validate, request.get("rows") or ()))
        made = RunRequest(
            inputs=tuple(inputs or request.get("inputs") or ()),
            out=str(folder),
            **{key: value for key, value in fields.items() if value is not None},
        )
    except UsageError as error:
        raise RunFolderError(f"{folder}/{NAME}: {error}; mend the file") from None
    prompts = row_prompts(rows, settings) if rows else tuple(request.get("prompts") or ())
    return ResolvedRequest(made, settings, made.classes, tuple(request["needs"]), prompts, rows)


def absolute(name: str) -> str:
    """Return an input that means the same in another working folder."""
    if name.startswith("@") and not os.path.lexists(name):
        return f"@{os.path.abspath(name[1:])}"
    return str(Path(name).absolute())
