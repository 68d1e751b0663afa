"""Serves requests with models that are loaded once.

Knows the library's own calls; no HTTP, no terminal, no run folder.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..build import replicate, text_to_image
from ..build import stages as build_stages_module
from ..build.devices import loading_place
from ..prompts import product_classes
from ..runner.run import Stages, run_shots
from .plan import check, plan_shots
from .reporter import Reporter
from .request import RunRequest
from .resolve import resolve

if TYPE_CHECKING:
    from ...configs.schema import Settings
    from ...stages.shot import Shot

_NEEDS = ("generate", "detect", "segment", "rerender")


class ModelServer:
    """The models of a preset, loaded once for many requests. One request at a time.

    Args:
        preset: name of the preset, or path of a .yaml file.
        overrides: settings by dotted name on top of it, as `load_settings` takes them.
        report: receives what is being loaded, and notes.
    """

    def __init__(
        self,
        preset: str = "mini",
        overrides: Mapping[str, Any] | None = None,
        *,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        from ...configs.schema import load_settings

        self.preset, self._overrides, self._report = preset, dict(overrides or {}), report
        self.settings = load_settings(preset, self._overrides)
        self._built = build_stages_module.build_stages(
            self.settings, _NEEDS, report=report, late=False
        )

    def run(self, request: RunRequest) -> Iterator[tuple[Shot, Settings]]:
        """Yield each shot of a request when it is finished, with the settings that made it.

        The request's preset is replaced by the server's. Nothing is written.

        Raises:
            UsageError: settings, classes or prompts are wrong; nothing was drawn.
        """
        request = request.model_copy(update={"preset": self.preset})
        reporter = _ServerReporter(self._report)
        resolved = resolve(request, reporter, base=self._overrides)
        plan = check(plan_shots(resolved, reporter), reporter)
        settings = plan.resolved.settings
        stages = replace(self._stages(settings), load=plan.start.load)
        if request.inputs:
            stages = replace(stages, generate=None)
        run = settings.run
        for shot in run_shots(
            plan.shots, stages, run_seed=run.seed, retries=run.retries, batch_size=run.batch_size
        ):
            yield shot, settings

    def _stages(self, settings: Settings) -> Stages:
        """The loaded models with the words and numbers of these settings."""
        built: Any = self._built
        device, dtype = loading_place(settings)
        specs = product_classes.class_specs(settings)
        v, verify = settings.verify, None
        if v is not None and built.verify is not None:
            verify = _with(built.verify, classes=specs, threshold=v.threshold, relabel=v.relabel)
        rerender = built.rerender.default
        if replicate.draws(settings):
            generate = replicate.generator(settings)
        else:
            default = built.generate.default
            refiner = default.passes.refiner
            generate = text_to_image.generator(
                default.pipe,
                settings,
                device=device,
                dtype=dtype,
                report=self._report,
                loaded=refiner and refiner.pipe,
            )
        return replace(
            built,
            generate=generate,
            detect=_with(built.detect, classes=specs, options=settings.detect),
            verify=verify,
            rerender=build_stages_module.rerenderer(rerender.pipe, settings, led=rerender.controls),
        )


class _ServerReporter(Reporter):
    """Sends notes and warnings to one function."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    def note(self, text: str) -> None:
        self._report(text)

    def warn(self, text: str) -> None:
        self._report(text)


def _with(stage: Any, **changes: Any) -> Any:
    changed = copy.copy(stage)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed
