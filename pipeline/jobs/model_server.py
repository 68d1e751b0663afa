"""Models loaded once for many requests, which differ in words and numbers: what a server needs.

Knows the library's own calls; no HTTP, no terminal, no run folder.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...configs.errors import UsageError
from ..build import replicate, text_to_image
from ..build import stages as build_stages_module
from ..build.devices import loading_place
from ..inputs import shots as inputs
from ..prompts import loras, product_classes, wildcards
from ..runner.run import Stages, run_shots

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

_NEEDS = ("generate", "detect", "segment", "rerender")
_BOTH = {"steps": "steps", "cfg_scale": "cfg_scale", "negative_prompt": "negative_prompt"}
_ONE = {
    "strength": "rerender.strength",
    "width": "generate.width",
    "height": "generate.height",
    "confidence": "detect.box_threshold",
    "retries": "run.retries",
    "seed": "run.seed",
}
Tell = Any


class RequestError(UsageError):
    """A request that cannot be done; the message says got, expected, remedy."""


@dataclass(frozen=True)
class ServerRequest:
    """What one call of a server asks for. `classes`: as --class; `image`: a picture file to work
    on, None: `count` pictures of each class are drawn. None leaves what the preset says; `steps`
    and `cfg_scale` are those of stages 1 and 3."""

    classes: Sequence[str]
    image: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    edit: str = ""
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    cfg_scale: float | None = None
    strength: float | None = None
    width: int | None = None
    height: int | None = None
    confidence: float | None = None
    retries: int | None = None


class ModelServer:
    """The models of a preset with changes on top, loaded when it is made.

    `overrides`: dotted names, as `load_settings` takes them. One request at a time.
    """

    def __init__(
        self,
        preset: str = "mini",
        overrides: Mapping[str, Any] | None = None,
        *,
        tell: Tell = lambda text: None,
    ) -> None:
        from ...configs.schema import given, load_settings

        self.preset, self._overrides, self._tell = preset, dict(overrides or {}), tell
        self._given = given(preset, self._overrides)
        self.settings = load_settings(preset, self._overrides)
        self._built = build_stages_module.build_stages(self.settings, _NEEDS, tell=tell, late=False)

    def run(self, request: ServerRequest) -> Iterator[tuple[Shot, Settings]]:
        """Each shot of the request when it is finished, with the settings that made it.

        Raises RequestError and the other ValueErrors of settings, classes and prompts before
        anything is drawn.
        """
        from ...checkpoints.load import known_words

        settings, own = self._of(request)
        here = request.image is None and not replicate.draws(settings)
        reader = settings.generate.model if here else settings.detect.model
        settings, names, _ = product_classes.resolve(
            settings, request.classes, known_words(reader), preset=self.preset
        )
        if not names:
            raise RequestError("no class: expected the product to draw, or to look for")
        shots = self._shots(request, settings, names)
        known = wildcards.of(settings)
        prompts = list(dict.fromkeys(getattr(shot.source, "prompt", "") for shot in shots))
        build_stages_module.check_words(settings, prompts)
        settings = loras.ready(settings, prompts, own, draws=here, tell=self._tell, warn=self._tell)
        read = functools.partial(inputs.load, run_seed=settings.run.seed)

        def load(part: Sequence[Shot]) -> list[Shot]:
            return wildcards.drawn(read(part), known)

        stages = self._stages(settings)
        if request.image is not None:
            stages = replace(stages, load=load, generate=None)
        else:
            shots = [wildcards.drawn([shot], known)[0] for shot in shots]
        run = settings.run
        for shot in run_shots(
            shots, stages, run_seed=run.seed, retries=run.retries, batch_size=run.batch_size
        ):
            yield shot, settings

    def _of(self, request: ServerRequest) -> tuple[Settings, set[str]]:
        """The preset's settings with what the request changes, and which those are."""
        from ...configs.schema import load_settings

        changes: dict[str, Any] = {name: getattr(request, key) for key, name in _ONE.items()}
        for key, name in _BOTH.items():
            for section in ("generate", "rerender"):
                changes[f"{section}.{name}"] = getattr(request, key)
        if request.prompt is not None:
            changes["generate.prompt"] = request.prompt
            if not request.edit or "{class}" in request.prompt or "{edit}" in request.prompt:
                changes["rerender.prompt"] = request.prompt
            else:  # the edit needs a place to stand
                usual = self.settings
                changes["rerender.prompt"] = usual.rerender.prompt or usual.generate.prompt
        changes = {name: value for name, value in changes.items() if value is not None}
        settings = load_settings(self.preset, {**self._overrides, **changes})
        if request.prompt is not None:
            settings = product_classes.without_prompts(settings)
        return settings, self._given | set(changes)

    def _shots(
        self, request: ServerRequest, settings: Settings, names: Sequence[str]
    ) -> Sequence[Shot]:
        if request.image is not None:
            seed = settings.run.seed
            return inputs.photos([request.image], names, edit=request.edit, run_seed=seed)
        g = settings.generate
        return inputs.prompted(
            names,
            request.count,
            prompt=g.prompt,
            negative_prompt=g.negative_prompt,
            edit=request.edit,
            run_seed=settings.run.seed,
        )

    def _stages(self, settings: Settings) -> Stages:
        """The loaded models with the words and numbers of these settings."""
        built: Any = self._built
        device, dtype = loading_place(settings)
        specs = product_classes.specs(settings)
        verify = built.verify and _with(built.verify, classes=specs)
        threshold = settings.detect.box_threshold
        if replicate.draws(settings):
            generate = replicate.generator(settings)
        else:
            refiner = built.generate.passes.refiner
            generate = text_to_image.generator(
                built.generate.pipe,
                settings,
                device=device,
                dtype=dtype,
                tell=self._tell,
                loaded=refiner and refiner.pipe,
            )
        return replace(
            built,
            generate=generate,
            detect=_with(built.detect, classes=specs, box_threshold=threshold),
            verify=verify,
            rerender=build_stages_module.rerenderer(
                built.rerender.pipe, settings, led=built.rerender.controls
            ),
        )


def _with(stage: Any, **changes: Any) -> Any:
    changed = copy.copy(stage)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed
