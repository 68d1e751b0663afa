r"""A1111's reading of prompts: a table of texts, pieces and weights.

The first block are the examples beside A1111's own parser (modules/prompt_parser.py); the others
follow its wiki, "Attention/emphasis". UP is one pair of round brackets, DOWN of square ones.
"""

from __future__ import annotations

import pytest

from visuals.stages.prompts.emphasis import BREAK, Piece, notes, parse
from visuals.stages.prompts.lora_tags import PromptError

UP, DOWN = 1.1, 1 / 1.1
Expected = list[tuple[str, float] | Piece]

TABLE: list[tuple[str, Expected]] = [
    # A1111's own examples
    ("normal text", [("normal text", 1)]),
    ("an (important) word", [("an ", 1), ("important", UP), (" word", 1)]),
    ("(unbalanced", [("unbalanced", UP)]),
    (r"\(literal\]", [("(literal]", 1)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", UP)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1),
            ("house", 1.3 * UP * UP),
            (" ", UP),
            ("on", 1),
            (" a ", UP),
            ("hill", 0.5 * UP),
            (", sun, ", UP),
            ("sky", UP**4),
            (".", UP),
        ],
    ),
    # nothing to weigh
    ("", [("", 1)]),
    (" ", [(" ", 1)]),
    ("red mug, studio", [("red mug, studio", 1)]),
    ("time: 12:30", [("time: 12:30", 1)]),
    ("{class} on __scene__", [("{class} on __scene__", 1)]),
    ("Straße, 赤い靴, ☕", [("Straße, 赤い靴, ☕", 1)]),
    # more and less
    ("(a)", [("a", UP)]),
    ("((a))", [("a", UP**2)]),
    ("(((a)))", [("a", UP**3)]),
    ("((((a))))", [("a", UP**4)]),
    ("[a]", [("a", DOWN)]),
    ("[[a]]", [("a", DOWN**2)]),
    ("[[[a]]]", [("a", DOWN**3)]),
    ("([a])", [("a", 1)]),
    ("[(a)]", [("a", 1)]),
    ("[((a))]", [("a", UP)]),
    ("(a, b)", [("a, b", UP)]),
    ("(a) b", [("a", UP), (" b", 1)]),
    ("a (b) [c] d", [("a ", 1), ("b", UP), (" ", 1), ("c", DOWN), (" d", 1)]),
    ("(a (b) c)", [("a ", UP), ("b", UP**2), (" c", UP)]),
    ("(a [b] c)", [("a ", UP), ("b", 1), (" c", UP)]),
    # weights by number
    ("(a:1.2)", [("a", 1.2)]),
    ("(a:1)", [("a", 1)]),
    ("(a:0)", [("a", 0)]),
    ("(a:.5)", [("a", 0.5)]),
    ("(a:2.)", [("a", 2)]),
    ("(a:+1.5)", [("a", 1.5)]),
    ("(a:-1)", [("a", -1)]),
    ("(a: 1.2)", [("a", 1.2)]),
    ("(a : 1.2 )", [("a ", 1.2)]),
    ("( a:1.2)", [(" a", 1.2)]),
    ("(a b c:0.9), d", [("a b c", 0.9), (", d", 1)]),
    ("(a:1.2)(b:1.2)", [("ab", 1.2)]),
    ("(a:1.2) (b:0.8)", [("a", 1.2), (" ", 1), ("b", 0.8)]),
    ("((a:1.5))", [("a", 1.5 * UP)]),
    ("((a:1.5) b)", [("a", 1.5 * UP), (" b", UP)]),
    ("((a:1.5) b:0.5)", [("a", 0.75), (" b", 0.5)]),
    ("[(a:1.5)]", [("a", 1.5 * DOWN)]),
    ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1), (" c", 0.5)]),
    ("(((a:2):2):2)", [("a", 8)]),
    # colons that are no weights
    ("(a:b)", [("a:b", UP)]),
    ("(a:b:1.3)", [("a:b", 1.3)]),
    ("(12:30:1.3)", [("12:30", 1.3)]),
    ("(a:1.2:1.3)", [("a:1.2", 1.3)]),
    ("(a:)", [("a:", UP)]),
    ("(a:1.2.3)", [("a:1.2.3", UP)]),
    ("(a:1e2)", [("a:1e2", UP)]),
    ("(a:1,2)", [("a:1,2", UP)]),
    ("a:1.2", [("a:1.2", 1)]),
    ("[a:1.2]", [("a:1.2", DOWN)]),
    ("[cat:dog:0.5]", [("cat:dog:0.5", DOWN)]),
    ("[cat|dog] x", [("cat|dog", DOWN), (" x", 1)]),
    ("[[a:0.5]:1.2)", [("a:0.5", DOWN**2), (":1.2)", DOWN)]),
    # brackets without their other half, and crossed ones
    ("a (b", [("a ", 1), ("b", UP)]),
    ("a ((b", [("a ", 1), ("b", UP**2)]),
    ("a [b", [("a ", 1), ("b", DOWN)]),
    ("([a", [("a", 1)]),
    ("(a:1.2", [("a:1.2", UP)]),
    ("a) b", [("a) b", 1)]),
    ("a] b", [("a] b", 1)]),
    ("a:1.2) b", [("a:1.2) b", 1)]),
    ("(a))", [("a", UP), (")", 1)]),
    ("(a]", [("a]", UP)]),
    ("(a [b) c]", [("a ", UP), ("b", 1), (" c", DOWN)]),
    ("()", [("", 1)]),
    ("(:1.2)", [("", 1)]),
    ("a () b", [("a  b", 1)]),
    # escapes
    (r"\(a\)", [("(a)", 1)]),
    (r"(\(a\):1.3)", [("(a)", 1.3)]),
    (r"\[a\]", [("[a]", 1)]),
    (r"(a\):1.2)", [("a)", 1.2)]),
    (r"smile :\)", [("smile :)", 1)]),
    (r"a \\ b", [("a \\ b", 1)]),
    (r"\\(a)", [("\\", 1), ("a", UP)]),
    (r"a\b", [("ab", 1)]),
    ("a\\", [("a", 1)]),
    # BREAK
    ("a BREAK b", [("a", 1), BREAK, ("b", 1)]),
    ("a, BREAK, b", [("a,", 1), BREAK, (", b", 1)]),
    ("BREAK", [BREAK]),
    ("BREAK a", [BREAK, ("a", 1)]),
    ("a BREAK", [("a", 1), BREAK]),
    ("a BREAK BREAK b", [("a", 1), BREAK, BREAK, ("b", 1)]),
    ("a\nBREAK\nb", [("a", 1), BREAK, ("b", 1)]),
    ("(a) BREAK (b:0.5)", [("a", UP), BREAK, ("b", 0.5)]),
    ("(a BREAK b:1.2)", [("a", 1.2), BREAK, ("b", 1.2)]),
    ("break Break BREAKFAST", [("break Break BREAKFAST", 1)]),
]  # fmt: skip


