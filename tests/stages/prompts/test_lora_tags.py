"""Prompts with LoRA tags and templates."""

from __future__ import annotations

import pytest

from visuals.stages.prompts.instance_prompts import expand
from visuals.stages.prompts.lora_tags import LoraTag, PromptError, parse


@pytest.mark.parametrize(
    ("prompt", "text", "tags"),
    [
        ("mug", "mug", ()),
        ("mug, <lora:a>", "mug", (LoraTag("a"),)),
        ("<lora:a:0.8> mug, red", "mug, red", (LoraTag("a", 0.8, 0.8),)),
        ("mug <lora:a:0.5:1>", "mug", (LoraTag("a", 1.0, 0.5),)),
        ("mug <lora:a:te=0:unet=0.7>", "mug", (LoraTag("a", 0.7, 0.0),)),
        ("a, <lora:x:1>, <lora:y:-0.5>, b", "a, b", (LoraTag("x"), LoraTag("y", -0.5, -0.5))),
    ],
)
def test_tags_leave_the_prompt(prompt: str, text: str, tags: tuple[LoraTag, ...]) -> None:
    assert parse(prompt) == (text, tags)


def test_a_weight_that_is_no_number_is_named() -> None:
    with pytest.raises(PromptError, match="<lora:a:strong>"):
        parse("mug <lora:a:strong>")


def test_an_edit_goes_to_its_place_or_before_the_class() -> None:
    assert expand("t, {class}, s", "bag", "red leather") == "t, red leather bag, s"
    assert expand("t, {class} of {edit}", "bag", "red leather") == "t, bag of red leather"
    assert expand("t, {class}", "bag") == "t, bag"
