"""What licences allow, by the names that SPDX, the hub's cards and LoRA files give them."""

from __future__ import annotations

import pytest

from visuals.checkpoints.catalog.entry import shipped_entries
from visuals.checkpoints.licences.terms import terms_of


@pytest.mark.parametrize(
    ("use", "names"),
    [
        ("allowed", "Apache-2.0, apache-2.0, MIT, mit, bsd-3-clause, CC0-1.0, Apache License 2.0"),
        (
            "conditions",
            "openrail, openrail++, creativeml-openrail-m, CreativeML Open RAIL++-M, cc-by-4.0, "
            "stabilityai-ai-community, Stability AI Community License, SAM License, gpl-3.0",
        ),
        (
            "forbidden",
            "flux-1-dev-non-commercial-license, FLUX.1 [dev] Non-Commercial License, cc-by-nc-4.0, "
            "CC-BY-NC-SA-4.0, sai-nc-community, stabilityai-nc-research-community, research-only, "
            "flux-non-commercial-license, noncommercial",
        ),
        ("unknown", "unknown, other, my-own-license, MIT-like, ncsa, free"),
    ],
)
def test_names_of_licences_are_read_as_they_are_written(use: str, names: str) -> None:
    assert {name: terms_of(name).use for name in names.split(", ")} == dict.fromkeys(
        names.split(", "), use
    )


def test_conditions_are_named() -> None:
    assert "1,000,000" in str(terms_of("stabilityai-ai-community"))
    assert "attachment A" in str(terms_of("openrail++"))


def test_every_licence_of_the_catalogue_is_known() -> None:
    named = {name: entry.licence for name, entry in shipped_entries().items() if entry.licence}
    assert {n: li for n, li in named.items() if terms_of(li).use == "unknown"} == {}
    assert terms_of(str(named["flux-dev"])).use == "forbidden"
