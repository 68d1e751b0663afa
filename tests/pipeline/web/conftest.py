"""The studio as a user meets it: `visuals ui` in a process of its own, and a real browser.

The browser is the system's own (chromium or google-chrome), headless; without one, or without
Playwright, its tests are left out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
    """`visuals ui`, started as a user would."""
    cache = str(tmp_path_factory.mktemp("cache"))
    process = subprocess.Popen(
        [sys.executable, "-m", "visuals", "ui", "--no-browser", "--port", "0"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=(place / "stderr.txt").open("w"),
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(place), "XDG_CACHE_HOME": cache},
    )
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(60)


@pytest.fixture(scope="session")
def server(process: Any, place: Path) -> str:
    """The address that it tells."""
    line = process.stdout.readline()
    assert line.startswith("studio"), (place / "stderr.txt").read_text()
    return str(line.split()[1])


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Callable[..., Any]]:
    """Opens the studio as a new visitor: `visit(width=1280, **more)`, a page that has loaded.

    It fails where the page asks anyone else for anything, or where its scripts do.
    """
    from helpers.browsing import PATIENCE, says

    contexts, wrong = [], []

    def only_here(route: Any) -> None:
        if not route.request.url.startswith((server, "data:", "blob:")):
            wrong.append(f"asked {route.request.url}")
        route.continue_()

    def go(width: int = 1280, **more: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.route("**/*", only_here)
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
