"""The studio in a real browser: headless Chromium, driven by Playwright, over a real server.

The browser is the system's own (chromium or google-chrome); without one these tests are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("gradio", reason="gradio is not installed")

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "samples" / "photos"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 150_000
"""Milliseconds that a page may take on a busy machine."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def server(place: Path, mini: Path) -> Iterator[str]:
    """The address of `visuals ui`, started as a user would."""
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", "ui", "--no-browser", "--port", "0"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=(place / "stderr.txt").open("w"),
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(place)},
    )
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("studio"), (place / "stderr.txt").read_text()
    yield line.split()[1]
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next((p for p in map(shutil.which, BROWSERS) if p), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, server: str) -> Iterator[Any]:
    page = opened(browser, server)
    yield page
    page.context.close()


def opened(browser: Any, server: str, width: int = 1280, **more: Any) -> Any:
    """A new session's page, loaded; it fails where the page asks anyone else for anything."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **more)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)

    def only_here(route: Any) -> None:
        assert route.request.url.startswith((server, "data:", "blob:")), route.request.url
        route.continue_()

    page.route("**/*", only_here)
    page.goto(server)
    page.wait_for_selector("#create-make")
    sync_api.expect(page.locator("#create-preview")).to_contain_text("tokens", timeout=PATIENCE)
    return page


def says(page: Any, where: str, text: str) -> None:
    sync_api.expect(page.locator(where)).to_contain_text(text, timeout=PATIENCE)


def make(page: Any, count: int = 1, steps: int = 3) -> None:
    """Fill in the form of Create and press the button."""
    settings = page.get_by_role("button", name="Settings")
    if not page.locator("#create-steps").is_visible():
        settings.click()
    page.locator("#create-steps input[type=number]").fill(str(steps))
    page.locator("#create-steps input[type=number]").press("Tab")
    page.locator("#create-count input").fill(str(count))
    page.locator("#create-count input").press("Tab")
    page.locator("#create-make").click()


def find(page: Any, *names: str, look_for: str = "mug") -> None:
    page.get_by_role("tab", name="Enhance").click()
    page.locator("#enhance-files input[type=file]").set_input_files(
        [PHOTOS / name for name in names]
    )
    sync_api.expect(page.locator("#enhance-files")).to_contain_text(names[0][:2], timeout=PATIENCE)
    page.locator("#enhance-find").click()
    says(page, "#enhance-progress", "Done")


def threshold(page: Any, value: float) -> None:
    field = page.locator("#enhance-threshold input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def test_a_mug_is_made_shown_and_packed(page: Any, place: Path, tmp_path: Path) -> None:
    make(page)
    says(page, "#create-progress", "Done")
    assert page.locator("#create-gallery img").count() >= 1
    command = page.locator("#create-command textarea").input_value()
    assert command.startswith("visuals run --class mug --count 1")
    folder = place / command.split("--out ")[1]
    assert (folder / "manifest.jsonl").read_text().count("\n") == 1
    page.get_by_role("tab", name="Runs").click()
    says(page, "#runs-links", "Download zip")
    assert page.locator("#runs-command textarea").input_value().startswith("visuals run")
    with page.expect_download() as download:
        page.locator("#runs-zip").click()
    path = tmp_path / "run.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        assert archive.testzip() is None
    assert {"manifest.jsonl", "run.yaml", "report.html"} <= names


def test_a_threshold_moves_without_the_detector(
    page: Any, place: Path, mini_is_trained: bool
) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    find(page, "04-teal-mug.jpg", "19-empty.jpg")
    says(page, "#enhance-facts", "19-empty skipped: no 'mug' above")
    says(page, "#enhance-facts", "kept 1")
    searches = len(list((place / "runs" / ".studio" / "found").iterdir()))
    threshold(page, 0.99)
    says(page, "#enhance-facts", "04-teal-mug skipped: no 'mug' above 0.99; best 0.")
    threshold(page, 0.42)
    says(page, "#enhance-facts", "kept 1")
    assert len(list((place / "runs" / ".studio" / "found").iterdir())) == searches


def test_cancel_in_mid_run_is_at_once_and_the_next_job_runs(page: Any) -> None:
    make(page, count=8, steps=100)
    says(page, "#create-progress", "step")
    page.locator("#create-cancel").click()
    sync_api.expect(page.locator("#create-progress")).to_contain_text("Stopped", timeout=10_000)
    make(page)
    says(page, "#create-progress", "Done")


def test_a_reload_in_mid_run_loses_nothing(page: Any) -> None:
    make(page, count=2, steps=30)
    says(page, "#create-progress", "Working")
    page.reload()
    says(page, "#create-progress", "Generating")
    says(page, "#create-progress", "Done")
    assert page.locator("#create-command textarea").input_value().startswith("visuals run")


def test_two_sessions_do_not_mix(browser: Any, server: str) -> None:
    first, second = opened(browser, server), opened(browser, server)
    make(first, count=1)
    make(second, count=2)
    says(second, "#create-progress", "Done")
    says(first, "#create-progress", "Done")
    commands = [p.locator("#create-command textarea").input_value() for p in (first, second)]
    assert ["--count 1" in commands[0], "--count 2" in commands[1]] == [True, True]
    assert commands[0].split("--out ")[1] != commands[1].split("--out ")[1]
    for page in (first, second):
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_is_wide_enough(browser: Any, server: str, scheme: str) -> None:
    page = opened(browser, server, width=390, color_scheme=scheme)
    for name in ("Create", "Enhance", "Runs"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(800)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{name} is {wide} pixels wide"
    page.context.close()
