"""Builds stage 1 on Replicate from settings. REPLICATE_API_TOKEN is never written anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...configs.errors import UsageError
from ...configs.replicate import SCHEDULERS, ReplicateSettings

if TYPE_CHECKING:
    from ...configs.schema import Settings

BASE_URL = "https://api.replicate.com"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HostSettingsError(UsageError):
    """Settings or surroundings with which a host cannot draw; got, expected, remedy."""


def draws(settings: Settings) -> bool:
    """Whether stage 1 is elsewhere."""
    return settings.generate.backend != "local"


def check(settings: Settings) -> None:
    """Raises HostSettingsError, before anything is loaded or paid for."""
    g = settings.generate
    _token(), _base_url()
    for name in ("hires", "variation", "init_image"):
        if getattr(g, name) is not None:
            raise HostSettingsError(
                f"generate.{name} with backend {g.backend}, which has none: set it to null, or "
                f"what the model calls it in generate.replicate.inputs"
            )
    _values(settings)


def notes(prompts: Iterable[str]) -> list[str]:
    """What to know of prompts that a host draws from."""
    from ...stages.prompts import lora_tags, prompt_editing

    parsed = [lora_tags.parse(text) for text in prompts]
    names = dict.fromkeys(tag.name for _, tags in parsed for tag in tags)
    out = []
    if names:
        out.append(
            f"the host has not got LoRA {', '.join(names)}: stage 1 draws without; one that was "
            "trained there is named by generate.replicate.weights"
        )
    edits = dict.fromkeys(edit.form for text, _ in parsed for edit in prompt_editing.edits(text))
    if edits:
        out.append(f"a host changes no prompt between steps: {', '.join(edits)} is its last text")
    return out


def generator(settings: Settings, report: Any = lambda text: None) -> Any:
    """Stage 1 on the host of the settings; raises HostSettingsError, or Refused for a token that
    does not count."""
    from ...stages.hosted.generate import HostedGenerator
    from ...stages.hosted.replicate import ReplicateClient

    check(settings)
    g, r = settings.generate, _replicate(settings)
    report(f"asking {urlsplit(_base_url()).netloc}")
    client = ReplicateClient(_token(), base_url=_base_url(), timeout=r.timeout)
    client.account()
    return HostedGenerator(
        client,
        str(g.version),
        names=r.input_names.model_dump(),
        values=_values(settings),
        inputs=r.inputs,
        plain_prompts=r.plain_prompts,
        batch_size=g.batch_size,
    )


def _replicate(settings: Settings) -> ReplicateSettings:
    return settings.generate.replicate or ReplicateSettings.model_validate({})


def _values(settings: Settings) -> dict[str, Any]:
    """What every prediction of the run is given, by cog-sdxl's names."""
    g, r = settings.generate, _replicate(settings)
    refiner = settings.refiner
    names, scheduler = {**SCHEDULERS, **r.schedulers}, None
    if r.input_names.scheduler and r.input_names.scheduler not in r.inputs:
        scheduler = names.get(g.sampler)
        if scheduler is None:
            raise HostSettingsError(
                f"generate.sampler {g.sampler!r}: the host's models have {', '.join(names)}; pick "
                "one, name it in generate.replicate.schedulers, or set "
                "generate.replicate.input_names.scheduler to null"
            )
    return {
        "width": g.width,
        "height": g.height,
        "num_outputs": 1,
        "scheduler": scheduler,
        "num_inference_steps": g.steps,
        "guidance_scale": g.cfg_scale,
        "refine": "expert_ensemble_refiner" if refiner else None,
        "high_noise_frac": refiner.high_noise_frac if refiner else None,
        "lora_scale": r.lora_scale,
        "replicate_weights": r.weights,
    }


def _token() -> str:
    token = os.environ.get("REPLICATE_API_TOKEN", "").strip()
    if not token:
        raise HostSettingsError(
            "no REPLICATE_API_TOKEN in the environment: expected a token of "
            "replicate.com/account/api-tokens for generate.backend replicate"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise HostSettingsError(
            "REPLICATE_API_TOKEN holds what no token does: expected letters, digits and _"
        )
    return token


def _base_url() -> str:
    url = os.environ.get("REPLICATE_API_BASE_URL", "").strip() or BASE_URL
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in ("http", "https"):
        raise HostSettingsError(f"REPLICATE_API_BASE_URL {url!r}: expected {BASE_URL} or another")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise HostSettingsError(
            f"REPLICATE_API_BASE_URL {url!r} would send the token in clear: expected https://"
        )
    return url
