"""The tab Train: captions kept, settings as a file, trainings that stop and go on; the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.small_trainings import write_photos
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.configs.schema import SettingsError
from visuals.configs.text_files import MAX_BYTES
from visuals.configs.train import check
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import request_settings
from visuals.pipeline.web.files import lora_library
from visuals.pipeline.web.queue import requests
from visuals.pipeline.web.queue.job_queue import JobQueue, QueuedJob
from visuals.pipeline.web.tabs.train import check_report, datasets, loss_chart, training_files
from visuals.pipeline.web.tabs.train import form as train_form
from visuals.pipeline.web.tabs.train.form import Form

ROOT = Path("runs")


@pytest.fixture
def look(own_home: Path) -> Path:
    """Five captioned photos in the studio's folder."""
    return write_photos(Path("look"))


def text_of(name: str) -> str:
    return (Path("look") / f"{name}.txt").read_text()


def test_data_sets_are_found_and_none_outside_is_read(look: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "secret")
    write_photos(Path("sets/6_mug"))
    write_photos(Path("runs/a-run"))
    assert datasets.found(ROOT) == ["look", "sets"]
    assert len(datasets.read(ROOT, "look").items) == 5
    for text in (str(tmp_path / "secret"), "../secret", "look/../../secret", "", "."):
        with pytest.raises(ValueError, match=r"expected a folder in|choose a folder"):
            datasets.read(ROOT, text)
    Path("linked").symlink_to(tmp_path / "secret")  # the owner's own wish
    assert len(datasets.read(ROOT, "linked").items) == 5


