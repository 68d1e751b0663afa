"""`visuals bench quality`: every measure, or some, against its bar."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..configs.errors import VisualsError

if TYPE_CHECKING:
    from ..configs.schema import Settings

MEASURES = (
    "detection", "classes", "colours", "drawn-masks", "vae", "rerender", "look", "folder",
    "captions", "run", "help",
)  # fmt: skip


class MissingExtraError(VisualsError):
    """The renderer's compiler is not installed; the message says how to install it."""


def renderer() -> None:
    """Raises MissingExtraError where the held-out pictures cannot be drawn."""
    try:
        import numba  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "bench draws its held-out pictures and needs numba: "
            "pip install 'product-visuals[recipe]'"
        ) from None


def measure(
    settings: Settings,
    *,
    preset: str = "mini",
    only: Collection[str] = MEASURES,
    pictures: int = 200,
    count: int = 20,
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[dict[str, float], dict[str, Any]]:
    """(values by bar, details by measure).

    `pictures`: held-out renders for detection and VAE; `count`: drawn pictures a class.
    """
    renderer()
    from ..checkpoints.catalog import names as catalog
    from ..checkpoints.catalog.entry import UnknownCheckpointError
    from ..pipeline.build import process
    from ..pipeline.build import stages as build_stages_module
    from ..pipeline.build.stages import inpaint_pipeline, rerenderer
    from .accuracy import detection, folder_accuracy, generation, rerendering
    from .speed import cold_start

    size, seed, prompt = settings.generate.width, 90_001, settings.generate.prompt
    values: dict[str, float] = {}
    details: dict[str, Any] = {}

    def take(name: str, result: tuple[dict[str, float], dict[str, Any]]) -> None:
        values.update(result[0])
        details[name] = result[1]

    process.prepare(settings, ("generate", "rerender"))
    if {"help", "run"} & set(only):
        tell("start and a run of four pictures")
        if "help" in only:
            take("help", cold_start.measure_help())
        if "run" in only:
            take("run", cold_start.measure_run(preset))
    if "captions" in only:
        from ..pipeline.build.captioner import captioner
        from .accuracy import caption_accuracy

        tell(f"captions of {pictures} held-out renders")
        try:
            take("captions", caption_accuracy.measure(captioner(settings), pictures, size))
        except UnknownCheckpointError as error:
            if set(only) == {"captions"}:
                raise
            tell(f"captions left out: {error}")
    if set(only) <= {"help", "run", "captions"}:
        return values, details
    stages = build_stages_module.build_stages(
        settings, {"generate", "detect", "segment"}, report=tell
    )
    if "detection" in only:
        tell(f"detection and masks on {pictures} held-out renders")
        take("detection", detection.measure(stages, pictures, size))
    generate: Any = stages.generate
    pipe = generate.default
    if "vae" in only:
        tell("VAE")
        take("vae", generation.measure_vae(pipe.pipe.vae, pictures, size))
    if "classes" in only:
        tell(f"{count} pictures of each class")
        classify = generation.classifier(catalog.resolve("mini/classifier"))
        take("classes", generation.measure_classes(stages, classify, prompt, count, seed))
    if "drawn-masks" in only:
        tell("masks of pictures that stage 1's models drew")
        take("drawn-masks", generation.measure_drawn_masks(stages, pipe.pipe, 2 * count, size))
    if "colours" in only:
        tell("colour words")
        take(
            "colours", generation.measure_colours(stages, prompt, max(1, count * 8 // 20), seed + 1)
        )
    if "look" in only:
        tell("LoRA on and off")
        take("look", generation.measure_look(stages, prompt, max(1, count // 5), size, seed + 50))
    if "rerender" in only:
        tell("re-rendering with the ControlNet on and off")
        inpaint = inpaint_pipeline(settings, pipe.pipe)
        take(
            "rerender",
            rerendering.measure(lambda **c: rerenderer(inpaint, settings, **c), 2 * count, size),
        )
    if "folder" in only:
        tell("a folder of photos of many sizes")
        inpaint = inpaint_pipeline(settings, pipe.pipe)
        whole = replace(stages, rerender=rerenderer(inpaint, settings))
        take("folder", folder_accuracy.measure(whole, pictures / 200, tell))
    return values, details
