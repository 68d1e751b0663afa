"""What licences of models allow a business, by their names in SPDX and on the Hugging Face hub.

A reading of the licences' texts, not legal advice.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

UNKNOWN = "unknown"
"""Licence of a model that nothing names one of."""
Use = Literal["allowed", "conditions", "forbidden", "unknown"]

_ALLOWED = (
    "Apache-2.0", "Apache 2.0", "MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC",
    "Zlib", "0BSD", "CC0-1.0", "Unlicense", "PDDL-1.0", "commercial",
)  # fmt: skip
"""`commercial`: a user's word for a contract of their own."""
_RAIL = "not for the uses that its attachment A forbids"
_CREDIT = "name the authors"
_COPYLEFT = "pass it on under the same licence alone"
_STABILITY = (
    "free below 1,000,000 US dollars of revenue a year; above, Stability AI sells a licence"
)
_CONDITIONS = {
    "openrail": _RAIL,  # of the hub, and OpenRAIL++, which differs in its punctuation alone
    "creativeml-openrail-m": _RAIL,
    "bigscience-openrail-m": _RAIL,
    "bigcode-openrail-m": _RAIL,
    "stabilityai-ai-community": _STABILITY,  # Stable Diffusion 3.5's `license_name`
    "stability-ai-community": _STABILITY,
    "sam-license": "not for the uses that it forbids, such as weapons",
    "faipl-1.0-sd": "share what you change under the same licence",
    **dict.fromkeys(("CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0"), _CREDIT),
    **dict.fromkeys(("CC-BY-SA-3.0", "CC-BY-SA-4.0"), f"{_CREDIT}; {_COPYLEFT}"),
    **dict.fromkeys(
        ("GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0", "AGPL-3.0-only", "LGPL-3.0"),
        _COPYLEFT,
    ),
}
_FORBIDDEN = re.compile(r"non-?commercial|(^|-)nc(-|$)|(^|-)research(-only)?($|-)")
"""As in flux-1-dev-non-commercial-license, cc-by-nc-4.0, sai-nc-community."""


@dataclass(frozen=True)
class Terms:
    """Whether a licence allows commercial use. `note`: its conditions, else ""."""

    use: Use
    note: str = ""

    def __str__(self) -> str:
        plain = {"allowed": "yes", "conditions": "yes", "forbidden": "no", "unknown": "not known"}
        return f"{plain[self.use]}{self.note and ': '}{self.note}"


def terms_of(licence: str) -> Terms:
    """Return what a licence allows, by its identifier or its title.

    >>> terms_of("FLUX.1 [dev] Non-Commercial License").use
    'forbidden'
    """
    name = _plain(licence)
    if name in _table():
        return _table()[name]
    return Terms("forbidden" if _FORBIDDEN.search(name) else "unknown")


@functools.cache
def _table() -> dict[str, Terms]:
    table = {_plain(name): Terms("allowed") for name in _ALLOWED}
    return table | {_plain(name): Terms("conditions", note) for name, note in _CONDITIONS.items()}


def _plain(name: str) -> str:
    """Return a name without case and punctuation and without the word "license" in it."""
    words = re.findall(r"[a-z0-9]+", name.lower().replace("open rail", "openrail"))
    return "-".join(word for word in words if word not in ("license", "licence", "the"))