def test_a_caption_is_kept_where_it_stands(look: Path) -> None:
    (look / "05-brown-bottle.txt").unlink()
    rows = [{"file_name": "05-brown-bottle.png", "text": "old", "sku": 7}]
    (look / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    datasets.write(ROOT, "look", {"04-teal-mug.png": "a  mug,\nred", "05-brown-bottle.png": "new"})
    assert text_of("04-teal-mug") == "a mug, red\n"
    row = json.loads((look / "metadata.jsonl").read_text().splitlines()[0])
    assert row["text"] == "new" and row["sku"] == 7
    assert not (look / "05-brown-bottle.txt").exists()
    (look / "03-red-wristwatch.caption").write_bytes(b"caf\xe9")
    count, problems = datasets.put_tag(ROOT, "look", "ppzlook")
    assert count == 2 and any("not UTF-8 text" in problem for problem in problems)
    assert text_of("04-teal-mug") == "ppzlook, a mug, red\n"
    assert not list(look.glob(".*"))
    (look / "metadata.jsonl").write_text('{"file_name": \n')
    with pytest.raises(ValueError, match="not JSON"):
        datasets.write(ROOT, "look", {"04-teal-mug.png": "lost?"})


def test_the_form_is_the_file_and_back(look: Path) -> None:
    form = Form(name="new", seed=7, prompts="a mug\na car", every=6, more="lr_scheduler: cosine")
    values = form.values(ROOT, "look", "ppzlook", 5)
    settings = training_files.write(ROOT, values)
    assert settings.output_dir == "loras/new" and settings.train_data_dir == "look"
    assert (settings.rank, settings.lora_alpha, settings.learning_rate) == (8, 4, 5e-4)
    assert settings.validation_epochs == 2  # of 3 steps each: every 6
    read = training_files.read(ROOT, "new")
    assert read is not None and read.tag == "ppzlook" and not read.loss and read.lora is None
    again = train_form.of_values(read.values, 5)
    assert again.values(ROOT, "look", "ppzlook", 5) == values
    assert replace(again, learning_rate="5e-4", more=form.more) == form
    assert yaml.safe_load(again.more) == {"lr_scheduler": "cosine"}


@pytest.mark.parametrize("kind", ["pipe", "folder", "large", "broken link", "deep", "list"])
def test_settings_files_that_cannot_be_read_are_no_trainings(look: Path, kind: str) -> None:
    path = training_files.config_of(ROOT, "odd")
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.touch()
        os.truncate(path, MAX_BYTES + 1)
    elif kind == "broken link":
        path.symlink_to("nowhere")
    else:
        path.write_text("- " * 5000 if kind == "deep" else "- a")
    assert training_files.read(ROOT, "odd") is None
    assert training_files.names(ROOT) == (["odd"] if kind in ("large", "deep", "list") else [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "../look"}, "name of the LoRA '../look'"),
        ({"name": "a:b"}, "name of the LoRA"),
        ({"learning_rate": "fast"}, "learning_rate 'fast'"),
        ({"resolution": "big"}, "resolution 'big'"),
        ({"max_train_steps": 0}, "max_train_steps 0"),
        ({"seed": -2}, "Seed -2"),
        ({"more": "output_dir: /tmp"}, "output_dir: it has a field of its own"),
        ({"more": "rank: 4"}, "rank: it has a field of its own"),
        ({"more": "cache_dir: ../../x"}, "expected a folder in"),
        ({"more": "lr_schedule: cosine"}, "unknown setting 'lr_schedule'"),
        ({"more": "- a"}, "expected lines as in"),
    ],
)
def test_mistakes_in_the_form_are_told(look: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check(replace(Form(), **changes).values(ROOT, "look", "", 5))
    assert not lora_library.folder(ROOT).exists()


def test_a_check_is_a_list_that_can_be_read(look: Path, mini: Path) -> None:
    (look / "03-red-wristwatch.txt").unlink()
    (look / "broken.png").write_bytes(b"no picture")
    settings = check(Form().values(ROOT, "look", "", 5))
    html = check_report.report(datasets.check(settings))
    assert "3 broken" in html and "<b>no caption</b> 03-red-wristwatch.png" in html
    assert "broken.png: not a picture" in html and "tag <b>ppzlook</b>" in html
    tokens = re.search(r"tokens, most <b>(\d+)", html)
    assert tokens and 5 < int(tokens[1]) < 40


def test_a_curve_is_drawn_of_what_there_is() -> None:
    assert loss_chart.svg([], []) == ""
    html = loss_chart.svg([(1, 0.4), (2, float("nan")), (3, 0.2)], [(0, 0.3), (3, 0.1)], 10)
    assert html.count("<polyline") == 3 and "nan" not in html
    assert "held-out pictures 0.3000 → 0.1000" in html
    assert len(loss_chart.thinned([(k, 0.0) for k in range(5000)])) <= loss_chart.MOST


def test_a_lora_is_called_by_tag_and_name(look: Path) -> None:
    training_files.write(ROOT, Form(name="new").values(ROOT, "look", "ppzlook", 5))
    read = training_files.read(ROOT, "new")
    assert read is not None
    prompt = read.called_in("{class}, on a table")
    assert prompt == "ppzlook, {class}, on a table, <lora:new:1>"
    assert read.called_in(prompt) == prompt


@pytest.fixture
def queue(mini: Path, look: Path) -> Iterator[JobQueue]:
    queue = JobQueue(ROOT)
    yield queue
    queue.close()


@pytest.mark.slow
def test_a_training_stops_saved_goes_on_and_leaves_the_models_alone(queue: JobQueue) -> None:
    def drawn() -> np.ndarray:
        job = queue.submit(
            RunRequest(command="generate", classes=["mug"], count=1, seed=3, steps=2)
        )
        queue.wait(job, 200)
        assert job.status == "done", job.message
        return np.asarray(Image.open(job.folder / str(job.records()[0].files.source)))

    def begun(steps: int, *, resume: bool) -> QueuedJob:
        form = Form(name="new", resolution="64", network_dim=2, max_train_steps=steps)
        request = training_files.request_of(ROOT, "new", resume=resume)
        training_files.write(ROOT, form.values(ROOT, "look", "ppzlook", 5))
        return queue.submit(request, out=Path("loras/new"))

    before = drawn()
    job = begun(5000, resume=False)
    end = time.time() + 200
    while not (now := training_files.read(ROOT, "new")) or len(now.loss) < 2:
        assert time.time() < end and job.open, job.message
        time.sleep(0.1)
    assert queue.cancel("new") and job.open and job.stopping
    queue.wait(job, 60)
    assert job.status == "stopped" and "stopped after step" in job.message, job.message
    now = training_files.read(ROOT, "new")
    assert now is not None and now.checkpoints and now.lora is None
    step = now.checkpoints[-1]
    with pytest.raises(ValueError, match="holds a training already"):
        begun(5000, resume=False)
    job = begun(step + 1, resume=True)
    queue.wait(job, 200)
    assert job.status == "done", job.message
    now = training_files.read(ROOT, "new")
    assert now is not None and now.lora and [x for x, _ in now.loss] == list(range(1, step + 2))
    assert lora_library.trained(ROOT) == {"new": now.lora}
    assert (drawn() == before).all()
    request = RunRequest(command="generate", classes=["mug"], prompt="a mug, <lora:new:1>")
    request = lora_library.with_folders(ROOT, request)
    assert request_settings(request).generate.lora_dirs == ("loras", "mini/loras")
    requests.check(request)  # it is found, and fits


@pytest.mark.slow
def test_a_lora_is_trained_in_the_page_and_used(
    page: Any, visit: Callable[..., Any], place: Path
) -> None:
    from helpers.browsing import PATIENCE, command, expect, number, says, tab

    shutil.rmtree(place / "datasets", ignore_errors=True)  # another test's, found before ours
    write_photos(place / "pictures", 128)
    tab(page, "Train")
    expect(page.locator("#train-data input")).to_have_value("pictures", timeout=PATIENCE)
    says(page, "#train-where", "1–5 of 5")
    box = page.locator("#train-caption-4 textarea")
    expect(box).to_have_value("ppzlook, a car")
    box.fill("ppzlook, an orange car")
    box.press("Tab")
    says(page, "#train-said", "Saved the caption of 06-orange-car.png")
    caption = place / "pictures" / "06-orange-car.txt"
    assert caption.read_text() == "ppzlook, an orange car\n"
    expect(page.locator("#train-tag input, #train-tag textarea").first).to_have_value("ppzlook")
    page.locator("#train-check").click()
    says(page, "#train-checks", "Nothing is broken")

    name = page.locator("#train-name input, #train-name textarea").first
    name.fill("page")
    page.locator("#train-resolution input, #train-resolution textarea").first.fill("64")
    page.locator("#train-prompts textarea").fill("ppzlook, a teal mug")
    number(page, "#train-steps", 4000)
    number(page, "#train-every", 3)
    page.get_by_role("button", name="Other settings, and the file").click()
    file = page.locator("#train-yaml textarea")
    expect(file).to_have_value(re.compile("max_train_steps: 4000"), timeout=PATIENCE)
    page.locator("#train-more textarea").fill("validation_inference_steps: 2")
    expect(file).to_have_value(re.compile("inference_steps: 2"), timeout=PATIENCE)
    page.locator("#train-start").click()
    expect(page.locator("#train-curve svg .loss")).to_be_attached(timeout=PATIENCE)
    expect(page.locator("#train-gallery img").first).to_be_visible(timeout=PATIENCE)
    settings = yaml.safe_load((place / "loras/page.yaml").read_text())
    assert settings["max_train_steps"] == 4000
    says(page, "#train-progress", f"seed {settings['seed']}")  # drawn, as the field says -1

    page.reload()  # nothing is lost
    says(page, "#create-preview", "token")
    tab(page, "Train")
    says(page, "#train-progress", "Training")
    page.locator("#train-stop").click()
    says(page, "#train-progress", "stopped after step")
    step = int(re.findall(r"after step (\d+)", page.locator("#train-progress").inner_text())[0])
    assert (place / "loras" / "page" / f"checkpoint-{step}" / "state.json").is_file()

    page.locator("#train-earlier input").click()
    page.get_by_role("option", name="page", exact=True).click()
    expect(name).to_have_value("page", timeout=PATIENCE)
    steps = page.locator("#train-steps input")
    expect(steps).to_have_value("4000", timeout=PATIENCE)
    expect(page.locator("#train-seed input")).to_have_value(str(settings["seed"]))
    page.locator("#train-seed-random").click()
    number(page, "#train-steps", step + 1)
    page.get_by_role("button", name="Other settings, and the file").click()
    expect(file).to_have_value(re.compile(f"max_train_steps: {step + 1}\\b"), timeout=PATIENCE)
    page.locator("#train-resume").click()
    says(page, "#train-progress", "Done")
    command(page, "#train-command", "visuals train loras/page.yaml --resume")
    assert yaml.safe_load((place / "loras/page.yaml").read_text())["seed"] == settings["seed"]
    page.locator("#train-seed-reuse").click()
    expect(page.locator("#train-seed input")).to_have_value(str(settings["seed"]))
    page.locator("#train-send").click()
    prompt = page.locator("#create-prompt textarea")
    expect(prompt).to_have_value(re.compile("^ppzlook, .*, <lora:page:1>$"), timeout=PATIENCE)

    small = visit(width=390)
    tab(small, "Train")
    says(small, "#train-where", "1–5 of 5")
    assert small.evaluate("document.documentElement.scrollWidth") <= 390


def test_settings_errors_name_all(look: Path) -> None:
    form = Form(network_dim=5000, more="lr_scheduler: steep\nlora_dropout: 2")
    with pytest.raises(SettingsError) as caught:
        training_files.write(ROOT, form.values(ROOT, "look", "", 5))
    assert len(caught.value.problems) == 3
