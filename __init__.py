"""Product photos by diffusion: generate, check, re-render, with the scene kept bit for bit.

The names below are the public API. They are imported on first use, so that
`import visuals` and `visuals --help` cost no import of torch.

>>> from visuals import Shot, Skip
>>> Skip("no_detection", "no 'mug' above 0.35; best 0.22").code
'no_detection'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .configs.version import VERSION as __version__

_MODULES = {
    ".checkpoints.load": "load_controlnet_inpaint load_detector load_segmenter"
    " load_text_to_image load_verifier",
    ".configs.detect": "DetectOptions MaskSettings",
    ".configs.errors": "RunError UsageError VisualsError",
    ".configs.generate": "GenerateOptions HiresSettings",
    ".configs.rerender": "RerenderOptions",
    ".configs.schema": "Settings load_settings",
    ".pipeline.build.stages": "build_stages",
    ".pipeline.jobs.engine_options": "EngineOptions",
    ".pipeline.jobs.execute": "RunResult execute=run",
    ".pipeline.jobs.reporter": "Reporter",
    ".pipeline.jobs.request": "RunRequest",
    ".pipeline.runner.run": "Stages run_shots",
    ".pipeline.runner.summary": "Summary",
    ".pipeline.runs.folder": "RunFolder",
    ".pipeline.runs.manifest": "ManifestRecord read_records=read_manifest",
    ".stages.classes": "ClassSpec",
    ".stages.detect": "Detector",
    ".stages.diffusion.control_maps": "Canny",
    ".stages.diffusion.inpaint": "Controlled",
    ".stages.generate": "Generator",
    ".stages.mask": "MaskFilter",
    ".stages.prompts.instance_prompts": "InstancePrompts",
    ".stages.rerender": "Rerenderer",
    ".stages.segment": "Segmenter",
    ".stages.shot": "Detection Failure FileInput Prompted Shot Skip",
    ".stages.verify": "Verifier",
}
"""Public names by module; `a=b`: the module's `a` is public as `b`."""
_WHERE = {
    name.rpartition("=")[2]: (module, name.partition("=")[0])
    for module, names in _MODULES.items()
    for name in names.split()
}

if TYPE_CHECKING:
    from .checkpoints.load import load_controlnet_inpaint as load_controlnet_inpaint
    from .checkpoints.load import load_detector as load_detector
    from .checkpoints.load import load_segmenter as load_segmenter
    from .checkpoints.load import load_text_to_image as load_text_to_image
    from .checkpoints.load import load_verifier as load_verifier
    from .configs.detect import DetectOptions as DetectOptions
    from .configs.detect import MaskSettings as MaskSettings
    from .configs.errors import RunError as RunError
    from .configs.errors import UsageError as UsageError
    from .configs.errors import VisualsError as VisualsError
    from .configs.generate import GenerateOptions as GenerateOptions
    from .configs.generate import HiresSettings as HiresSettings
    from .configs.rerender import RerenderOptions as RerenderOptions
    from .configs.schema import Settings as Settings
    from .configs.schema import load_settings as load_settings
    from .pipeline.build.stages import build_stages as build_stages
    from .pipeline.jobs.engine_options import EngineOptions as EngineOptions
    from .pipeline.jobs.execute import RunResult as RunResult
    from .pipeline.jobs.execute import execute as run  # noqa: F401
    from .pipeline.jobs.reporter import Reporter as Reporter
    from .pipeline.jobs.request import RunRequest as RunRequest
    from .pipeline.runner.run import Stages as Stages
    from .pipeline.runner.run import run_shots as run_shots
    from .pipeline.runner.summary import Summary as Summary
    from .pipeline.runs.folder import RunFolder as RunFolder
    from .pipeline.runs.manifest import ManifestRecord as ManifestRecord
    from .pipeline.runs.manifest import read_records as read_manifest  # noqa: F401
    from .stages.classes import ClassSpec as ClassSpec
    from .stages.detect import Detector as Detector
    from .stages.diffusion.control_maps import Canny as Canny
    from .stages.diffusion.inpaint import Controlled as Controlled
    from .stages.generate import Generator as Generator
    from .stages.mask import MaskFilter as MaskFilter
    from .stages.prompts.instance_prompts import InstancePrompts as InstancePrompts
    from .stages.rerender import Rerenderer as Rerenderer
    from .stages.segment import Segmenter as Segmenter
    from .stages.shot import Detection as Detection
    from .stages.shot import Failure as Failure
    from .stages.shot import FileInput as FileInput
    from .stages.shot import Prompted as Prompted
    from .stages.shot import Shot as Shot
    from .stages.shot import Skip as Skip
    from .stages.verify import Verifier as Verifier

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'visuals' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _WHERE[name]
    return getattr(import_module(module, __name__), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
