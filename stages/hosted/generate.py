"""Stage 1 on a host: draws each shot by a prediction with its own seed."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import numpy as np

from ...configs.errors import VisualsError
from ..prompts import emphasis, prompt_editing
from ..prompts.lora_tags import parse
from ..shot import Prompted, Shot, Skip
from ..stage import Modules
from .http import HostError
from .replicate import Prediction, ReplicateClient

MOST_PIXELS = 100_000_000
_FLAGGED = re.compile(r"\bnsfw\b|safety (checker|filter|system)|\bflagged\b", re.IGNORECASE)


class PredictionError(VisualsError):
    """A prediction that made no picture, in the model's own words."""


class HostedGenerator:
    """Draws the shots whose source is a prompt. LoRA tags are removed: the host lacks the files.

    Args:
        client: the account.
        version: the model, as in `ReplicateClient.create`.
        names: the model's names of `prompt`, `negative_prompt`, `seed` and each of `values`; those
            that are None are not sent.
        values: inputs of every prediction by our names; those that are None are not sent.
        inputs: inputs by the model's names, which replace all others.
        plain_prompts: remove A1111's weights from prompts.
        batch_size: predictions that run at a time.
    """

    def __init__(
        self,
        client: ReplicateClient,
        version: str,
        *,
        names: Mapping[str, str | None],
        values: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        plain_prompts: bool = True,
        batch_size: int = 4,
    ) -> None:
        self.client, self.version = client, version
        self.names, self.values, self.inputs = dict(names), dict(values), dict(inputs or {})
        self.plain_prompts = plain_prompts
        self.batch_size = batch_size

    def __call__(self, shots: Sequence[Shot]) -> list[Shot]:
        """Prompted shots get their `image` and their source its `prediction`; others pass.

        KeyboardInterrupt cancels the running predictions, waits for that, and is raised again.
        """
        stop, out = threading.Event(), list(shots)
        waiting = [
            k
            for k, s in enumerate(shots)
            if s.open and isinstance(s.source, Prompted) and s.image is None
        ]
        with ThreadPoolExecutor(self.batch_size, thread_name_prefix="visuals-hosted") as pool:
            try:
                drawn = [pool.submit(self._draw, shots[k], stop) for k in waiting]
                while wait(drawn, timeout=0.2).not_done:
                    pass  # awake now and then, so that Ctrl-C is heard on every system
                for k, future in zip(waiting, drawn, strict=True):
                    out[k] = future.result()
            except BaseException:
                stop.set()
                raise
        return out

    def modules(self) -> Modules:
        """It runs no models here."""
        return {}

    def sent(self, source: Prompted) -> dict[str, Any]:
        """The inputs of a shot's prediction."""
        values = {
            "prompt": self._words(source.prompt),
            "negative_prompt": self._words(source.negative_prompt),
            "seed": source.seed,
            **self.values,
        }
        named = {self.names.get(key): value for key, value in values.items() if value is not None}
        return {str(name): value for name, value in named.items() if name} | self.inputs

    def _words(self, prompt: str) -> str:
        text, _ = parse(prompt)
        if not self.plain_prompts:
            return text
        text = prompt_editing.texts(text, 100)[-1]
        pieces = [p.text for p in emphasis.parse(text) if p is not emphasis.BREAK]
        return " ".join("".join(pieces).split())

    def _draw(self, shot: Shot, stop: threading.Event) -> Shot:
        source = shot.source
        assert isinstance(source, Prompted)
        shot = replace(shot, source=replace(source, prediction=None))
        try:
            prediction = self.client.create(self.version, self.sent(source), stop)
            shot = replace(shot, source=replace(source, prediction=_record(prediction)))
            prediction = self.client.wait(prediction, stop)
            return self._outcome(shot, prediction, stop)
        except Exception as error:
            return shot.fail(error, "generate")

    def _outcome(self, shot: Shot, prediction: Prediction, stop: threading.Event) -> Shot:
        """The shot with its picture, or with why there is none."""
        if prediction.status != "succeeded":
            message = prediction.error or "no reason given"
            if _FLAGGED.search(message):
                return shot.skip(Skip("flagged", f"the host flagged the picture ({message})"))
            raise PredictionError(f"prediction {prediction.id} {prediction.status}: {message}")
        if not prediction.output:
            raise PredictionError(
                f"prediction {prediction.id} succeeded without a picture: expected addresses as "
                "its output; is generate.version a model that makes pictures?"
            )
        return replace(shot, image=picture(self.client.download(prediction.output[0], stop)))


def _record(prediction: Prediction) -> dict[str, str]:
    return {"id": prediction.id, "version": prediction.version}


def picture(data: bytes) -> np.ndarray:
    """Encoded bytes to RGB uint8 (H, W, 3); raises HostError for what is no picture."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise HostError(f"an output of {image.width} × {image.height} pixels: too large")
            return np.array(image.convert("RGB"))
    except HostError:
        raise
    except Exception as error:  # decoders raise whatever they like
        raise HostError(
            f"an output that is no whole picture ({len(data)} bytes, {type(error).__name__}): "
            "expected PNG, JPEG or WebP"
        ) from None
