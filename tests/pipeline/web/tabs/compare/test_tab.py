"""The tab Compare in a real browser, and the command that it makes of its form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from visuals.pipeline.jobs.draw_grid import GridRequest, check_grid, plan_grid
from visuals.pipeline.web.queue.requests import in_folder
from visuals.pipeline.web.tabs.compare import grid_form


def test_a_request_is_the_command_of_its_plan() -> None:
    request = GridRequest(
        classes=("mug",), prompts=("a {class}",), loras=("look:0,1",), seeds=(7, 8),
        columns="lora", overrides={"generate.steps": 2},
    )  # fmt: skip
    assert shlex.split(str(in_folder(request, Path("runs/here")))) == [
        "visuals", "grid", "--class", "mug", "--prompt", "a {class}", "--lora", "look:0,1",
        "--preset", "mini", "--seeds", "7,8", "--columns", "lora", "--set", "generate.steps=2",
        "--cells", "runs/here", "--out", "runs/here/grid.png",
    ]  # fmt: skip
    assert grid_form.summary(plan_grid(request)) == "4 pictures: 2 LoRA weights × 2 seeds"


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (GridRequest(prompts=("a {class}",)), "no --class"),
        (GridRequest(prompts=("a mug",), loras=("nobody:1",)), "nobody"),
        (GridRequest(prompts=("a mug",), loras=("ppzmini:x",)), "expected NAME:WEIGHT"),
        (GridRequest(prompts=("a mug",), presets=("nope",)), "unknown preset 'nope'"),
        (GridRequest(prompts=("a mug",), seeds=tuple(range(401))), "at most 400"),
        (GridRequest(prompts=("a mug",), seeds=()), "no seed"),
    ],
)
def test_what_the_command_would_refuse_is_refused_before(
    grid: GridRequest, said: str, mini: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_grid(grid)


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3,x", "4294967296", "0-9999", "5-2"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="seed"):
        grid_form.numbers(text)


@pytest.mark.slow
def test_base_and_fine_tuned_side_by_side(
    page: Any, visit: Callable[..., Any], place: Path
) -> None:
    from helpers.browsing import PATIENCE, command, expect, says, tab

    tab(page, "Compare")
    says(page, "#compare-count", "4 pictures: 2 LoRA weights × 2 seeds")
    page.locator("#compare-seeds input, #compare-seeds textarea").fill("5")
    page.get_by_role("button", name="Presets, checkpoints, settings").click()
    page.locator("#compare-steps input, #compare-steps textarea").fill("2")
    says(page, "#compare-count", "2 pictures: 2 LoRA weights")
    page.locator("#compare-draw").click()
    says(page, "#compare-progress", "Done")
    cells = page.locator("#compare-table img")
    expect(cells).to_have_count(2, timeout=PATIENCE)
    expect(page.locator("#compare-table th[scope=col]")).to_have_text(["ppzmini 0", "ppzmini 1"])
    line = command(page, "#compare-command", "--lora ppzmini:0,1")
    assert "--cfg" not in line and "cfg_scale" not in line
    sheet = place / shlex.split(line)[-1]
    files = sorted(sheet.parent.glob("cell-*.png"))
    assert len(files) == 2 and Image.open(files[0]).tobytes() != Image.open(files[1]).tobytes()
    shown = cells.first.evaluate("async i => { await i.decode(); return i.naturalWidth }")
    assert shown == Image.open(files[0]).width
    page.get_by_role("button", name="The sheet, as one picture").click()
    expect(page.locator("#compare-sheet img")).to_be_visible(timeout=PATIENCE)

    page.reload()
    says(page, "#create-preview", "token")
    tab(page, "Compare")
    expect(cells).to_have_count(2, timeout=PATIENCE)
    seeds = page.locator("#compare-seeds input, #compare-seeds textarea")
    expect(seeds).to_have_value("5", timeout=PATIENCE)
    says(page, "#compare-count", "2 pictures: 2 LoRA weights")

    page.locator("#compare-loras textarea").fill("nobody:1")
    says(page, "#compare-count", "1 picture")
    page.locator("#compare-draw").click()
    says(page, "#compare-count", "nobody")

    small = visit(width=390)
    tab(small, "Compare")
    small.locator("#compare-earlier input").click()
    small.get_by_role("option", name=sheet.parent.name, exact=True).click()
    expect(small.locator("#compare-table img")).to_have_count(2, timeout=PATIENCE)
    assert small.evaluate("document.documentElement.scrollWidth") <= 390
