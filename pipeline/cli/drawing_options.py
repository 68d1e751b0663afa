"""The options that say what stages 1 and 3 draw. Knows click only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def _edits(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    if not all(edit.strip() for edit in given):
        raise click.BadParameter(
            "'': expected what the product should become, as in \"red leather\"", ctx, option
        )
    return given


DRAWING: dict[str, Callable[[Any], Any]] = {
    "count": click.option(
        "-n", "--count", type=click.IntRange(1), help="Pictures per class. Default: 4."
    ),
    "prompt": click.option(
        "-p",
        "--prompt",
        metavar="TEXT",
        help="Prompt; {class} stands for the class. Default: the preset's.",
    ),
    "prompt_file": click.option(
        "--prompt-file",
        "--prompts",
        metavar="FILE",
        help="Prompts to take in turn, one per line; or a .csv, .tsv or .jsonl table.",
    ),
    "negative_prompt": click.option("--negative-prompt", metavar="TEXT", help="What to avoid."),
    "edit": click.option(
        "--edit",
        "edits",
        multiple=True,
        metavar="TEXT",
        callback=_edits,
        help='What the product should become, as in "red leather"; repeated: a variant each.',
    ),
    "steps": click.option(
        "--steps", type=int, help="Sampling steps of stages 1 and 3. Default: the preset's."
    ),
    "cfg_scale": click.option(
        "--cfg-scale", type=float, help="Classifier-free guidance of stages 1 and 3; 1: none."
    ),
    "sampler": click.option(
        "--sampler", metavar="NAME", help='Sampler of stage 1, as in "DPM++ 2M Karras".'
    ),
    "width": click.option(
        "--width",
        type=int,
        help="Width of generated pictures in pixels, a multiple of 8; 16 for FLUX.1 and its like.",
    ),
    "height": click.option(
        "--height",
        type=int,
        help="Height of generated pictures in pixels, a multiple of 8; 16 for FLUX.1 and its like.",
    ),
    "rerender_steps": click.option(
        "--rerender-steps", type=int, help="Sampling steps of stage 3, where they differ."
    ),
    "rerender_cfg_scale": click.option(
        "--rerender-cfg-scale", type=float, help="Guidance of stage 3, where it differs."
    ),
    "controlnet_weight": click.option(
        "--controlnet-weight",
        type=float,
        help="How strongly the ControlNets of stage 3 hold the shape, 0 to 2.",
    ),
    "init_image": click.option(
        "--init-image", metavar="FILE", help="Start stage 1 from this picture (img2img)."
    ),
    "prompt_strength": click.option(
        "--prompt-strength",
        type=float,
        help="How much of --init-image to replace, 0 to 1. Default: the preset's.",
    ),
    "reference": click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="FILE",
        help="Reference picture for IP-Adapter; repeatable.",
    ),
    "strength": click.option(
        "--strength", type=float, help="Denoising strength of stage 3, 0 to 1."
    ),
    "control": click.option(
        "--control",
        "controls",
        multiple=True,
        metavar="NAME",
        help="ControlNet that keeps the shape in stage 3: canny, depth, …; repeatable.",
    ),
    "mask": click.option(
        "--mask",
        metavar="PATH",
        help="Mask file (white: re-render), or a folder of masks named like the photos.",
    ),
    "lora_dir": click.option(
        "--lora-dir",
        "lora_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Folder to search for <lora:name:1>, with its subfolders; repeatable.",
    ),
    "embedding_dir": click.option(
        "--embedding-dir",
        "embedding_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        help="Folder of textual inversions, named in prompts; repeatable.",
    ),
    "retries": click.option(
        "--retries",
        type=int,
        help="Draw a picture that stage 2 rejects again, with up to N other seeds.",
    ),
}
"""Options by name, as `apply` takes them."""
