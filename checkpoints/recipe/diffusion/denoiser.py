"""The small text-to-image model: tokenizer, text encoder and UNet, learned on the VAE's latents.

v-prediction on the scaled-linear schedule of Stable Diffusion (Salimans & Ho 2022), weighted by
min-SNR with gamma 5 (Hang et al. 2023); the text encoder is learned with the UNet.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ....samples import vocabulary
from ..training.train_loop import Budget, device_of, train
from .latents import Pictures

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

MAX_LENGTH = 77


def tokenizer(captions: list[str], size: int = 700) -> CLIPTokenizer:
    """A byte-level BPE tokenizer in CLIP's format, learned from the captions."""
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    tok = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tok.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            ByteLevel(False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    letters = sorted(ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size - 258, initial_alphabet=letters, end_of_word_suffix="</w>"
    )
    listed = vocabulary.words()
    known = " ".join(str(w) for v in listed.values() if isinstance(v, list) for w in v)
    tok.train_from_iterator([*captions, *[known + " ppzmini"] * 50], trainer)
    model = json.loads(tok.to_str())["model"]
    # CLIP's order: letters, letters that end a word, merges, the two marks
    names = letters + [c + "</w>" for c in letters]
    merges = [tuple(m) if not isinstance(m, str) else tuple(m.split(" ")) for m in model["merges"]]
    seen = set(names)
    for a, b in merges:
        if a + b not in seen:
            names.append(a + b)
            seen.add(a + b)
    names += ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocab, merge = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocab.write_text(json.dumps({n: i for i, n in enumerate(names)}))
        merge.write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_LENGTH)


def text_encoder(tok: CLIPTokenizer, width: int = 128, layers: int = 2) -> CLIPTextModel:
    """A fresh CLIP text model."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tok),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tok.bos_token_id,
            eos_token_id=tok.eos_token_id,
            pad_token_id=tok.pad_token_id,
            projection_dim=width,
        )
    )


def unet(
    channels: tuple[int, ...] = (64, 128), width: int = 128, size: int = 128
) -> UNet2DConditionModel:
    """A fresh UNet for pictures of `size` pixels; attention below the first level."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=size // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (len(channels) - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (len(channels) - 1), "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=width,
        norm_num_groups=16,
    )


def schedule() -> DDPMScheduler:
    """The noise schedule that training and sampling share."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


def tokens(tok: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids (N, 77), padded and cut as diffusers' pipelines do."""
    return tok(
        captions,
        padding="max_length",
        max_length=MAX_LENGTH,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def strew_tags(captions: list[str], seed: int, share: float = 0.15) -> list[str]:
    """Put a meaningless word of random letters before some captions.

    The model learns to draw on when it meets a word it does not know, such as the activation tag
    of a LoRA that is not attached.
    """
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return [
        f"{''.join(rng.choice(letters, rng.integers(4, 10)))}, {c}" if rng.random() < share else c
        for c in captions
    ]


def v_loss(
    noise_schedule: DDPMScheduler,
    predicted: torch.Tensor,
    latents: torch.Tensor,
    noise: torch.Tensor,
    times: torch.Tensor,
    gamma: float = 5.0,
) -> torch.Tensor:
    """Squared error of v, min-SNR weighted: weight min(snr, gamma) / (snr + 1)."""
    alpha = noise_schedule.alphas_cumprod.to(latents.device)[times]
    snr = alpha / (1 - alpha)
    weight = snr.clamp(max=gamma) / (snr + 1)
    target = noise_schedule.get_velocity(latents, noise, times)
    return (weight * (predicted - target).square().mean((1, 2, 3))).mean()


def stratified_times(rng: np.random.Generator, count: int) -> torch.Tensor:
    """One time in each of `count` equal parts of 0..999, shuffled."""
    t = (np.arange(count) + rng.random(count)) / count * 1000
    return torch.from_numpy(rng.permutation(t).astype(np.int64))


def noised(
    noise_schedule: DDPMScheduler, latents: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(noisy latents, channels last; the noise; the times (N,)) of a batch of latents."""
    times = stratified_times(rng, len(latents)).to(latents.device)
    noise = torch.randn_like(latents)
    noisy = noise_schedule.add_noise(latents, noise, times)
    return noisy.contiguous(memory_format=torch.channels_last), noise, times


def fit(
    net: UNet2DConditionModel,
    text: CLIPTextModel,
    tok: CLIPTokenizer,
    pictures: Pictures,
    *,
    workdir: Path,
    budget: Budget,
    batch: int = 24,
    seed: int = 2,
    name: str = "unet",
) -> None:
    """Train UNet and text encoder on latents and captions."""
    from diffusers.models.attention_processor import AttnProcessor

    device = device_of(net)
    ids = tokens(tok, strew_tags(pictures.captions, seed)).to(device)
    empty = tokens(tok, [""])[0].to(device)
    latents = pictures.latents.to(device)
    noise_schedule = schedule()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # On a CPU the backward pass of fused attention takes ten times as long as its forward pass:
    # with plain matrix products a sample takes 21 ms in place of 29 (16 x 16 latents, one core).
    net.set_attn_processor(AttnProcessor())

    def loss_fn(step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        pick = torch.from_numpy(rng.integers(len(ids), size=batch)).to(device)
        z = latents[pick].float()
        words = ids[pick].clone()
        words[torch.from_numpy(rng.random(batch) < 0.1)] = empty
        noisy, noise, times = noised(noise_schedule, z, rng)
        with torch.autocast(z.device.type, torch.bfloat16):  # a fifth faster on AVX-512 cores
            predicted = net(noisy, times, text(words).last_hidden_state).sample
        return v_loss(noise_schedule, predicted.float(), z, noise, times), {}

    groups = [
        {"params": list(net.parameters()), "scale": 1.0},
        {"params": list(text.parameters()), "scale": 0.6},
    ]
    train(
        name,
        workdir=workdir,
        modules={"unet": net, "text": text},
        loss_fn=loss_fn,
        budget=budget,
        seed=seed,
        param_groups=groups,
    )
