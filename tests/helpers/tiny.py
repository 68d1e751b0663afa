"""Writes a folder of random-weight models in the formats of checkpoints/mini, in seconds."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, seed: int = 0) -> None:
    """Small, untrained models that can be run and know nothing."""
    import torch

    from visuals.checkpoints.recipe import assemble
    from visuals.checkpoints.recipe.diffusion import controlnet, denoiser, look_lora, vae
    from visuals.checkpoints.recipe.recognition import classifier, detector_model, segmenter

    torch.manual_seed(seed)
    tok = denoiser.tokenizer(["a red sneaker on a white background", "blue mug, shelf"], 620)
    text = denoiser.text_encoder(tok, width=32, layers=1)
    net = denoiser.unet((16, 32), 32)
    control = controlnet.build(net)
    assemble.text_to_image(folder / "sd", vae.build((16, 16, 16, 16)), net, text, tok)
    assemble.controlnet(folder / "controlnet-canny", control)
    words = detector_model.tokenizer()
    detector_model.export(detector_model.build(len(words), 32), folder / "grounding-dino")
    segmenter.export(segmenter.build(width=32, prompt=32), folder / "sam")
    classifier.export(classifier.build(), folder / "classifier")
    write_blip(folder / "blip")
    net.float()
    look_lora.attach(net, rank=2)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
    look_lora.export(net, folder / "loras" / "ppzmini.safetensors", rank=2)
    assemble.words(folder)


def write_blip(folder: Path) -> None:
    """A BLIP of random weights, as the recipe lays it out."""
    import torch

    from visuals.checkpoints.recipe.recognition import blip, caption_grammar

    torch.manual_seed(0)
    blip.export(
        blip.build(len(caption_grammar.tokenizer()), width=32, layers=1, size=64), folder, size=64
    )


def write_clip(folder: Path) -> None:
    """A CLIP of random weights, with processor files as the public ones have them."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    from visuals.checkpoints.recipe.diffusion import denoiser

    tok = denoiser.tokenizer(["a photo of a mug", "a photo of a car and a boot"], 620)
    torch.manual_seed(0)
    small = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        text_config={
            **small,
            "vocab_size": len(tok),
            "eos_token_id": tok.eos_token_id,
            "bos_token_id": tok.bos_token_id,
            "pad_token_id": tok.pad_token_id,
        },
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tok).save_pretrained(folder)
