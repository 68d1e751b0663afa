"""Pictures a second of a run, against the baseline in benchmarks/, in one go on one machine.

Both work through the same photos with the same models, steps and thresholds, in processes of
their own that take turns; loading is left out on both sides. The processor's seconds stand beside
the clock's: they say as much on a machine that others use too.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checkpoints import atomic_files
from ...pipeline.images.read import read_image
from ...pipeline.images.write import encode_png
from ...pipeline.runs import folder as run_folder

if TYPE_CHECKING:
    from ...configs.schema import Settings

Tell = Callable[[str], None]


def compare(
    settings: Settings,
    work: Path,
    *,
    preset: str,
    class_: str,
    count: int,
    rounds: int = 1,
    rerender: bool = True,
    changes: tuple[str, ...] = (),
    tell: Tell = lambda text: None,
) -> dict[str, Any]:
    """Seconds a picture of both, their ratio (the middle of `rounds`), and how alike they are."""
    photos(work / "photos", class_, count)
    command = "run" if rerender else "filter"
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for turn in range(rounds):
        mine, base = work / f"visuals-{turn}", work / f"baseline-{turn}"
        tell(f"visuals {command}, {count} photos")
        options = ["--preset", preset, "--class", class_, "--out", str(mine), "--json"]
        if rerender:
            options += ["--prompt", _prompt(settings)]
        for change in changes:
            options += ["--set", change]
        said = json.loads(_ran(["visuals", command, str(work / "photos"), *options]))
        ours.append((said["seconds"] / said["total"], said["cpu_seconds"] / said["total"]))
        asked = work / f"baseline-{turn}.json"
        seeds = {line["id"]: line["seed"] for line in run_folder.read_lines(mine)}
        asked.write_text(json.dumps(_asked(settings, class_, seeds, rerender)), encoding="utf-8")
        tell(f"the baseline, {count} photos")
        _ran(["visuals.benchmarks.speed.baseline", str(asked), str(work / "photos"), str(base)])
        done = json.loads((base / "result.json").read_text(encoding="utf-8"))
        number = done["pictures"]
        theirs.append((done["seconds"] / number, done["cpu_seconds"] / number))
    return {
        "command": command,
        "pictures": count,
        **_compared(ours, theirs),
        "found": said["kept"] + said["enhanced"],
        "baseline_found": done["found"],
        **(_alike(mine, base) if rerender else {}),
    }


def _compared(
    ours: list[tuple[float, float]], theirs: list[tuple[float, float]]
) -> dict[str, float]:
    """By the clock and by the processor: both seconds a picture, and the middle of the ratios."""
    out = {}
    for k, (name, ratio) in enumerate(
        (("seconds_a_picture", "times_faster"), ("cpu_seconds_a_picture", "times_less_cpu"))
    ):
        mine, base = [turn[k] for turn in ours], [turn[k] for turn in theirs]
        out[name] = round(statistics.median(mine), 4)
        out[f"baseline_{name}"] = round(statistics.median(base), 4)
        out[ratio] = round(statistics.median(b / a for a, b in zip(mine, base, strict=True)), 2)
    return out


def photos(folder: Path, class_: str, count: int) -> None:
    """`count` photos that show the class: the sample photos of it, each moved a little more."""
    import cv2

    from ... import samples

    shipped = sorted((Path(samples.__file__).parent / "photos").glob(f"*-{class_}*.jpg"))
    if not shipped:
        raise ValueError(f"no sample photo shows a {class_!r}")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rgb = read_image(shipped[number % len(shipped)]).rgb
        by = number // len(shipped)
        move = np.array(((1, 0, by % 5), (0, 1, by // 5)), np.float32)
        moved = cv2.warpAffine(rgb, move, rgb.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        atomic_files.write(folder / f"{number:04d}.png", encode_png(moved))


def _ran(arguments: list[str]) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _asked(
    settings: Settings, class_: str, seeds: dict[str, int], rerender: bool
) -> dict[str, Any]:
    """The settings in the baseline's words."""
    from ...checkpoints.catalog.names import resolve

    g, d, r = settings.generate, settings.detect, settings.rerender
    (control,) = settings.leading
    return {
        "detector": resolve(d.model),
        "segmenter": resolve(settings.segment.model),
        "sd": resolve(g.model),
        "controlnet": resolve(control.model),
        "class": class_,
        "prompt": _prompt(settings).replace("{class}", class_),
        "negative_prompt": r.negative_prompt or g.negative_prompt,
        "box_threshold": d.box_threshold,
        "text_threshold": d.text_threshold,
        "strength": r.edit_strength or r.strength,  # the prompt asks for a change
        "steps": r.steps,
        "cfg_scale": r.cfg_scale,
        "size": r.width,
        "nms_iou": d.nms_iou,
        "crop_padding": settings.segment.crop_padding,
        "padding": r.padding,
        "blur": r.mask_blur,
        "dilate": r.dilate,
        "conditioning_scale": control.conditioning_scale,
        "guidance_end": control.guidance_end,
        "low": control.low,
        "high": control.high,
        "karras": r.sampler.endswith("Karras"),
        "rerender": rerender,
        "seeds": seeds,
    }


def _prompt(settings: Settings) -> str:
    """The prompt of both, without LoRA tags: the baseline has no LoRA."""
    from ...stages.prompts.lora_tags import parse

    return parse(settings.rerender.prompt or settings.generate.prompt)[0]


def _alike(mine: Path, base: Path) -> dict[str, Any]:
    """PSNR in dB inside both masks, the middle of the pictures; None where none is comparable."""
    found = []
    for line in run_folder.read_lines(mine):
        other = base / f"{line['id']}.png"
        if not line["files"]["result"] or not other.is_file():
            continue
        inside = read_image(mine / line["files"]["mask"]).rgb[..., 0] > 127
        inside &= read_image(other.with_suffix(".mask.png")).rgb[..., 0] > 127
        a, b = (
            read_image(p).rgb[inside].astype(float) for p in (mine / line["files"]["result"], other)
        )
        error = float(np.mean((a - b) ** 2)) if inside.any() else 0.0
        found.append(10 * np.log10(255**2 / max(error, 1e-9)))
    return {"psnr_inside": round(float(np.median(found)), 1) if found else None}
