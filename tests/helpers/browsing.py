"""What a visitor of the studio does, for tests. Each waits for what the page shows, no time."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "samples" / "photos"
SEED = 231335300  # of pictures in which the embedded detector finds the product
PATIENCE = int(os.environ.get("STUDIO_PATIENCE", "180")) * 1000
"""Milliseconds that a page may take on a busy machine."""


def expect(what: Any) -> Any:
    from playwright.sync_api import expect

    return expect(what)


def says(page: Any, where: str, text: str | re.Pattern[str], patience: int = PATIENCE) -> None:
    expect(page.locator(where)).to_contain_text(text, timeout=patience)


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def number(page: Any, where: str, value: float) -> None:
    """Type into the number field of a slider or a number."""
    field = page.locator(f"{where} input[type=number]")
    field.fill(str(value))
    field.press("Tab")


def command(page: Any, where: str, text: str) -> str:
    """The whole command, once it holds `text`."""
    field = page.locator(f"{where} textarea")
    if not field.is_visible():
        page.locator(f"{where}-fold button").first.click()
    expect(field).to_have_value(re.compile(re.escape(text)), timeout=PATIENCE)
    return str(field.input_value())


def run_of(place: Path, line: str) -> Path:
    """The run folder that a command names."""
    words = shlex.split(line)
    return place / words[words.index("--out") + 1]


def choose(page: Any, where: str, name: str) -> None:
    """An option of a dropdown."""
    page.locator(f"{where} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def make(page: Any, count: int = 1, steps: int = 3, name: str = "mug") -> None:
    """Fill in the form of Create and press the button."""
    if not page.locator("#create-steps").is_visible():
        page.get_by_role("button", name="Settings").click()
    number(page, "#create-steps", steps)
    number(page, "#create-count", count)
    number(page, "#create-seed", SEED)
    if name != "mug":
        only(page, "#create-classes", name)
    page.locator("#create-make").click()


def only(page: Any, where: str, name: str) -> None:
    """A list of words becomes this word alone."""
    page.locator(f"{where} .remove-all").click()
    field = page.locator(f"{where} input")
    field.fill(name)
    field.press("Enter")
    field.press("Tab")
    says(page, where, name)


def drop(page: Any, paths: Sequence[Path]) -> None:
    """Give files to Enhance."""
    tab(page, "Enhance")
    unfold(page, "#enhance-photos", "#enhance-find")
    page.locator("#enhance-files input[type=file]").set_input_files(paths)
    expect(page.locator("#enhance-files tr.file")).to_have_count(len(paths), timeout=PATIENCE)


def unfold(page: Any, where: str, what: str) -> None:
    """Open an accordion, unless it shows `what` already."""
    if not page.locator(what).is_visible():
        page.locator(f"{where} > button").click()
        page.locator(what).wait_for()


def drop_picture(page: Any, path: Path) -> None:
    """Drop a picture on the prompt of Create."""
    page.evaluate(
        """([data, name]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
          const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("#create-prompt textarea").dispatchEvent(drop);
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name],
    )


def find(page: Any, *names: str) -> None:
    """Look for mugs in sample photos and wait until all are shown."""
    drop(page, [PHOTOS / name for name in names])
    page.locator("#enhance-find").click()
    expect(page.locator("#enhance-strip button")).to_have_count(len(names), timeout=PATIENCE)
    says(page, "#enhance-progress", "Done")
    canvas = page.locator("#enhance-photo canvas")
    expect(canvas).to_have_attribute("data-seq", "0", timeout=PATIENCE)


@contextlib.contextmanager
def held(page: Any) -> Iterator[None]:
    """Hold the events that the page sends meanwhile; then let them be answered, the last first."""
    routes: list[Any] = []
    released = False
    page.route(
        "**/gradio_api/run/predict",
        lambda route: route.fallback() if released else routes.append(route),
    )
    yield
    released = True
    assert routes
    for route in reversed(routes):
        route.fulfill(response=route.fetch(timeout=PATIENCE))
    page.unroute("**/gradio_api/run/predict")  # not before: it continues all that is held


def serious(page: Any) -> list[str]:
    """What axe-core finds that keeps people out: rule and element."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
