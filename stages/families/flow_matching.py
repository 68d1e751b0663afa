"""What flow-matching families have in common: samplers, plain prompts, what they do without."""

from __future__ import annotations

import functools
import logging
from typing import Any, ClassVar

from ..diffusion.family import Family
from ..diffusion.samplers import UnknownSamplerError
from ..prompts import emphasis

_SAMPLERS: dict[str, dict[str, Any]] = {
    "Euler": {},
    "Euler Karras": {"use_karras_sigmas": True},
    "Euler Exponential": {"use_exponential_sigmas": True},
    "Euler Beta": {"use_beta_sigmas": True},
}
"""A1111's names, and what they change of the flow-matching Euler scheduler of diffusers."""


class FlowMatching(Family):
    """A transformer that predicts the way from noise to picture.

    `packed`: how many latents the pipelines pack into one.
    """

    packed: ClassVar[int] = 1
    multiple = 16
    sampler_names = tuple(_SAMPLERS)

    def scheduler(self, sampler: str, config: Any) -> Any:
        from .flow_scheduler import FlowMatchEuler

        if sampler not in _SAMPLERS:
            raise UnknownSamplerError(
                f"sampler {sampler!r} is not for {self.name}: expected one of "
                f"{', '.join(_SAMPLERS)}"
            )
        return FlowMatchEuler.from_config(config, **_SAMPLERS[sampler])

    def noise_shape(self, pipe: Any, size_wh: tuple[int, int]) -> tuple[int, int, int]:
        width, height = (side // self.multiple * 2 for side in size_wh)
        return pipe.transformer.config.in_channels // self.packed, height, width

    def plain(self, prompt: str) -> str:
        """A prompt without A1111's attention, whose weights the text encoders do not take."""
        pieces = [piece for piece in emphasis.parse(prompt) if piece != emphasis.BREAK]
        if any(piece.weight != 1 for piece in pieces):
            _warn_of_weights(self.name)
        return "".join(piece.text for piece in pieces)

    def accelerate(self, pipe: Any) -> None:
        """All is used."""


def unused(name: str) -> dict[str, str]:
    """Settings that no flow-matching family uses, with the reason."""
    return {
        "generate.clip_skip": f"{name} does not read CLIP's layers",
        "generate.cache_interval": "DeepCache is for UNets",
        "rerender.cache_interval": "DeepCache is for UNets",
        "generate.embedding_dirs": "textual inversions are for CLIP",
    }


def refused(name: str) -> dict[str, str]:
    """Settings that no flow-matching family can follow, with the reason."""
    return {
        "refiner": f"an SDXL refiner does not go on with {name}'s latents",
        "generate.ip_adapter.references": (
            f"the IP-Adapter of Stable Diffusion does not fit {name}"
        ),
    }


@functools.cache
def warn_of_prompt_editing(name: str) -> None:
    """Warn that a family does not change prompts between steps."""
    logging.getLogger(__name__).warning(
        "%s does not change prompts between steps, as in [a:b:0.5]: the words of "
        "the first step stay",
        name,
    )


@functools.cache
def _warn_of_weights(name: str) -> None:
    logging.getLogger(__name__).warning(
        "%s does not take weights, as in (word:1.2): the words are read alone",
        name,
    )
