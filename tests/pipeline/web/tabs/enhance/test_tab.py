"""The tab Enhance in headless Chromium: found, chosen, painted over, re-rendered."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.browsing import (
    PATIENCE,
    PHOTOS,
    choose,
    command,
    drop,
    expect,
    find,
    held,
    number,
    only,
    run_of,
    says,
    serious,
    tab,
    unfold,
)
from helpers.command_line import lines_of

from visuals.pipeline.images.read import read_image

pytestmark = pytest.mark.slow
IN_SIGHT = (
    "#enhance-photos", "#enhance-photo .views", "#enhance-photo .tools", "#enhance-photo .zoom",
    "#enhance-photo .frame", "#enhance-photo .download", "#enhance-strip", "#enhance-threshold",
    "#enhance-ticks", "#enhance-edit", "#enhance-strength", "#enhance-seed", "#enhance-go",
    "#enhance-progress", "#enhance-more > button",
)  # fmt: skip
"""All that a re-render needs."""


@pytest.fixture(autouse=True)
def _trained(mini_is_trained: bool) -> None:
    if not mini_is_trained:
        pytest.skip("the embedded models are not trained yet")


def mask_of(folder: Path, line: dict[str, Any]) -> np.ndarray:
    return np.asarray(read_image(folder / line["files"]["mask"]).rgb[..., 0] > 127)


def rerender(page: Any, place: Path, button: str = "#enhance-go") -> Path:
    """Press Re-render and wait for its end; its run folder."""
    unfold(page, "#enhance-more", "#enhance-steps")
    number(page, "#enhance-steps", 3)
    line = page.locator("#enhance-command textarea")
    before = line.input_value()
    page.locator(button).click()
    expect(line).not_to_have_value(before, timeout=PATIENCE)
    says(page, "#enhance-progress", "enhanced")
    says(page, "#enhance-progress", "Done")
    return run_of(place, line.input_value())


def shows(page: Any, view: str) -> None:
    expect(page.locator(f"[data-view={view}][aria-pressed=true]")).to_be_visible(timeout=PATIENCE)


def stroke(page: Any, y: float, *xs: float) -> None:
    """Draw on the photo with the mouse, from share to share of it."""
    box = page.locator("#enhance-photo canvas").bounding_box()
    across = [box["x"] + x * box["width"] for x in xs]
    page.mouse.move(across[0], box["y"] + y * box["height"])
    page.mouse.down()
    for x in across[1:]:
        page.mouse.move(x, box["y"] + y * box["height"], steps=4)
    page.mouse.up()


def drawn(page: Any, seq: int) -> None:
    """Wait until the server has answered so many changes of the mask."""
    canvas = page.locator("#enhance-photo canvas")
    expect(canvas).to_have_attribute("data-seq", str(seq), timeout=PATIENCE)


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1280, 800, "light"), (1366, 768, "dark"), (390, 844, "dark")]
)
def test_a_sample_is_recoloured_on_one_screen(
    visit: Callable[..., Any], width: int, height: int, scheme: str
) -> None:
    page = visit(width, color_scheme=scheme, has_touch=True)
    page.set_viewport_size({"width": width, "height": height})
    tab(page, "Enhance")
    page.get_by_role("button", name="mug", exact=True).click()
    drawn(page, 0)
    says(page, "#enhance-photos", "1 photo, mug · change")
    page.locator("#enhance-edit").locator("input, textarea").first.fill("red 123")
    page.keyboard.press("Control+Enter")
    shows(page, "both")
    says(page, "#enhance-progress", "enhanced 1")
    page.keyboard.press("3")  # in the field of the edit, which has the focus
    shows(page, "both")
    page.locator("#enhance-photo [data-zoom=fit]").focus()
    for key, view in (("3", "result"), ("1", "mask")):
        page.keyboard.press(key)
        shows(page, view)
    boxes = {where: page.locator(where).bounding_box() for where in IN_SIGHT}
    if width > 1000:
        below = [name for name, box in boxes.items() if box["y"] + box["height"] > height]
        assert below == [] and page.evaluate("document.documentElement.scrollHeight") <= height
        assert boxes["#enhance-photo .frame"]["height"] > 0.4 * height
        assert boxes["#enhance-photo .frame"]["width"] > 0.6 * width
        with page.expect_download() as download:
            page.locator("#enhance-photo .download").click()
        assert read_image(Path(download.value.path())).rgb.shape == (256, 256, 3)
    else:
        tops = [boxes[where]["y"] for where in ("#enhance-photo .frame", "#enhance-strip")]
        assert tops == sorted(tops) and tops[-1] < boxes["#enhance-edit"]["y"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for where in ("#enhance-photo button", "#enhance-strip button"):
            sizes = page.locator(where).evaluate_all("a => a.map(b => b.offsetHeight)")
            assert min(sizes) >= 24
        page.get_by_role("button", name="Erase", exact=True).tap()
        page.locator("#enhance-photo canvas").tap()
        drawn(page, 1)
        says(page, "#enhance-strip", "painted by hand")
    assert serious(page) == []


def test_each_photo_keeps_its_result(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg", "12-gray-mug.jpg", "19-empty.jpg")
    small = page.locator("#enhance-strip button")
    edit = page.locator("#enhance-edit").locator("input, textarea").first
    edit.fill("red")
    says(page, "#enhance-go-all", "Re-render 2 photos")
    first = rerender(page, place, "#enhance-go-all")
    assert set(lines_of(first)) == {"04-teal-mug", "12-gray-mug"}
    shows(page, "both")
    small.nth(1).click()
    says(page, "#enhance-photo", "12-gray-mug · re-rendered: red")
    edit.fill("blue")
    edit.press("Enter")
    edit.press_sequentially("green")
    unfold(page, "#enhance-more", "#enhance-steps")
    choose(page, "#enhance-cutout", "on white")
    says(page, "#enhance-go", "Re-render this photo × 2")
    second = rerender(page, place)  # this one alone
    assert set(lines_of(second)) == {"12-gray-mug-blue", "12-gray-mug-green"}
    shows(page, "result")  # side by side
    variants = page.locator("#enhance-photo .variants > div")
    expect(variants).to_contain_text(["blue", "green"])
    assert all(variants.locator("img").evaluate_all("all => all.map(i => i.naturalWidth)"))
    variants.nth(1).locator("button").click()
    shows(page, "both")
    says(page, "#enhance-photo", "12-gray-mug · re-rendered: green")
    with page.expect_download() as download:
        page.locator("#enhance-photo figcaption .cutout").click()
    assert download.value.suggested_filename == "cutout-12-gray-mug-green.png"
    assert (read_image(Path(download.value.path())).rgb[0, 0] == 255).all()
    small.nth(0).click()
    says(page, "#enhance-photo", "04-teal-mug · re-rendered: red")
    page.locator("#enhance-seed-reuse").click()  # of this photo's result, not of the last job
    seed = str(yaml.safe_load((first / "run.yaml").read_text())["settings"]["run"]["seed"])
    expect(page.locator("#enhance-seed input")).to_have_value(seed)
    says(page, "#enhance-photo", f"red · seed {seed}")
    small.nth(2).click()
    says(page, "#enhance-photo", "19-empty · skipped: no 'mug' above")
    shows(page, "mask")
    page.locator("#enhance-go").click()
    says(page, "#enhance-answer", "nothing is left to re-render: lower the threshold")
    small.nth(1).click()
    shows(page, "both")
    expect(page.locator("#enhance-answer")).not_to_contain_text("nothing is left")
    page.get_by_role("button", name="Result").click()
    edit.fill("green, typed and not used")
    number(page, "#enhance-seed", 77)
    page.wait_for_function(
        """() => {  // the browser has kept what was typed: its storage rests for two seconds
            const now = JSON.stringify(localStorage);
            if (window.kept !== now) [window.kept, window.since] = [now, Date.now()];
            return Date.now() - window.since > 2000;
        }"""
    )

    page.reload()
    shows(page, "result")
    says(page, "#enhance-photo", "2 edits")
    expect(variants.first).to_be_visible()
    expect(small.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#enhance-strip .done")).to_have_count(2)
    expect(edit).to_have_value("green, typed and not used")
    expect(page.locator("#enhance-seed input")).to_have_value("77")

    tab(page, "Runs")
    page.locator(f'#runs-list [data-key="{second.name}"]').click()
    says(page, "#runs-head", "blue, green")
    says(page, "#runs-slider", "Cut-out")
    page.reload()
    says(page, "#runs-head", "blue, green")  # still open
    page.locator("#runs-use").click()
    says(page, "#enhance-said", f"From the run {second.name}: press Find")
    expect(edit).to_have_value("blue\ngreen")
    seed = str(yaml.safe_load((second / "run.yaml").read_text())["settings"]["run"]["seed"])
    expect(page.locator("#enhance-seed input")).to_have_value(seed)
    unfold(page, "#enhance-more", "#enhance-steps")
    expect(page.locator("#enhance-steps input[type=number]")).to_have_value("3")
    expect(page.locator("#enhance-cutout input")).to_have_value("on white")


def test_a_threshold_and_ticks_move_the_result_without_the_detector(page: Any, place: Path) -> None:
    find(page, "01-purple-sneaker.jpg", "04-teal-mug.jpg", "19-empty.jpg")
    says(page, "#enhance-photo", "04-teal-mug · 1 found")  # the first that is kept
    says(page, "#enhance-strip", "19-empty · skipped: no 'mug' above")
    says(page, "#enhance-facts", "kept 1")
    searches = len(list((place / "runs" / ".studio" / "found").iterdir()))
    number(page, "#enhance-threshold", 0.99)
    says(page, "#enhance-strip", "04-teal-mug · skipped: no 'mug' above 0.99; best 0.")
    unfold(page, "#enhance-more", "#enhance-command")
    command(page, "#enhance-command", "--set detect.box_threshold=0.99")
    first = page.locator("#enhance-strip button").first
    with held(page):  # whatever is answered last, the last choices count
        number(page, "#enhance-threshold", 0.42)
        first.click()
    expect(first).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    says(page, "#enhance-photo", "01-purple-sneaker · skipped")
    command(page, "#enhance-command", "--set detect.box_threshold=0.42")
    says(page, "#enhance-facts", "kept 1")
    page.locator("#enhance-strip button").nth(1).click()
    says(page, "#enhance-photo", "04-teal-mug · 1 found")
    page.locator("#enhance-ticks input").first.click()
    says(page, "#enhance-strip", "every instance was ticked off")
    page.locator("#enhance-ticks input").first.click()
    says(page, "#enhance-facts", "kept 1")
    assert len(list((place / "runs" / ".studio" / "found").iterdir())) == searches


def test_what_is_erased_and_painted_reaches_the_rerender(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg")
    canvas = page.locator("#enhance-photo canvas")
    pixel = """canvas => canvas.getContext('2d').getImageData(
        canvas.width * .45, canvas.height * .6, 1, 1).data[1]"""
    before = canvas.evaluate(pixel)
    page.get_by_role("button", name="Erase", exact=True).click()
    stroke(page, 0.6, 0.05, 0.95)
    drawn(page, 1)
    says(page, "#enhance-strip", "painted by hand")
    assert canvas.evaluate(pixel) < 0.8 * before  # what is out of the mask is dimmed
    page.get_by_role("button", name="Paint", exact=True).click()
    brush = page.locator("[name=brush]")
    page.keyboard.press("[")
    expect(brush).to_have_value("6")
    page.keyboard.press("]")
    width = canvas.bounding_box()["width"]
    page.mouse.move(*(canvas.bounding_box()[k] + 20 for k in "xy"))  # zoom in, near a corner
    page.mouse.wheel(0, -200)
    page.keyboard.press("+")
    assert canvas.bounding_box()["width"] > 1.5 * width
    stroke(page, 0.3, 0.85, 0.9)
    drawn(page, 2)
    before = canvas.bounding_box()["y"]
    page.mouse.move(400, 500)
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(400, 480)  # moves the photo
    page.mouse.up()
    page.keyboard.up(" ")
    assert canvas.bounding_box()["y"] == pytest.approx(before - 20)
    page.keyboard.press("0")
    assert canvas.bounding_box()["width"] == pytest.approx(width)
    page.get_by_role("button", name="Erase", exact=True).click()
    stroke(page, 0.2, 0.1, 0.9)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+Z")
    drawn(page, 6)

    folder = rerender(page, place)
    (line,) = lines_of(folder).values()
    assert line["status"] == "enhanced" and line["metrics"]["changed_outside"] == 0
    mask = mask_of(folder, line)
    height, width = mask.shape
    band = slice(round(0.59 * height), round(0.61 * height))
    assert not mask[band].any() and mask[: height // 2].any() and mask[round(0.7 * height) :].any()
    assert mask[round(0.3 * height), round(0.88 * width)]
    assert not mask[round(0.3 * height), round(0.97 * width)]
    assert mask[round(0.2 * height) : round(0.25 * height)].any()  # the undone stroke is not there
    source, result = (read_image(folder / line["files"][k]).rgb for k in ("source", "result"))
    wiped = band, slice(round(0.07 * width), round(0.93 * width))  # beside it, masks fade out
    assert np.array_equal(source[wiped], result[wiped]) and not np.array_equal(source, result)
    expect(page.locator("#enhance-control img")).to_be_visible(timeout=PATIENCE)

    page.reload()  # strokes outlive the page
    expect(canvas).to_have_attribute("data-seq", "6", timeout=PATIENCE)


def test_a_mask_is_painted_by_keyboard(page: Any, place: Path) -> None:
    find(page, "04-teal-mug.jpg")
    canvas = page.locator("#enhance-photo canvas")
    page.get_by_role("button", name="Erase", exact=True).press("Enter")
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        canvas.press(key)
    drawn(page, 1)
    says(page, "#enhance-strip", "painted by hand")
    page.get_by_role("button", name="Undo all").press("Enter")
    drawn(page, 2)
    says(page, "#enhance-strip", "1 found")
    expect(page.locator("#enhance-strip")).not_to_contain_text("painted", timeout=PATIENCE)
    page.keyboard.press("?")
    expect(page.locator("#enhance-photo .help")).to_contain_text("[ ] brush")


def test_an_instance_has_words_of_its_own(page: Any, place: Path) -> None:
    tab(page, "Enhance")
    only(page, "#enhance-classes", "chair")
    field = page.locator("#enhance-classes input")
    field.fill("car")
    field.press("Enter")
    field.press("Tab")
    says(page, "#enhance-classes", "car")
    find(page, "15-brown-chair-brown-car.jpg", "06-orange-car.jpg")
    page.locator("#enhance-strip button").filter(has_text="15-brown").click()
    labels = page.locator("#enhance-ticks label")
    expect(labels).to_have_count(2, timeout=PATIENCE)
    name = next(text for text in labels.all_inner_texts() if "car" in text)
    edit = page.locator("#enhance-edit").locator("input, textarea").first
    choose(page, "#enhance-whose", name.strip())
    edit.fill("blue")  # at once
    says(page, "#enhance-edit", "Edit of this one")
    says(page, "#enhance-go", "Re-render this photo")
    all_photos = page.locator("#enhance-go-all")
    expect(all_photos).to_be_hidden(timeout=PATIENCE)  # no other has an edit
    folder = rerender(page, place)
    (line,) = lines_of(folder).values()
    assert "blue car" in str(line["prompts"]) and "chair" not in str(line["prompts"])
    choose(page, "#enhance-whose", "all photos")
    expect(page.locator("#enhance-edit")).not_to_contain_text("of this one", timeout=PATIENCE)
    expect(edit).to_have_value("", timeout=PATIENCE)
    edit.fill("red")
    says(page, "#enhance-go-all", "Re-render 2 photos")


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
    page.locator("#enhance-strip button").nth(1).click()
    says(page, "#enhance-photo", "19-empty · skipped: no 'mug' above")
    unfold(page, "#enhance-more", "#enhance-keep")
    choose(page, "#enhance-cutout", "on a picture")
    page.locator("#enhance-keep").click()
    says(page, "#enhance-kept", "no picture behind the product: choose one")
    page.locator("#enhance-cutout-picture input[type=file]").set_input_files(PHOTOS / "20-ball.jpg")
    says(page, "#enhance-cutout-picture", "20-ball")
    page.locator("#enhance-keep").click()
    says(page, "#enhance-kept", "1 kept, 2 skipped")
    run = run_of(place, command(page, "#enhance-command", "-chosen-"))
    assert [path.name for path in (run / "cutouts").iterdir()] == ["04-teal-mug.png"]
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
    expect(page.locator("#enhance-files tr.file")).to_have_count(0, timeout=PATIENCE)
    page.locator("#enhance-find").click()
    expect(page.locator("#enhance-strip button")).to_have_count(1, timeout=PATIENCE)
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
    expect(page.locator("#enhance-answer [role=alert]")).to_be_in_viewport(ratio=1)
    expect(page.locator("#enhance-said")).not_to_contain_text(re.compile("drop some"))
