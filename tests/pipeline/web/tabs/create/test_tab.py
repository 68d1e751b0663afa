"""The first screen of the studio in headless Chromium: what can be tried, and with one click."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpers.browsing import PATIENCE, SEED, command, expect, says, tab
from PIL import Image

pytestmark = pytest.mark.slow
CARDS = ("Four mugs, one look", "A red leather sneaker", "Recolour a photo")


def test_a_new_user_makes_a_picture_and_recolours_a_photo_in_a_few_clicks(
    visit: Callable[..., Any], mini_is_trained: bool
) -> None:
    page = visit()
    for width, height in ((1366, 768), (390, 844), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        for name in CARDS:
            expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        for end in ("0", "document.body.scrollHeight"):
            page.evaluate(f"scrollTo(0, {end})")
            expect(page.locator("#create-make")).to_be_in_viewport(ratio=1)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("scrollTo(0, 0)")
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    page.evaluate("window.clicks = 0; addEventListener('click', () => { clicks += 1; }, true)")
    page.get_by_role("button", name=CARDS[1]).click()
    says(page, "#create-progress", "enhanced 1")
    tab(page, "Enhance")
    page.get_by_role("button", name="mug", exact=True).click()
    canvas = page.locator("#enhance-photo canvas")
    expect(canvas).to_have_attribute("data-seq", "0", timeout=PATIENCE)
    page.locator("#enhance-edit").locator("input, textarea").first.click()
    page.keyboard.type("blue")
    page.locator("#enhance-go").click()
    says(page, "#enhance-progress", "enhanced 1")
    with page.expect_download() as download:
        page.locator("#enhance-photo .download").click()
    assert Image.open(download.value.path()).size == (256, 256)
    assert page.evaluate("clicks") <= 8

    tab(page, "Create")
    expect(page.locator("#create-slider .both")).to_be_visible(timeout=PATIENCE)
    line = command(page, "#create-command", "visuals run --class sneaker --count 1")
    assert "--edit 'red leather'" in line and f"generate.first_seed={SEED}" in line
    says(page, "#create-make", "Make 1 picture")
    page.reload()
    says(page, "#create-progress", "enhanced 1")
    expect(page.locator("#create-examples")).to_have_count(0)
    says(page, "#create-classes", "sneaker")


def test_the_example_of_a_photo_is_ready_to_be_recoloured(page: Any) -> None:
    page.get_by_role("button", name=CARDS[2]).click()
    opened = page.get_by_role("tab", name="Enhance", selected=True)
    expect(opened).to_be_visible(timeout=PATIENCE)
    canvas = page.locator("#enhance-photo canvas")
    expect(canvas).to_have_attribute("data-seq", "0", timeout=PATIENCE)
    edit = page.locator("#enhance-edit").locator("input, textarea").first
    expect(edit).to_have_value("red", timeout=PATIENCE)
