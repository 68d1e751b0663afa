"""Writes a folder of random-weight models in the formats of checkpoints/mini, in seconds."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, seed: int = 0) -> None:
    """Small, untrained models that can be run and know nothing."""
    import torch

    from visuals.checkpoints.recipe import (
        assemble,
        classifier,
        controlnet,
        detector_model,
        diffusion,
        lora,
        segmenter,
        vae,
    )

    torch.manual_seed(seed)
    tok = diffusion.tokenizer(["a red sneaker on a white background", "blue mug, shelf"], 620)
    text = diffusion.text_encoder(tok, width=32, layers=1)
    net = diffusion.unet((16, 32), 32)
    control = controlnet.build(net)
    assemble.text_to_image(folder / "sd", vae.build((16, 16, 16, 16)), net, text, tok)
    assemble.controlnet(folder / "controlnet-canny", control)
    words = detector_model.tokenizer()
    detector_model.export(detector_model.build(len(words), 32), folder / "grounding-dino")
    segmenter.export(segmenter.build(width=32, prompt=32), folder / "sam")
    classifier.export(classifier.build(), folder / "classifier")
    net.float()
    lora.attach(net, rank=2)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    lora.export(net, folder / "loras" / "ppzmini.safetensors", rank=2)
    assemble.words(folder)
