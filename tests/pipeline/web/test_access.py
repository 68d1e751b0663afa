"""For everyone: no serious finding of axe-core, and a page as narrow as a telephone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers.browsing import find, make, says, serious, tab

pytestmark = pytest.mark.slow
TABS = ("Create", "Enhance", "Compare", "Train", "Runs")


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1366, "dark"), (390, "light"), (390, "dark")]
)
def test_no_tab_keeps_anyone_out(visit: Callable[..., Any], width: int, scheme: str) -> None:
    page = visit(width, color_scheme=scheme)
    for name in ("Settings", "LoRAs"):
        page.get_by_role("button", name=name).click()
    made = width == 1280 and scheme == "light"
    if made:  # with pictures, boxes and results on it, once
        make(page, steps=2)
        says(page, "#create-progress", "Done")
        find(page, "04-teal-mug.jpg")
        page.get_by_role("button", name="Erase").click()
        page.locator("#enhance-go").click()
        says(page, "#enhance-photo", "04-teal-mug · re-rendered")
    for name in TABS:
        tab(page, name)
        page.get_by_role("tabpanel").filter(visible=True).first.wait_for()
        if name == "Runs":
            for press in ("#runs-list .card", "#runs-delete") if made else ():
                page.locator(press).first.click()
                assert serious(page) == [], press
        assert serious(page) == [], f"{name}, {scheme}, {width}"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} pixels wide"
