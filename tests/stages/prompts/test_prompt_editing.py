"""Prompt editing as A1111's parser reads it: the examples beside it, brackets, hires passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuals.stages.prompts.prompt_editing import edits, schedule, texts


def alternating(*texts: str) -> list[tuple[int, str]]:
    return [(step + 1, texts[step % len(texts)]) for step in range(10)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the examples beside A1111's own parser, 10 steps
        ("test", [(10, "test")]),
        ("a [b:3]", [(3, "a "), (10, "a b")]),
        ("a [b: 3]", [(3, "a "), (10, "a b")]),
        ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
        ("[(a:2):3]", [(3, ""), (10, "(a:2)")]),
        ("a [b : c : 1] d", [(1, "a b  d"), (10, "a  c  d")]),
        ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [unbalanced", [(10, "a [unbalanced")]),
        ("a [b:.5] c", [(5, "a  c"), (10, "a b c")]),
        ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
        ("[a|(b:1.1)]", alternating("a", "(b:1.1)")),
        ("[fe|]male", alternating("female", "male")),
        ("[fe|||]male", alternating("female", "male", "male", "male")),
        # others that it reads so
        ("[a:b:-1]", [(10, "b")]),
        ("[a:b:0]", [(10, "b")]),
        ("[a:b:1.0]", [(10, "a")]),
        ("[a:b:20]", [(10, "a")]),
        ("[a::0.3]", [(3, "a"), (10, "")]),
        ("[a|[b]]", alternating("a", "[b]")),
        ("[a:[b|c]:0.5]", [(k, "a" if k <= 5 else "bc"[k % 2 == 0]) for k in range(1, 11)]),
        (r"[a\]b:c:5]", [(5, r"a\]b"), (10, "c")]),
        ("x | y [a:b:5]", [(10, "x | y [a:b:5]")]),
        ("(a|b) [c:5]", [(10, "(a|b) [c:5]")]),
        ("[a:b] (c:1.2)", [(10, "[a:b] (c:1.2)")]),
    ],
)
def test_the_texts_of_ten_steps(text: str, expected: list[tuple[int, str]]) -> None:
    assert schedule(text, 10) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a:b:0.5]", [(10, "b")]),
        ("[a:b:1.5]", [(5, "a"), (10, "b")]),
        ("[a:b:12]", [(2, "a"), (10, "b")]),
        ("[a:b:5]", [(10, "b")]),
    ],
)
def test_the_second_pass_of_a_hires_fix_goes_on(text: str, expected: list[tuple[int, str]]) -> None:
    assert schedule(text, 10, done=10) == expected


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("a [cat:dog:0.5]", ["[cat:dog:0.5]"]),
        ("a [dog:8]", ["[dog:8]"]),
        ("[cat|dog]", ["[cat|dog]"]),
        ("[[a]:5]", ["[[a]:5]"]),
        ("[a:b:-1]", ["[a:b:-1]"]),
        ("[a:(b:1.2):.5]", ["[a:(b:1.2):.5]"]),
        ("(x [a [b]::2])", ["[a [b]::2]"]),
        ("[a|[b]]", ["[a|[b]]"]),
        ("[[a|b]:5]", ["[[a|b]:5]"]),
        ("[|a|(b)] [c:1]", ["[|a|(b)]", "[c:1]"]),
        ("[a:b]", []),
        (r"\[cat:dog:0.5\]", []),
        ("((a)) [b] (c:1.2) [[d]]", []),
    ],
)
def test_the_edits_of_a_prompt(text: str, forms: list[str]) -> None:
    assert [edit.form for edit in edits(text)] == forms


def test_a_text_is_read_one_step_longer_than_its_number_as_in_a1111() -> None:
    assert texts("[a:b:2]", 5) == ["a", "a", "a", "b", "b"]
    assert texts("[a|b]", 5) == ["a", "a", "b", "a", "b"]
    assert texts("[a:b:0]", 2) == ["b", "b"]


@given(st.text(alphabet="a[]():|\\1.5, ", max_size=40), st.integers(1, 30))
def test_any_text_has_a_schedule_to_its_last_step(text: str, steps: int) -> None:
    ends = [end for end, _ in schedule(text, steps)]
    assert ends == sorted(set(ends)) and ends[0] >= 1 and ends[-1] == steps


def test_deep_brackets_end() -> None:
    for part in ("(", "[", "[a:", "[a|"):
        assert schedule(part * 3000, 10) == [(10, part * 3000)]


def test_a_number_of_any_length_ends() -> None:
    text = f"[a:{'1' * 100_000}"
    assert schedule(text, 10) == [(10, text)]
    assert schedule(f"{text}]", 10) == [(10, "")]
