"""The tabs Create and Runs in headless Chromium, over a real server: jobs made, watched, ended."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.browsing import (
    PATIENCE,
    SEED,
    choose,
    command,
    drop_picture,
    expect,
    make,
    number,
    run_of,
    says,
    tab,
)

pytestmark = pytest.mark.slow


def test_a_sneaker_is_made_kept_compared_and_taken_away(
    page: Any, place: Path, tmp_path: Path, mini_is_trained: bool
) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")
    make(page, steps=12, name="sneaker")
    says(page, "#create-progress", "enhanced 1")
    says(page, "#create-progress", "pixels changed outside the masks 0")
    expect(page.locator("#create-gallery img")).to_have_count(1, timeout=PATIENCE)
    line = command(page, "#create-command", "visuals run --class sneaker --count 1")
    manifest = run_of(place, line) / "manifest.jsonl"
    assert [json.loads(text)["status"] for text in manifest.open()] == ["enhanced"]

    both = page.locator("#create-slider .both")
    expect(both).to_be_visible(timeout=PATIENCE)
    both.scroll_into_view_if_needed()
    box = both.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], middle[1], steps=5)
    page.mouse.up()
    at = both.evaluate("element => parseInt(element.style.getPropertyValue('--at'))")
    assert 80 <= at <= 100
    loaded = "element => [...element.querySelectorAll('img')].map(i => i.naturalWidth)"
    assert both.evaluate(loaded) == [224, 224]

    number(page, "#create-seed", 3)
    drop_picture(page, run_of(place, line) / "images" / "sneaker-0001.png")
    says(page, "#create-filled", "Filled in from sneaker-0001.png")
    expect(page.locator("#create-seed input")).to_have_value(str(SEED))

    tab(page, "Runs")
    name = run_of(place, line).name
    card = page.locator(f'#runs-list [data-key="{name}"]')
    expect(card).to_contain_text("sneaker", timeout=PATIENCE)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 224, timeout=PATIENCE)
    card.click()
    says(page, "#runs-head", "enhanced 1")
    says(page, "#runs-details", str(SEED))
    choose(page, "#runs-outcome", "skipped")
    says(page, "#runs-pictures", "No such picture")
    choose(page, "#runs-outcome", "enhanced")
    page.locator("#runs-pictures .card").first.click()
    says(page, "#runs-slider", "sneaker-0001 · enhanced")
    with page.expect_download() as download:
        page.locator("#runs-zip").click()
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        assert archive.testzip() is None
    wanted = {"manifest.jsonl", "run.yaml", "report.html", "images/sneaker-0001.png"}
    assert wanted <= names and any("coco" in name for name in names)

    tab(page, "Create")
    number(page, "#create-seed", 3)
    tab(page, "Runs")
    page.locator("#runs-use").click()
    says(page, "#create-filled", f"Filled in from the run {name}")
    expect(page.locator("#create-seed input")).to_have_value(str(SEED))
    manifest.write_text("")  # as if it was stopped before the first picture
    manifest.with_name("report.html").unlink()
    tab(page, "Runs")
    says(page, "#runs-head", "not finished")
    page.locator("#runs-resume").click()
    says(page, "#runs-head", "enhanced 1")
    expect(page.locator("#runs-resume")).to_have_count(0)
    page.locator("#runs-delete").click()
    says(page, "#runs-question", f"Delete the run {name} with its 1 picture?")
    page.get_by_role("button", name="Keep it").click()
    page.locator("#runs-delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator("#runs-search")).to_be_visible(timeout=PATIENCE)
    expect(card).to_have_count(0, timeout=PATIENCE)
    assert not manifest.parent.exists()


def test_a_reload_in_mid_run_loses_nothing_and_all_jobs_can_be_cancelled(page: Any) -> None:
    make(page, count=8, steps=100)
    line = command(page, "#create-command", "--count 8")
    page.reload()
    says(page, "#create-progress", "Generating")
    assert command(page, "#create-command", "visuals run") == line
    says(page, "#create-progress", "step")
    says(page, "#create-make", "Queue 8 pictures, after 1 job")
    number(page, "#create-count", 3)
    page.locator("#create-make").click()
    says(page, "#create-make", "Queue 3 pictures, after 2 jobs")
    tab(page, "Runs")  # all jobs are seen, and ended, from every tab
    page.locator("#jobs .more").click()
    for number_, title in enumerate(("mug: 8 pictures", "mug: 3 pictures")):
        job = page.locator("#jobs li").nth(number_)
        expect(job).to_contain_text(title, timeout=PATIENCE)
    expect(page.get_by_role("progressbar", name="mug: 8 pictures")).to_be_visible()
    page.get_by_role("button", name="Cancel: mug: 3 pictures").click()
    page.get_by_role("button", name="Dismiss: mug: 3 pictures").first.click()
    page.get_by_role("button", name="Cancel: mug: 8 pictures").click()
    page.get_by_role("button", name="Dismiss: mug: 8 pictures").first.wait_for(timeout=15_000)
    tab(page, "Create")
    says(page, "#create-progress", "Stopped", 15_000)
    make(page, steps=2)  # the next job runs
    says(page, "#create-progress", "Done")


def test_two_visitors_do_not_mix(visit: Callable[..., Any], place: Path) -> None:
    first, second = visit(), visit()
    make(first, count=1, steps=2)
    make(second, count=2, steps=2)
    says(second, "#create-progress", "Done")
    says(first, "#create-progress", "Done")
    lines = [
        command(page, "#create-command", f"--count {n}") for page, n in ((first, 1), (second, 2))
    ]
    folders = [run_of(place, line) for line in lines]
    assert [(f / "manifest.jsonl").read_text().count("\n") for f in folders] == [1, 2]


def test_a_crash_says_so_and_the_next_job_runs(page: Any, process: Any) -> None:
    psutil = pytest.importorskip("psutil")
    make(page, count=4, steps=100)
    says(page, "#create-progress", "step")
    for child in psutil.Process(process.pid).children():
        child.kill()
    says(page, "#create-progress", "Crashed")
    says(page, "#create-progress", "what was finished is kept")
    make(page, steps=2)
    says(page, "#create-progress", "Done")


def test_what_cannot_be_made_is_said(page: Any) -> None:
    page.locator("#create-prompt textarea").fill("a {class} <lora:nowhere:1>")
    says(page, "#create-preview", "nowhere")
    page.locator("#create-make").click()
    says(page, "#create-answer", "nowhere")
    expect(page.locator("#create-cancel")).to_be_disabled()

    page.get_by_role("button", name="Settings").click()
    page.locator("#create-seed-reuse").click()
    says(page, "#create-answer", "no seed to reuse")
    number(page, "#create-seed", 7)
    page.locator("#create-seed-random").click()
    expect(page.locator("#create-seed input")).to_have_value("-1")
    number(page, "#create-count", 0)
    for width, height in ((1280, 800), (1366, 768)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 0)")
        page.locator("#create-make").click()
        says(page, "#create-answer", "Pictures a class 0: expected a whole number from 1")
        for where in ("#create-answer [role=alert]", "#create-make"):
            expect(page.locator(where)).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollY") == 0
        tab(page, "Enhance")
        page.locator("#enhance-find").click()
        says(page, "#enhance-said", "no photos: drop some first")
        expect(page.locator("#enhance-said [role=alert]")).to_be_in_viewport(ratio=1)
        tab(page, "Create")
