"""Edits of captions may be repeated; the tag stands first and once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuals.training.datasets.caption_edits import CaptionEdits, tag_frequency


def test_the_tag_is_first_and_once() -> None:
    edit = CaptionEdits(tag="new")
    assert edit("a mug") == edit("new, a mug") == edit("a mug, new") == "new, a mug"
    assert edit("") == "new"
    assert edit("newspaper, a mug") == "new, newspaper, a mug"


@pytest.mark.parametrize("caption", ["a,,b", "a, b,", "a  mug", " ,a", ""])
def test_a_caption_that_no_edit_concerns_stays_as_it_is(caption: str) -> None:
    assert CaptionEdits(replace=(("car", "van"),))(caption) == caption
    assert CaptionEdits()(caption) == caption
    once = CaptionEdits(tag="new")(caption)
    assert CaptionEdits(tag="new", replace=(("car", "van"),))(once) == once


def test_an_edit_changes_no_other_part() -> None:
    assert CaptionEdits(tag="new")("a,,b") == "new, a,,b"
    assert CaptionEdits(suffix="soft light")("a,,b") == "a,,b, soft light"
    assert CaptionEdits(replace=(("blurry", ""),))("shoe, blurry, red") == "shoe, red"


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
