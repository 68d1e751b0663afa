"""The tab Enhance in headless Chromium: found, chosen, painted over, re-rendered."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browsing import (
    PATIENCE,
    PHOTOS,
    choose,
    command,
    drop,
    expect,
    find,
    number,
    only,
    run_of,
    says,
    tab,
)
from helpers.command_line import lines_of

from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _trained(mini_is_trained: bool) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")


def mask_of(folder: Path, line: dict[str, Any]) -> np.ndarray:
    return np.asarray(read_image(folder / line["files"]["mask"]).rgb[..., 0] > 127)


def rerender(page: Any, place: Path, steps: int = 3) -> Path:
    """Press Re-render and wait for its end; its run folder."""
    if not page.locator("#enhance-steps").is_visible():
        page.get_by_role("button", name="Prompt, steps, seed").click()
    number(page, "#enhance-steps", steps)
    page.locator("#enhance-go").click()
    line = command(page, "#enhance-command", "visuals enhance")
    says(page, "#enhance-progress", "Done")
    return run_of(place, line)


def test_a_threshold_and_ticks_move_the_result_without_the_detector(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg", "19-empty.jpg")
    says(page, "#enhance-facts", "19-empty skipped: no 'mug' above")
    says(page, "#enhance-facts", "kept 1")
    searches = len(list((place / "runs" / ".studio" / "found").iterdir()))
    number(page, "#enhance-threshold", 0.99)
    says(page, "#enhance-facts", "04-teal-mug skipped: no 'mug' above 0.99; best 0.")
    command(page, "#enhance-command", "--set detect.box_threshold=0.99")
    number(page, "#enhance-threshold", 0.42)
    says(page, "#enhance-facts", "kept 1")
    page.locator("#enhance-ticks input").first.click()
    says(page, "#enhance-facts", "every instance was ticked off")
    page.locator("#enhance-ticks input").first.click()
    says(page, "#enhance-facts", "kept 1")
    assert len(list((place / "runs" / ".studio" / "found").iterdir())) == searches


def test_what_is_erased_and_painted_reaches_the_rerender(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg")
    canvas = page.locator("#enhance-photo canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()

    def stroke(y: float, *xs: float) -> None:
        across = [box["x"] + x * box["width"] for x in xs]
        page.mouse.move(across[0], box["y"] + y * box["height"])
        page.mouse.down()
        for x in across[1:]:
            page.mouse.move(x, box["y"] + y * box["height"], steps=4)
        page.mouse.up()

    pixel = """canvas => canvas.getContext('2d').getImageData(
        canvas.width * .45, canvas.height * .6, 1, 1).data[0]"""
    before = canvas.evaluate(pixel)
    page.get_by_role("button", name="Erase").click()
    stroke(0.6, 0.05, 0.95)
    expect(canvas).to_have_attribute("data-seq", "1", timeout=PATIENCE)
    says(page, "#enhance-thumbs", "painted by hand")
    assert canvas.evaluate(pixel) < 0.8 * before  # what is out of the mask is dimmed
    page.get_by_role("button", name="Paint").click()
    stroke(0.05, 0.8, 0.9)
    expect(canvas).to_have_attribute("data-seq", "2", timeout=PATIENCE)
    page.get_by_role("button", name="Erase").click()
    stroke(0.2, 0.1, 0.9)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(canvas).to_have_attribute("data-seq", "4", timeout=PATIENCE)

    folder = rerender(page, place)
    (line,) = lines_of(folder).values()
    assert line["status"] == "enhanced" and line["metrics"]["changed_outside"] == 0
    mask = mask_of(folder, line)
    height, width = mask.shape
    band = slice(round(0.59 * height), round(0.61 * height))
    assert not mask[band].any() and mask[: height // 2].any() and mask[round(0.7 * height) :].any()
    assert mask[round(0.05 * height), round(0.85 * width)]
    assert mask[round(0.2 * height) : round(0.25 * height)].any()  # the undone stroke is not there
    source, result = (read_image(folder / line["files"][k]).rgb for k in ("source", "result"))
    assert np.array_equal(source[band], result[band]) and not np.array_equal(source, result)
    expect(page.locator("#enhance-control img")).to_be_visible(timeout=PATIENCE)

    page.reload()  # strokes outlive the page
    tab(page, "Enhance")
    expect(canvas).to_have_attribute("data-seq", "4", timeout=PATIENCE)


def test_a_mask_is_painted_by_keyboard(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg")
    canvas = page.locator("#enhance-photo canvas")
    page.get_by_role("button", name="Erase").press("Enter")
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", " "):
        canvas.press(key)
    expect(canvas).to_have_attribute("data-seq", "1", timeout=PATIENCE)
    says(page, "#enhance-thumbs", "painted by hand")
    page.get_by_role("button", name="Undo all").press("Enter")
    expect(canvas).to_have_attribute("data-seq", "2", timeout=PATIENCE)
    says(page, "#enhance-thumbs", "1 found")
    expect(page.locator("#enhance-thumbs")).not_to_contain_text("painted", timeout=PATIENCE)


def test_an_instance_has_words_of_its_own(page: Any, place: Path) -> None:
    tab(page, "Enhance")
    only(page, "#enhance-classes", "chair")
    field = page.locator("#enhance-classes input")
    field.fill("car")
    field.press("Enter")
    field.press("Tab")
    says(page, "#enhance-classes", "car")
    find(page, "15-brown-chair-brown-car.jpg")
    labels = page.locator("#enhance-ticks label")
    expect(labels).to_have_count(2, timeout=PATIENCE)
    name = next(text for text in labels.all_inner_texts() if "car" in text)
    edit = page.locator("#enhance-edit").locator("input, textarea").first
    edit.fill("red")
    choose(page, "#enhance-whose", name.strip())
    expect(edit).to_have_value("", timeout=PATIENCE)
    edit.fill("blue")
    folder = rerender(page, place)
    (line,) = lines_of(folder).values()
    prompts = dict(zip((d["label"] for d in line["detections"]), line["prompts"], strict=True))
    assert "blue car" in prompts["car"] and "red chair" in prompts["chair"]
    choose(page, "#enhance-whose", "all instances")
    expect(edit).to_have_value("red", timeout=PATIENCE)


def test_a_folder_without_the_product_is_filtered_kept_as_a_run_and_sent_back(
    page: Any, place: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("04-teal-mug.jpg", "19-empty.jpg", "20-ball.jpg"):
        shutil.copy(PHOTOS / name, photos / name)
    tab(page, "Enhance")
    with page.expect_file_chooser() as chooser:
        page.locator("#enhance-folder").click()
    chooser.value.set_files(photos)
    expect(page.locator("#enhance-files tr.file")).to_have_count(3, timeout=PATIENCE)
    page.locator("#enhance-find").click()
    says(page, "#enhance-progress", "Done")
    says(page, "#enhance-facts", "skipped 2")
    page.locator("#enhance-thumbs button").nth(1).click()
    says(page, "#enhance-photo", "19-empty · skipped: no 'mug' above")
    page.locator("#enhance-keep").click()
    says(page, "#enhance-answer", "1 kept, 2 skipped")
    run = run_of(place, command(page, "#enhance-command", "-chosen-"))
    assert {id_: line["status"] for id_, line in lines_of(run).items()} == {
        "04-teal-mug": "kept", "19-empty": "skipped", "20-ball": "skipped",
    }  # fmt: skip

    tab(page, "Runs")
    page.locator(f'#runs-list [data-key="{run.name}"]').click()
    says(page, "#runs-head", "skipped 2")
    choose(page, "#runs-outcome", "kept")
    expect(page.locator("#runs-pictures img")).to_have_count(1, timeout=PATIENCE)
    page.locator("#runs-send").click()
    says(page, "#enhance-said", f"From the run {run.name}")
    page.locator("#enhance-find").click()
    says(page, "#enhance-facts", "kept 1")


def test_nothing_to_do_is_said(page: Any) -> None:
    tab(page, "Enhance")
    page.locator("#enhance-find").click()
    says(page, "#enhance-said", "no photos: drop some first")
    drop(page, [PHOTOS / "19-empty.jpg"])
    page.locator("#enhance-find").click()
    says(page, "#enhance-facts", "skipped 1")
    page.locator("#enhance-go").click()
    says(page, "#enhance-answer", "nothing is left to re-render")
