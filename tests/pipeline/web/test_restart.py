"""A server that ends and starts again, at the same address and in the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers.browsing import PATIENCE, command, expect, find, make, number, says, tab
from helpers.studio_process import address, studio

pytestmark = pytest.mark.slow


def test_a_restarted_server_loses_nothing(
    browser: Any, tmp_path: Path, mini: Path, mini_is_trained: bool
) -> None:
    """What the browser shows is the same after it: form, tab, search; the job is a stopped one."""
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    place = tmp_path / "studio"
    place.mkdir()
    with studio(place, tmp_path / "cache") as first:
        url = address(first, place)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        says(page, "#create-preview", "token")
        page.locator("#create-prompt textarea").fill("one {class} on a table")
        find(page, "04-teal-mug.jpg")
        tab(page, "Create")
        make(page, count=8, steps=100)  # at work when the server ends
        says(page, "#create-progress", "step")
        line = command(page, "#create-command", "--count 8")
        number(page, "#create-count", 5)
        tab(page, "Enhance")
        page.evaluate("window.ofTheFirst = true")
        first.kill()
    with studio(place, tmp_path / "cache", urlsplit(url).port or 0) as second:
        assert address(second, place) == url
        page.wait_for_function("!window.ofTheFirst")  # it finds the server again by itself
        opened = page.get_by_role("tab", name="Enhance", selected=True)
        expect(opened).to_be_visible(timeout=PATIENCE)
        canvas = page.locator("#enhance-photo canvas")
        expect(canvas).to_have_attribute("data-seq", "0", timeout=PATIENCE)
        says(page, "#enhance-facts", "kept 1")
        tab(page, "Create")
        says(page, "#create-progress", "Stopped")
        says(page, "#create-progress", "Resume continues it")
        assert command(page, "#create-command", "visuals run") == line
        for where, value in (("prompt textarea", "one {class} on a table"), ("count input", "5")):
            field = page.locator(f"#create-{where}")
            expect(field).to_have_value(value, timeout=PATIENCE)
        page.get_by_role("button", name="Resume", exact=True).wait_for()
        page.get_by_role("button", name="Resume: mug: 8 pictures").click()
        says(page, "#create-progress", "step")
        assert command(page, "#create-command", "visuals run") == line
        page.locator("#create-cancel").click()
        assert (place / "runs" / ".studio" / ".secret").stat().st_mode & 0o777 == 0o600
        for name in (".secret", ".jobs.json"):
            file = place / "runs" / ".studio" / name
            assert page.request.get(f"{url}gradio_api/file={file}").status == 403
