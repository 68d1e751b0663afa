"""What must be reached, as data, and the table that says what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Target:
    """`value` is compared with `bar` by `sign`: '>=', '<=' or '=='."""

    title: str
    sign: str
    bar: float
    unit: str = ""

    def passed(self, value: float) -> bool:
        return {">=": value >= self.bar, "<=": value <= self.bar, "==": value == self.bar}[
            self.sign
        ]


BARS: Mapping[str, Target] = {
    "recall": Target("detection: class present, found", ">=", 0.97),
    "false_positives": Target("detection: class absent, found all the same", "<=", 0.03),
    "box_iou": Target("mean box IoU of found products", ">=", 0.85),
    "mask_iou": Target("mean mask IoU of found products", ">=", 0.90),
    "kept": Target("generated pictures that stage 2 keeps as their class", ">=", 0.85),
    "classified": Target("generated pictures that the classifier calls their class", ">=", 0.85),
    "colour_obeyed": Target("colour words obeyed", ">=", 0.8),
    "classified_worst": Target("generated pictures called their class, worst class", ">=", 0.95),
    "edge_sharpness": Target("generated products: mean gradient, of the renders'", ">=", 0.8),
    "two_colours_obeyed": Target("two colour words in a prompt, both obeyed", ">=", 0.8),
    "blotches": Target("backdrops: largest deviation of hue, of the renders'", "<=", 1.5),
    "drawn_mask_iou": Target("mask IoU on renders drawn anew by stage 1's models", ">=", 0.9),
    "psnr": Target("VAE reconstruction", ">=", 28.0, "dB"),
    "worst_delta_e": Target("VAE: mean dE2000 in the mask, worst colour word", "<=", 5.0),
    "changed_outside": Target("pixels changed outside the feathered mask", "==", 0),
    "structure_gain": Target("edge IoU in the mask, ControlNet on minus off", ">=", 0.15),
    "color_kept": Target("re-render without an edit: mean dE2000 in the mask", "<=", 8.0),
    "color_taken": Target("re-render to another colour: share of the mask that took it", ">=", 0.9),
    "look_gain": Target("LoRA: share of the way to the studio look", ">=", 0.25),
    "look_class_kept": Target("LoRA: class kept", ">=", 0.85),
    "folder_precision": Target("a folder of photos: precision of the worst class", ">=", 0.95),
    "folder_recall": Target("a folder of photos: recall of the worst class", ">=", 0.95),
    "folder_mask_iou": Target("a folder of photos: mean mask IoU", ">=", 0.88),
    "folder_changed_outside": Target("a folder of photos: pixels changed outside", "==", 0),
    "caption_class": Target("captions: class named", ">=", 0.9),
    "caption_colour": Target("captions: colour named", ">=", 0.9),
    "caption_scene": Target("captions: scene named", ">=", 0.9),
    "train_loss": Target("a look trained: held-out loss, after / before", "<=", 0.9),
    "train_look": Target("a look trained: share of the way, with its tag", ">=", 0.25),
    "train_loss_photos": Target("photos learned: held-out loss, after / before", "<=", 0.95),
    "train_look_photos": Target("photos learned: share of the way, with their tag", ">=", 0.15),
    "train_plain": Target("a look trained: share of the way, or back, without the tag", "<=", 0.1),
    "train_kept": Target("a look trained: class found by stage 2", ">=", 0.9),
    "train_minutes": Target(
        "a look trained: class pictures and training, two cores", "<=", 10, "min"
    ),
    "cache_times": Target("cached steps: pictures a second, times as many", ">=", 2),
    "cache_times_photos": Target("cached steps: the same of photos of 1024 px", ">=", 2),
    "run_seconds": Target("visuals run, 4 pictures", "<=", 30.0, "s"),
    "run_gib": Target("visuals run, memory", "<=", 2.0, "GiB"),
    "help_seconds": Target("visuals --help, median of 5", "<=", 0.3, "s"),
}


def report(values: Mapping[str, float]) -> dict[str, dict[str, object]]:
    """The measured values beside their bars, as JSON has them."""
    return {
        key: {"value": value, "bar": f"{BARS[key].sign} {BARS[key].bar:g}"}
        | {"reached": bool(BARS[key].passed(value))}
        for key, value in values.items()
    }


def table(values: Mapping[str, float], title: str = "visuals bench quality") -> Table:
    """The measured values beside their bars."""
    from rich.table import Table

    out = Table(title=title, title_justify="left")
    for name in ("what", "measured", "bar", ""):
        out.add_column(name, justify="left" if name in ("what", "") else "right")
    for key, value in values.items():
        bar = BARS[key]
        good = bar.passed(value)
        shown = f"{value:.3f}" if abs(value) < 10 and value != int(value) else f"{value:.1f}"
        verdict = "[green]reached[/]" if good else "[red]missed[/]"
        unit = f" {bar.unit}" if bar.unit else ""
        out.add_row(bar.title, shown + unit, f"{bar.sign} {bar.bar:g}{unit}", verdict)
    return out
