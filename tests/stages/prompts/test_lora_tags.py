"""Prompts with LoRA tags and templates."""

from __future__ import annotations

import pytest

from visuals.stages.prompts.dynamic_prompts import draw
from visuals.stages.prompts.instance_prompts import expand
from visuals.stages.prompts.lora_tags import LoraTag, PromptError, notes, parse, unread


@pytest.mark.parametrize(
    ("prompt", "text", "tags"),
    [
        ("mug", "mug", ()),
        ("mug, <lora:a>", "mug", (LoraTag("a"),)),
        ("<lora:a:0.8> mug, red", "mug, red", (LoraTag("a", 0.8, 0.8),)),
        ("mug <lora:a:0.5:1>", "mug", (LoraTag("a", 1.0, 0.5),)),
        ("mug <lora:a:te=0:unet=0.7>", "mug", (LoraTag("a", 0.7, 0.0),)),
        ("a, <lora:x:1>, <lora:y:-0.5>, b", "a, b", (LoraTag("x"), LoraTag("y", -0.5, -0.5))),
        ("a <lora:x> b", "a b", (LoraTag("x"),)),
        ("a, <lyco:x:0.5>", "a", (LoraTag("x", 0.5, 0.5),)),
        ("a, <hypernet:y:1>, <LoRA:x>, b", "a, b", (LoraTag("x"),)),
        ("<my-token> a < b : c > d", "<my-token> a < b : c > d", ()),
        ("<lora:x>", "", (LoraTag("x"),)),
        ("a,, b ,  c,", "a,, b , c,", ()),
        (", a,, <lora:x>b,", ", a, b,", (LoraTag("x"),)),
    ],
)
def test_tags_leave_the_prompt(prompt: str, text: str, tags: tuple[LoraTag, ...]) -> None:
    assert parse(prompt) == (text, tags)


@pytest.mark.parametrize("weight", ["strong", "nan", "inf", "-inf", "1e999", "te=1:unet=nan"])
def test_a_weight_that_is_no_number_is_named(weight: str) -> None:
    with pytest.raises(PromptError, match=f"<lora:a:{weight}>: the weight is no number"):
        parse(f"mug <lora:a:{weight}>")


@pytest.mark.parametrize("weight", ["1000001", "-1e7", "0.5:99999999", "te=1e9:unet=1"])
def test_a_weight_above_a_million_is_refused(weight: str) -> None:
    assert parse("<lora:a:1e6> mug")[1] == (LoraTag("a", 1e6, 1e6),)
    with pytest.raises(PromptError, match=f"<lora:a:{weight}>: expected a weight of -1e6 to 1e6"):
        parse(f"mug <lora:a:{weight}>")


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("x" * 100_001, "a prompt of 100,001 characters; expected at most 100,000; shorten it"),
        ("a \udcff mug", "'\\\\udcff' is no character; expected UTF-8 text"),
        ("a \ud83d mug", "'\\\\ud83d' is no character; expected UTF-8 text"),
    ],
)
def test_a_text_that_no_model_can_read_is_refused(prompt: str, said: str) -> None:
    for read in (parse, lambda text: draw(text, 0)):
        with pytest.raises(PromptError, match=said):
            read(prompt)


def test_tags_of_other_networks_are_named() -> None:
    assert unread("a <hypernet:y:1> <lora:x:1> <hypernet:y:1> <lyco:z>") == [
        "<hypernet:y:1>: not supported; the tag is taken out"
    ]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("<lora:x:0.5:1:16>", "<lora:x:0.5:1:16>: not supported: 16; the weights are read"),
        ("<lora:x:1:lbw=MID:dyn=4>", "not supported: lbw=MID, dyn=4; the weights are read"),
        ("a <lora:x:0.8", "'<lora:x:0.8' is no tag: it is read as text"),
        ("a <LoRA:>, <lyco::1>", "'<LoRA:>' is no tag"),
        ("a <lyco::1>", "'<lyco::1>' is no tag"),
        ("<lora:x <lora:y:1>", "'<lora:x ' is no tag"),
    ],
)
def test_what_is_not_read_of_a_tag_is_named(prompt: str, said: str) -> None:
    assert said in unread(prompt)[0]


@pytest.mark.parametrize("part", [" ", ",", "<lora:", "<lora:x:", "<lora:x:1>", "\xa0", "<"])
def test_a_prompt_of_any_length_is_read_at_once(part: str) -> None:
    text = part * (100_000 // len(part))
    kept, tags = parse(text)
    assert kept == ("" if tags or part.isspace() else " ".join(text.split()))
    unread(text), notes(text)


@pytest.mark.parametrize(
    ("prompt", "lost"),
    [("a, <lora:x>, b", 1), ("a, <lora:x>", 1), ("a <lora:x>, b", 0), ("a,, b,", 0), ("a", 0)],
)
def test_commas_that_leave_with_a_tag_are_named(prompt: str, lost: int) -> None:
    assert [note[0] for note in notes(prompt)] == [str(lost)] * bool(lost)


def test_an_edit_goes_to_its_place_or_before_the_class() -> None:
    assert expand("t, {class}, s", "bag", "red leather") == "t, red leather bag, s"
    assert expand("t, {class} of {edit}", "bag", "red leather") == "t, bag of red leather"
    assert expand("t, {class}", "bag") == "t, bag"
    assert expand("t, {class}, {edit}, s", "bag") == "t, bag, s"
    assert expand("a {edit} {class}, {edit}", "bag") == "a bag"
    assert expand("a, {edit}, {edit}, s", "bag") == "a, s"
    assert expand(", " * 50_000, "bag") == ", " * 50_000
