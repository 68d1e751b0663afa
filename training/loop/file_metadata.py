"""Metadata of a trained LoRA file: kohya's `ss_*` keys and those of the model specification.

A1111, ComfyUI and Civitai read them; the names are from kohya's train_network.py and
library/sai_model_spec.py.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets.caption_edits import split_tags
from ..lora import save as lora_save

if TYPE_CHECKING:
    from ..datasets.examples import Example
    from .trainer import Trainer


def metadata(trainer: Trainer, *, epoch: int, started: float) -> dict[str, str]:
    """Return the metadata of the LoRA file after `epoch` epochs, values as text. `started`: when
    the training began, in seconds since 1970."""
    s, data, models = trainer.settings, trainer.data, trainer.models
    pictures = [e for e in data.learned if not e.name.startswith("class/")]
    shown = sum(e.repeats for e in pictures)
    folders: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(pictures, key=_subfolder):
        folders[_subfolder(example) or Path(s.train_data_dir).resolve().name].append(example)
    frequency = {
        name: dict(Counter(tag for e in members for tag in split_tags(e.text)))
        for name, members in sorted(folders.items())
    }
    width, height = s.resolution
    buckets = Counter(e.fit.bucket_wh for e in data.learned for _ in range(e.repeats))
    conv = {"conv_dim": s.conv_dim, "conv_alpha": s.conv_alpha or s.conv_dim}
    values: dict[str, Any] = {
        "ss_output_name": s.name,
        "ss_base_model_version": models.about["ss_base_model_version"],
        "ss_v2": False,
        "ss_sd_model_name": s.model,
        "ss_network_module": "networks.lora",
        "ss_network_dim": s.rank,
        "ss_network_alpha": f"{s.alpha:g}",
        "ss_network_dropout": s.lora_dropout or None,
        "ss_network_args": {k: f"{v:g}" for k, v in conv.items() if v} if s.conv_dim else None,
        "ss_learning_rate": s.learning_rate,
        "ss_unet_lr": s.learning_rate,
        "ss_text_encoder_lr": s.text_encoder_lr or s.learning_rate
        if s.trains_text_encoder
        else None,
        "ss_optimizer": s.optimizer_type,
        "ss_lr_scheduler": s.lr_scheduler,
        "ss_lr_warmup_steps": s.lr_warmup_steps,
        "ss_max_train_steps": trainer.total,
        "ss_steps": trainer.step,
        "ss_num_epochs": trainer.epochs,
        "ss_epoch": epoch,
        "ss_num_train_images": shown,
        "ss_num_reg_images": sum(e.repeats for e in data.learned) - shown,
        "ss_num_batches_per_epoch": len(data.batches(s, trainer.size, 0)),
        "ss_batch_size_per_device": s.train_batch_size,
        "ss_total_batch_size": trainer.size,
        "ss_gradient_accumulation_steps": s.gradient_accumulation_steps,
        "ss_gradient_checkpointing": s.gradient_checkpointing,
        "ss_max_grad_norm": s.max_grad_norm,
        "ss_mixed_precision": s.mixed_precision,
        "ss_seed": s.seed,
        "ss_clip_skip": s.clip_skip,
        "ss_max_token_length": s.max_token_length,
        "ss_resolution": f"({width}, {height})",
        "ss_enable_bucket": s.enable_bucket,
        "ss_bucket_no_upscale": s.bucket_no_upscale,
        "ss_bucket_info": {
            "buckets": {
                str(k): {"resolution": list(size), "count": count}
                for k, (size, count) in enumerate(sorted(buckets.items()))
            }
        },
        "ss_cache_latents": trainer.loader.latents.cache is not None,
        "ss_shuffle_caption": s.shuffle_caption,
        "ss_keep_tokens": s.keep_tokens,
        "ss_caption_dropout_rate": s.caption_dropout_rate,
        "ss_flip_aug": s.random_flip,
        "ss_color_aug": s.color_jitter,
        "ss_masked_loss": s.masked_loss,
        "ss_noise_offset": s.noise_offset or None,
        "ss_min_snr_gamma": s.snr_gamma,
        "ss_prior_loss_weight": s.prior_loss_weight,
        "ss_tag_frequency": frequency,
        "ss_dataset_dirs": {
            name: {
                "n_repeats": max(e.repeats for e in members),
                "img_count": len(members),
            }
            for name, members in sorted(folders.items())
        },
        "ss_datasets": [
            {
                "resolution": [width, height],
                "batch_size_per_device": s.train_batch_size,
                "num_train_images": shown,
                "tag_frequency": frequency,
            }
        ],
        "ss_training_started_at": f"{started:.3f}",
        "ss_training_finished_at": f"{time.time():.3f}",
        "ss_training_comment": None,
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": models.about["modelspec.architecture"],
        "modelspec.implementation": models.about["modelspec.implementation"],
        "modelspec.title": s.name,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "modelspec.prediction_type": models.predicts,
    }
    if data.tag:
        values["modelspec.trigger_phrase"] = data.tag
    if s.clip_skip:
        values["modelspec.encoder_layer"] = s.clip_skip
    return lora_save.as_metadata(values)


def _subfolder(example: Example) -> str:
    """The data set's subfolder that a picture lies in, or ""."""
    parts = Path(example.name).parts
    return parts[0] if len(parts) > 1 else ""
