"""The Cog predictor: one prediction draws products, or takes a photo, and gives back what was kept.

`visuals.pipeline.jobs.model_server` does the work. The models are those of the preset
VISUALS_PRESET, loaded once. See docs/hosting.md.
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from cog import BasePredictor, Input, Path


def _importable() -> None:
    """In Cog's image the repository lies in /src and is not installed: give it its name."""
    if "visuals" in sys.modules or importlib.util.find_spec("visuals") is not None:
        return
    root = FilePath(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "visuals", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    module = sys.modules["visuals"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


class Predictor(BasePredictor):
    """`setup` once, `predict` for each prediction."""

    def setup(self) -> None:
        """Load the models of VISUALS_PRESET (sd15 unless it is set)."""
        _importable()
        from visuals.configs.schema import load_settings
        from visuals.pipeline.build import process
        from visuals.pipeline.jobs.model_server import ModelServer

        preset = os.environ.get("VISUALS_PRESET") or "sd15"
        process.prepare(load_settings(preset), ("generate", "detect", "segment", "rerender"))
        self.models = ModelServer(preset, report=print)
        self.folder: Any = None

    def predict(
        self,
        class_name: str = Input(
            description="Products to draw or to look for, by comma; name=phrase|phrase in detail."
        ),
        image: Path | None = Input(  # noqa: B008
            description="Photo to work on. Without one, pictures are drawn.", default=None
        ),
        prompt: str | None = Input(
            description="Prompt; {class} becomes the class. Default: the preset's.", default=None
        ),
        negative_prompt: str | None = Input(description="What to avoid.", default=None),
        edit: str = Input(
            description='What the product should become, as in "red leather".', default=""
        ),
        count: int = Input(description="Pictures of each class.", ge=1, le=16, default=1),
        seed: int | None = Input(
            description="Seed; the same one draws the same pictures. Default: another each time.",
            ge=0,
            le=4294967295,
            default=None,
        ),
        steps: int | None = Input(
            description="Steps of stages 1 and 3. Default: the preset's.",
            ge=1,
            le=150,
            default=None,
        ),
        guidance_scale: float | None = Input(
            description="CFG of stages 1 and 3. Default: the preset's.", ge=0, le=50, default=None
        ),
        strength: float | None = Input(
            description="How much of the product is redrawn, 0 to 1. Default: the preset's.",
            ge=0.01,
            le=1,
            default=None,
        ),
        width: int | None = Input(
            description="Pixels, a multiple of 8 or 16. Default: the preset's.",
            ge=64,
            le=2048,
            default=None,
        ),
        height: int | None = Input(
            description="Pixels, a multiple of 8 or 16. Default: the preset's.",
            ge=64,
            le=2048,
            default=None,
        ),
        confidence: float | None = Input(
            description="Least score of a detection, 0 to 1. Default: the preset's.",
            ge=0,
            le=1,
            default=None,
        ),
        retries: int | None = Input(
            description="Other seeds to try where the product is not found. Default: the preset's.",
            ge=0,
            le=10,
            default=None,
        ),
        output_format: str = Input(
            description="png keeps every pixel outside the mask as it was.",
            choices=["png", "jpeg", "webp"],
            default="png",
        ),
        output_quality: int = Input(description="Of jpeg and webp.", ge=1, le=100, default=95),
    ) -> Iterator[Path]:
        """Yield each picture that was kept; the log says why others were not. Fails where none
        was."""
        from visuals.pipeline.images.write import Format
        from visuals.pipeline.jobs.request import RunRequest
        from visuals.pipeline.runs.shot_files import ShotFiles

        if seed is None:
            seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}")
        request = RunRequest(
            classes=[name.strip() for name in class_name.split(",") if name.strip()],
            inputs=[] if image is None else [str(image)],
            prompt=prompt,
            negative_prompt=negative_prompt,
            edit=edit,
            count=count,
            seed=seed,
            steps=steps,
            cfg_scale=guidance_scale,
            strength=strength,
            width=width,
            height=height,
            confidence=confidence,
            retries=retries,
        )
        if self.folder:  # of the last prediction: its pictures are delivered
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = tempfile.mkdtemp(prefix="visuals-")
        output = Format(output_format, output_quality)  # type: ignore[arg-type]
        reasons, kept = [], 0
        for shot, settings in self.models.run(request):
            files = ShotFiles(
                FilePath(self.folder), settings=settings.model_dump(mode="json"), output=output
            )
            record = files.write(shot)
            if record.kept:
                kept += 1
                print(f"{record.id}: {record.status}, seed {record.seed}")
                yield Path(f"{self.folder}/{record.files.picture}")
                continue
            reason = record.error or record.reason
            reasons.append(f"{record.id} {record.status}: {reason.message if reason else ''}")
            print(reasons[-1])
        if not kept:
            raise ValueError(f"no picture was kept: {'; '.join(reasons)}")
