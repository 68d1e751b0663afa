"""The methods of diffusers that the patches were written for, by their parameters.

They are the same from diffusers 0.35 to 0.42.
"""

from __future__ import annotations

from typing import Any

from .patching import fits

UNET = (
    "sample, timestep, encoder_hidden_states, class_labels, timestep_cond, attention_mask, "
    "cross_attention_kwargs, added_cond_kwargs, down_block_additional_residuals, "
    "mid_block_additional_residual, down_intrablock_additional_residuals, "
    "encoder_attention_mask, return_dict"
)
CONTROLNET = (
    "sample, timestep, encoder_hidden_states, controlnet_cond, conditioning_scale, class_labels, "
    "timestep_cond, attention_mask, added_cond_kwargs, cross_attention_kwargs, guess_mode, "
    "return_dict"
)
CONTROLNET_UNION = (
    "sample, timestep, encoder_hidden_states, controlnet_cond, control_type, control_type_idx, "
    "conditioning_scale, class_labels, timestep_cond, attention_mask, added_cond_kwargs, "
    "cross_attention_kwargs, from_multi, guess_mode, return_dict"
)
PREPARE_MASK_LATENTS = (
    "mask, masked_image, batch_size, height, width, dtype, device, generator, "
    "do_classifier_free_guidance"
)


def controlnets(pipe: Any) -> list[Any]:
    """The ControlNets of a pipeline, each once."""
    net = getattr(pipe, "controlnet", None)
    return [] if net is None else list(dict.fromkeys(getattr(net, "nets", [net])))


def known(pipe: Any) -> bool:
    """Whether a pipeline has a UNet, and the forwards of it and of its ControlNets are those that
    the patches were written for; warns once where they are not."""
    return (
        hasattr(pipe, "unet")
        and fits(type(pipe.unet).forward, UNET)
        and all(
            fits(
                type(net).forward,
                CONTROLNET_UNION if "num_control_type" in net.config else CONTROLNET,
            )
            for net in controlnets(pipe)
        )
    )
