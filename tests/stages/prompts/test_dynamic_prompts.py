"""Choices in templates: `{a|b}`, `{2$$a|b|c}`, `__name__`."""

from __future__ import annotations

from collections import Counter

import pytest

from visuals.stages.prompts.dynamic_prompts import WildcardError, check, draw, variants

KNOWN = {
    "colours": ["red", "blue", "green"],
    "wood/dark": ["ebony"],
    "wood/light": ["ash", "birch"],
    "my_things": ["a {small|large} mug", "__colours__ car"],
    "biased": ["3::red", "blue", "0::green"],
    "loop": ["x __pool__"],
    "pool": ["__loop__"],
    "typo": ["__colous__"],
}
DEEP = {
    **{f"chain{k}": [f"__chain{k + 1}__"] for k in range(500)},
    **{f"mixed{k}": [f"{'{0::x|' * 9}__mixed{k + 1}__{'}' * 9}"] for k in range(50)},
    **{f"twice{k}": [f"__twice{k + 1}__ __twice{k + 1}__"] for k in range(40)},
    **{key: ["x"] for key in ("chain500", "mixed50", "twice40")},
}


def all_of(template: str, seeds: int = 300) -> Counter[str]:
    return Counter(draw(template, seed, KNOWN).text for seed in range(seeds))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{red|blue} mug", {"red mug", "blue mug"}),
        ("{ red | blue }mug", {"redmug", "bluemug"}),
        ("{red|} mug", {"red mug", " mug"}),
        ("{a {b|c}|d}", {"a b", "a c", "d"}),
        ("{a|b}{c|d}", {"ac", "ad", "bc", "bd"}),
        ("__colours__", {"red", "blue", "green"}),
        ("(__colours__:1.2)", {"(red:1.2)", "(blue:1.2)", "(green:1.2)"}),
        ("{__colours__|old}", {"red", "blue", "green", "old"}),
        ("__wood/dark__", {"ebony"}),
        ("__wood/*__", {"ebony", "ash", "birch"}),
        ("__my_things__", {"a small mug", "a large mug", "red car", "blue car", "green car"}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{2-1$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{5$$a|b}", {"a, b", "b, a"}),
        ("{1-999999999$$a}", {"a"}),
        ("{0$$a|b}x", {"x"}),
        ("{2$$__wood/light__}", {"ash, birch", "birch, ash"}),
        ("{0::a|b}", {"b"}),
        ("__biased__", {"red", "blue"}),
        ("{0::a|{0::b|c}}", {"c"}),
        ("{a 2::b|a 2::b}", {"a 2::b"}),
        ("<lora:{a|b}:{0.5|1}>", {f"<lora:{n}:{w}>" for n in "ab" for w in ("0.5", "1")}),
        ("<lora:__colours__:1>", {f"<lora:{c}:1>" for c in ("red", "blue", "green")}),
    ],
)
def test_every_choice_comes_and_no_other(template: str, expected: set[str]) -> None:
    assert set(all_of(template)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{class} in {edit}",
        "a } b { c",
        "{unclosed | a",
        "{{class}}",
        "snake_case, __ , ____",
        "[a|b] (c|d)",
        "<lora:my__style__v2:1>",
        "5 $$ | 3::1",
        "{" * 50_000,
        "{a|" * 20_000,
        "__a-" * 20_000,
        "}" * 50_000,
    ],
)
def test_a_text_without_choices_stays(text: str) -> None:
    drawn = draw(text, 1, KNOWN)
    assert (drawn.text, drawn.picks) == (text, [])


def test_braces_of_the_class_stay_in_a_choice() -> None:
    assert set(all_of("{{class} mat|old {class}}")) == {"{class} mat", "old {class}"}


def test_a_seed_draws_the_same_again_and_says_what() -> None:
    template = "{red|blue|green|pink} __my_things__, {2$$a|b|c}"
    first, again = draw(template, 11, KNOWN), draw(template, 11, KNOWN)
    assert first == again
    assert len(all_of(template)) > 50
    assert first.picks[0][0] == "{red|blue|green|pink}"
    assert first.picks[-1][0] == "{2$$a|b|c}" and first.text.endswith(first.picks[-1][1])


