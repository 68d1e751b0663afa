"""Decoding: picture by picture, and in tiles from the first one that does not fit into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.inpaint_calls import calls

from visuals.checkpoints import load
from visuals.configs.generate import GenerateOptions
from visuals.stages.diffusion import decode
from visuals.stages.generate import Generator
from visuals.stages.shot import Prompted, Shot


def test_a_picture_too_large_to_decode_is_decoded_in_tiles_and_not_denoised_again(
    mini: Path,
) -> None:
    pipe = load.load_text_to_image("mini/sd")
    options = GenerateOptions(width=320, height=320, steps=2, sampler="Euler")
    stage = Generator(pipe, options)
    shots = [Shot(str(k), Prompted("a red mug", "", k), ("mug",)) for k in (1, 2)]
    whole = stage(shots)

    fits = 32

    def full(module: Any, args: Any) -> None:
        if args[0].shape[-1] > fits:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    pipe.vae.decoder.register_forward_pre_hook(full)
    with calls(pipe.unet.conv_in) as steps, calls(pipe.vae.decoder.conv_in) as decoded:
        tiled = stage(shots)
    assert len(steps) == options.steps and stage.batch_size == options.batch_size
    assert len(decoded) == 2 * 4, "two pictures of 2 × 2 tiles"
    for a, b in zip(whole, tiled, strict=True):
        assert a.image is not None and b.image is not None
        assert np.abs(a.image.astype(int) - b.image).mean() < 8
    fits = 16
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"), torch.inference_mode():
        decode.decode(pipe, torch.zeros(1, 4, 40, 40))


@pytest.mark.parametrize("trained_at", [128, 1024])
def test_tiles_are_of_512_pixels_at_most(trained_at: int) -> None:
    """SDXL's VAE was trained at 1024, and diffusers would not cut a picture of that size."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        vae = AutoencoderKL(sample_size=trained_at, block_out_channels=(32,) * 4,
                            down_block_types=("DownEncoderBlock2D",) * 4,
                            up_block_types=("UpDecoderBlock2D",) * 4)  # fmt: skip
    decode.use_tiles(vae)
    side = min(trained_at, decode.TILE)
    assert (vae.tile_sample_min_size, vae.tile_latent_min_size) == (side, side // 8)
    decode.use_tiles(vae, False)
    assert not vae.use_tiling
