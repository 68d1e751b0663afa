"""Names of SDXL's UNet modules as Stability's code, and so kohya's files, have them.

Pure text: diffusers' `down_blocks.1.attentions.0.proj_in` is `input_blocks.4.1.proj_in` there.
"""

from __future__ import annotations

import re

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_PLACE = re.compile(
    r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)"
)
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def name(module: str, *, layers_per_block: int = 2, attentive_up_blocks: int = 2) -> str:
    """`attentive_up_blocks`: how many of the first up blocks have attentions.

    >>> name("down_blocks.1.attentions.0.proj_in"), name("up_blocks.0.upsamplers.0.conv")
    ('input_blocks.4.1.proj_in', 'output_blocks.2.2.conv')
    """
    if found := _MIDDLE.fullmatch(module):
        kind, number, rest = found[1], int(found[2]), found[3]
        if kind == "attentions":
            return f"middle_block.{2 * number + 1}.{rest}"
        return f"middle_block.{2 * number}.{_RESNET[rest]}"
    found = _PLACE.fullmatch(module)
    if not found:
        raise ValueError(f"{module!r}: expected a module of a block of SDXL's UNet")
    way, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if way == "down":
        first = (layers_per_block + 1) * block + 1
        if kind == "downsamplers":
            return f"input_blocks.{first + layers_per_block}.0.op"
        stem = f"input_blocks.{first + layer}"
    else:
        first = (layers_per_block + 1) * block
        if kind == "upsamplers":
            place = 2 if block < attentive_up_blocks else 1
            return f"output_blocks.{first + layers_per_block}.{place}.conv"
        stem = f"output_blocks.{first + layer}"
    return f"{stem}.1.{rest}" if kind == "attentions" else f"{stem}.0.{_RESNET[rest]}"
