"""The studio as a user meets it: `visuals ui` in a process of its own, and a real browser.

The browser is the system's own (chromium or google-chrome), headless; without one, or without
Playwright, its tests are left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.studio_process import address, studio

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    pytest.importorskip("gradio", reason="gradio is not installed")
    program = next((p for p in map(shutil.which, BROWSERS) if p), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the studio was started."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="session")
def process(
    browser: Any, place: Path, mini: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The studio that the tests share."""
    with studio(place, tmp_path_factory.mktemp("cache")) as process:
        yield process


@pytest.fixture(scope="session")
def server(process: Any, place: Path) -> str:
    """Its address."""
    return address(process, place)


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Callable[..., Any]]:
    """Opens the studio as a new visitor: `visit(width=1280, **more)`, a page that has loaded.

    It fails where the page asks anyone else for anything, or where its scripts do.
    """
    from helpers.browsing import PATIENCE, says

    contexts, wrong = [], []

    def only_here(request: Any) -> None:
        if not request.url.startswith((server, "data:", "blob:")):
            wrong.append(f"asked {request.url}")

    def go(width: int = 1280, **more: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", only_here)
        page.goto(server)
        says(page, "#create-preview", "token")
        return page

    yield go
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture
def page(visit: Callable[..., Any]) -> Any:
    return visit()