def test_the_table_is_long_and_has_no_prompt_twice() -> None:
    assert len({text for text, _ in TABLE}) == len(TABLE) >= 60


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[repr(text) for text, _ in TABLE])
def test_pieces_and_weights(text: str, expected: Expected) -> None:
    found = parse(text)
    assert [piece.text for piece in found] == [piece[0] for piece in expected]
    assert [piece.weight for piece in found] == pytest.approx([p[1] for p in expected], abs=1e-12)
    assert [p is BREAK for p in found] == [p is BREAK for p in expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat AND dog", "AND is read as a word"),
        ("a (b", "'(' is never closed"),
        ("a [b", "'[' is never closed"),
        ("a) b", "')' was never opened"),
        ("a:1.2)", "')' was never opened"),
    ],
)
def test_what_is_not_read_as_a1111_does_is_said(text: str, said: str) -> None:
    (note,) = notes(text)
    assert said in note


@pytest.mark.parametrize(
    "text",
    [
        "((a)) [b] (c:1.2)",
        r"\[cat:dog:0.5\] \(a",
        "[SEP] [SKIP]",
        "SAND, AND1, a: 5",
        "{a|b}",
        "[a:b]",
        "[a]: 5",
    ],
)
def test_plain_attention_needs_no_word(text: str) -> None:
    assert notes(text) == []


@pytest.mark.parametrize("bracket", ["(", "["])
def test_brackets_nest_a_hundred_deep(bracket: str) -> None:
    close = ")]"[bracket == "["]
    assert parse(bracket * 100 + "a" + close * 100)[0].text == "a"
    for text in (bracket * 101 + "a", (bracket * 1000 + "a" + close * 1000) * 9):
        for read in (parse, notes):
            with pytest.raises(PromptError, match=r"more than 100 .* within each other"):
                read(text)


@pytest.mark.parametrize(
    "text", [f"(a:{'9' * 400})", "(a:-1000001)", f"{'(a' * 99}:9){':9)' * 98}"]
)
def test_a_weight_that_no_encoder_can_take_is_refused(text: str) -> None:
    for read in (parse, notes):
        with pytest.raises(PromptError, match=r"'a' weighs .*; expected -1e6 to 1e6"):
            read(text)


@pytest.mark.parametrize("part", [" ", "1", ": ", "BREAK ", "(a:1.1)", ")", "\\(", "\xa0"])
def test_a_prompt_of_any_length_is_read_at_once(part: str) -> None:
    text = ":" + part * (100_000 // len(part))
    assert sum(len(piece.text) for piece in parse(text)) <= len(text)
    notes(text)