def test_weights_count() -> None:
    drawn = all_of("{9::a|b}", 2000)
    assert 0.87 < drawn["a"] / 2000 < 0.93
    assert 0.65 < all_of("__biased__", 2000)["red"] / 2000 < 0.85


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        ("__colors__", ["no wildcard 'colors'; did you mean 'colours'?", "wildcard_dirs"]),
        ("__metal/*__", ["no wildcard 'metal/*'", "there: biased, colours"]),
        ("__loop__", ["loop → pool → loop holds itself"]),
        ("__typo__", ["no wildcard 'colous'", "did you mean 'colours'"]),
        ("{0::a|0::b}", ["every weight is 0"]),
        ("__../wood/dark__", ["no wildcard '../wood/dark'"]),
        ("__/etc/passwd__", ["no wildcard '/etc/passwd'"]),
    ],
)
def test_what_cannot_be_drawn_is_said(template: str, parts: list[str]) -> None:
    with pytest.raises(WildcardError) as caught:
        draw(template, 1, KNOWN)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{a|" * 101 + "b" + "}" * 101, "more than 100 choices within each other"),
        ("{" * 1000 + "}" * 1000, "more than 100 choices within each other"),
        ("__chain0__", "more than 100 choices within each other"),
        ("__mixed0__", "more than 100 choices within each other"),
        ("__twice0__", "draw more than 250,000 characters; expected .* do not multiply"),
    ],
)
def test_choices_that_expand_without_bounds_are_refused(template: str, said: str) -> None:
    with pytest.raises(WildcardError, match=said):
        draw(template, 1, DEEP)


def test_numbers_of_any_length_are_text() -> None:
    for number in ("9" * 400 + "::a", "9" * 5000 + "$$a"):
        assert draw(f"{{{number}|{number}}}", 1).text == number


def test_a_check_finds_what_only_some_seeds_would_draw() -> None:
    template = "{1000::a|__typo__}"
    assert draw(template, 1, KNOWN).text == "a"
    with pytest.raises(WildcardError, match="colous"):
        check(template, KNOWN)
    check("{a|__my_things__} <lora:my__style__v2:1> {class}", KNOWN)
    with pytest.raises(WildcardError, match="holds itself"):
        check("{a|__loop__}", KNOWN)
    with pytest.raises(WildcardError, match="there: none"):
        check("__colours__")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("__c__ __bom__", "red green"),
        ("__c____bom__", "redgreen"),
        ("__bom__, __c__ and __a__b__", "green, red and oneb__"),
        ("__long_name__ __a__", "two one"),
        ("{__c__|__c__} x", "red x"),
    ],
)
def test_wildcards_of_one_letter_beside_others(template: str, text: str) -> None:
    known = {"c": ["red"], "bom": ["green"], "a": ["one"], "long_name": ["two"]}
    check(template, known)
    assert draw(template, 1, known).text == text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("mug", ["mug"]),
        ("{class} {red|blue}", ["{class} blue", "{class} red"]),
        ("{(a)|b|c} {(d)|e}", ["b (d)", "b e", "(a) e", "c e"]),
        ("{a|{b|<c>}}", ["a", "b", "<c>"]),
        ("<lora:{x-1|{(y)|z}}:1>", ["<lora:z:1>", "<lora:x-1:1>", "<lora:(y):1>"]),
        ("{0::(a)|b}", ["b"]),
        ("{2$$ and $$(a)|b}", ["b and (a)", "b", "(a)"]),
        ("__w__", ["(b) (a)", "a", "(b) a", "(c)"]),
    ],
)
def test_variants_hold_each_option_that_is_more_than_words(
    template: str, expected: list[str]
) -> None:
    found = variants(template, {"w": ["a", "a2", "(b) __v__", "(c)"], "v": ["a", "(a)"]})
    assert set(found) == set(expected)


def test_a_template_of_any_size_has_variants_at_once() -> None:
    words = {"w": [f"word {n}" for n in range(20_000)], "v": [f"(x{n}) __w__" for n in range(500)]}
    assert len(variants("__w__ __w__ __v__ __v__", words)) > 500
    variants("{(a|[b}" * 10_000)
