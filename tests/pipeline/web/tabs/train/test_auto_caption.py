"""Photos dropped on the tab Train become a captioned data set, by the command line's own BLIP."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from visuals.pipeline.web.queue.job_queue import BusyError, JobQueue
from visuals.pipeline.web.queue.requests import in_folder
from visuals.pipeline.web.tabs.train import auto_caption, datasets

ROOT = Path("runs")
PHOTOS = Path(__file__).resolve().parents[5] / "samples" / "photos"


@pytest.fixture
def sent(own_home: Path) -> list[str]:
    """What a browser sent: a photo, a zip of two, and no picture."""
    folder = Path("sent")
    folder.mkdir()
    one, two, three = sorted(PHOTOS.glob("*.jpg"))[:3]
    shutil.copy(one, folder / one.name)
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(two, f"deep/{two.name}")
        archive.write(three, three.name)
    (folder / "notes.txt").write_text("no picture")
    return [str(folder / name) for name in (one.name, "more.zip", "notes.txt")]


def test_photos_that_were_sent_are_a_data_set(sent: list[str]) -> None:
    name, refused = auto_caption.take(ROOT, sent)
    assert re.fullmatch(r"datasets/photos-[\w-]+", name)
    assert name in datasets.found(ROOT)
    assert len(datasets.read(ROOT, name).items) == 3
    assert len(refused) == 1 and "notes.txt: expected a picture" in refused[0]
    assert auto_caption.take(ROOT, sent[2:]) == ("", refused)
    assert datasets.found(ROOT) == [name, "sent"]


def test_the_command_is_the_command_lines(sent: list[str]) -> None:
    name, _ = auto_caption.take(ROOT, sent)
    request = auto_caption.request_of(ROOT, name, " ppzlook, ", "mini")
    assert str(request) == f"visuals dataset caption {name} --preset mini --tag ppzlook"
    assert in_folder(request, ROOT / "x") == request
    with pytest.raises(ValueError, match="expected a folder in"):
        auto_caption.request_of(ROOT, "../elsewhere", "", "mini")


@pytest.fixture
def queue(mini: Path, sent: list[str]) -> Iterator[JobQueue]:
    queue = JobQueue(ROOT)
    yield queue
    queue.close()


@pytest.mark.slow
def test_captions_are_written_and_those_there_are_kept(queue: JobQueue, sent: list[str]) -> None:
    name, _ = auto_caption.take(ROOT, sent)
    first = datasets.read(ROOT, name).items[0]
    first.path.with_suffix(".txt").write_text("ppzlook, my own words\n")
    request = auto_caption.request_of(ROOT, name, "ppzlook", "mini")
    job = auto_caption.submit(queue, request)
    with pytest.raises(BusyError, match="is being worked on"):
        auto_caption.submit(queue, request)
    queue.wait(job, 300)
    assert job.status == "done", job.message
    assert job.stages == {"caption": (2, 2)}
    now = {item.name: item.text for item in datasets.read(ROOT, name).items}
    assert now.pop(first.name) == "ppzlook, my own words"
    for photo, text in now.items():
        shown = set(photo.removesuffix(".jpg").split("-"))
        assert text.startswith("ppzlook, a") and shown & set(text.split()), text


@pytest.mark.slow
def test_captions_come_in_the_page(page: Any, place: Path) -> None:
    from helpers.browsing import PATIENCE, expect, says, tab

    photos = [str(p) for p in sorted(PHOTOS.glob("*.jpg"))[:2]]
    tab(page, "Train")
    page.get_by_role("button", name="Photos without captions").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#train-photos").click()
    chooser.value.set_files(photos)
    data = page.locator("#train-data input")
    expect(data).to_have_value(re.compile("datasets/photos-"), timeout=PATIENCE)
    says(page, "#train-where", "1–2 of 2")
    page.locator("#train-tag input, #train-tag textarea").first.fill("ppzlook")
    page.locator("#train-describe-start").click()
    box = page.locator("#train-caption-0 textarea")
    expect(box).to_have_value(re.compile("^ppzlook, a .*sneaker"), timeout=PATIENCE)
    says(page, "#train-describe-progress", "Done")
    folder = place / data.input_value()
    assert len(list(folder.glob("*.txt"))) == 2
