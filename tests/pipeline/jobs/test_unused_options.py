"""Options that a request's stages do not read are named."""

from __future__ import annotations

from typing import Any

import pytest

from visuals.pipeline.jobs.plan import unused_options
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import request_settings


@pytest.mark.parametrize(
    ("fields", "needs", "named"),
    [
        ({"command": "run", "inputs": ["a.png"], "count": 3, "width": 64},
         "detect segment rerender",
         "--count, --width change nothing here: with PHOTOS"),
        ({"command": "run", "inputs": ["a.png"], "references": ["b.png"]},
         "detect segment rerender",
         "--reference changes"),
        ({"command": "enhance", "inputs": ["a"], "confidence": 0.5}, "rerender",
         "--confidence changes nothing here: nothing is looked for"),
        ({"command": "filter", "inputs": ["a"], "strength": 0.5, "steps": 3}, "detect segment",
         "--strength changes nothing here: stage 3 is left out|--steps changes nothing"),
        ({"command": "enhance", "inputs": ["a"], "mask_k": 0, "sort": "none", "dilate": 2},
         "rerender",
         "--mask-k, --sort, --dilate change nothing here: no masks are made"),
        ({"command": "filter", "inputs": ["a"], "seed": 0}, "detect segment",
         "--seed changes nothing here: nothing is drawn"),
        ({"command": "generate", "annotate": ["coco", "metadata"]}, "generate",
         "--annotate coco lists no products: nothing is looked for"),
        ({"command": "enhance", "inputs": ["a"], "annotate": ["coco"]}, "rerender", ""),
        ({"prompt_strength": 0.5}, "generate detect segment rerender",
         "--prompt-strength changes nothing here: there is no --init-image"),
        ({"prompt_strength": 0.5, "init_image": "a.png"}, "generate detect segment rerender", ""),
        ({"prompt_strength": 0.5, "overrides": {"generate.init_image": "a.png"}},
         "generate detect segment rerender", ""),
        ({"preset": "flux-edit", "controlnet_weight": 0.5}, "generate detect rerender",
         "--controlnet-weight changes nothing here: rerender.method is edit"),
        ({"command": "run", "limit": 3}, "generate detect rerender", "--limit changes nothing"),
        ({"command": "run", "count": 3, "steps": 3, "edit": "red"}, "generate detect rerender", ""),
        ({"command": "run", "inputs": ["a"], "limit": 3, "edit": "red"}, "detect rerender", ""),
    ],
)  # fmt: skip
def test_unused_options_are_named(fields: dict[str, Any], needs: str, named: str) -> None:
    request = RunRequest(**fields)
    sentences = list(unused_options(request, needs.split(), request_settings(request)))
    parts = named.split("|") if named else []
    assert len(sentences) == len(parts)
    for part, sentence in zip(parts, sentences, strict=True):
        assert part in sentence
