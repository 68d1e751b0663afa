"""Caption edits (tag, prefix, suffix, replacements), tag statistics and token counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

CountTokens = Callable[[str], int]
"""How many tokens a text has for the encoder, without the start and end marks."""


@dataclass(frozen=True, kw_only=True)
class CaptionEdits:
    """Edits of a caption, in this order: `replace` (old, new), `prefix`, `suffix`, `tag` in front.

    Text that is there already is not added twice, so edits may be repeated. A caption that no edit
    concerns stays as it is.
    """

    tag: str = ""
    prefix: str = ""
    suffix: str = ""
    replace: tuple[tuple[str, str], ...] = ()

    def __call__(self, caption: str) -> str:
        """The edited caption, on one line.

        >>> CaptionEdits(tag="ppzocketv2", replace=(("cup", "mug"),))("a cup of coffee")
        'ppzocketv2, a mug of coffee'
        >>> CaptionEdits(prefix="a photo of", suffix="studio photography")("a red shoe")
        'a photo of a red shoe, studio photography'
        """
        text = caption
        for old, new in self.replace:
            text = text.replace(old, new)
        if text != caption:  # a replacement may leave an empty part
            text = _tidy(text)
        tag, prefix, suffix = self.tag.strip(" ,"), _tidy(self.prefix), _tidy(self.suffix)
        text = " ".join(text.split())
        if tag in split_tags(text):
            text = ",".join(part for part in text.split(",") if part.strip() != tag).strip()
        if prefix and not text.startswith(prefix):
            text = f"{prefix} {text}".strip()
        if suffix and not text.endswith(suffix):
            text = f"{text}, {suffix}" if text else suffix
        text = ", ".join(filter(None, (tag, text)))
        return caption if text == " ".join(caption.split()) else text


def _tidy(text: str) -> str:
    """Single spaces, one comma and a space between parts, no part that is empty."""
    parts = (" ".join(part.split()) for part in text.split(","))
    return ", ".join(filter(None, parts))


def split_tags(caption: str) -> tuple[str, ...]:
    """Return the tags of a caption: its parts between commas, without empty ones."""
    return tuple(part.strip() for part in caption.split(",") if part.strip())


def tag_frequency(captions: Iterable[str]) -> dict[str, int]:
    """Count the captions that hold each tag, most frequent first.

    >>> tag_frequency(["new, a mug", "new, a lamp"])
    {'new': 2, 'a lamp': 1, 'a mug': 1}
    """
    count = Counter(tag for caption in captions for tag in set(split_tags(caption)))
    return dict(sorted(count.items(), key=lambda pair: (-pair[1], pair[0])))


def token_counter(tokenizer: object) -> CountTokens:
    """Return a function that counts tokens by a tokenizer of transformers."""

    def count(text: str) -> int:
        ids = tokenizer(text, add_special_tokens=False, truncation=False)  # type: ignore[operator]
        return len(ids["input_ids"])

    return count
