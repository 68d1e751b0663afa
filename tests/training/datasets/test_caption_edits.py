"""Edits of captions may be repeated; the tag stands first and once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visuals.training.datasets.caption_edits import CaptionEdits, tag_frequency


def test_the_tag_is_first_and_once() -> None:
    edit = CaptionEdits(tag="new")
    assert edit("a mug") == edit("new, a mug") == edit("a mug, new") == "new, a mug"
    assert edit("") == "new"
    assert edit("newspaper, a mug") == "new, newspaper, a mug"


def test_a_tag_is_renamed_by_a_replacement() -> None:
    assert CaptionEdits(tag="new", replace=(("old", "new"),))("old, a mug") == "new, a mug"


def test_prefix_and_suffix_stand_round_the_caption_behind_the_tag() -> None:
    edit = CaptionEdits(tag="new", prefix="a photo of", suffix=", studio photography")
    once = edit(" a  mug\n on a shelf ")
    assert once == "new, a photo of a mug on a shelf, studio photography"
    assert edit(once) == once


WORDS = st.lists(st.sampled_from(["a mug", "new", "red", "studio", ""]), max_size=5).map(", ".join)


@given(WORDS, st.sampled_from(["", "new"]), st.sampled_from(["", "photo of"]), WORDS)
def test_edits_may_be_repeated(text: str, tag: str, prefix: str, suffix: str) -> None:
    edit = CaptionEdits(tag=tag, prefix=prefix, suffix=suffix.replace("new", "light"))
    once = edit(text)
    assert edit(once) == once and "\n" not in once
    if tag:
        assert once.split(", ")[0] == tag


def test_tags_are_counted_once_a_caption() -> None:
    assert tag_frequency(["a, b, a", "b", ""]) == {"b": 2, "a": 1}
