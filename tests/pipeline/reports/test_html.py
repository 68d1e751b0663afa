"""The HTML report of a run, and the overlays in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from helpers.stand_ins import STAGES, prompted

from visuals.pipeline.reports import html
from visuals.pipeline.reports.html import write_report
from visuals.pipeline.reports.overlay import overlay
from visuals.pipeline.runner.run import run_shots
from visuals.pipeline.runs.folder import RunFolder
from visuals.stages.shot import Detection


def recorded(path: Path) -> RunFolder:
    folder = RunFolder(path, request={}, settings={})
    shots = [prompted("a/even", 2), prompted("odd", 1), prompted("bad", 13)]
    for shot in run_shots(shots, STAGES, batch_size=1):
        folder.record(shot)
    return folder


def test_a_report_needs_no_other_file(tmp_path: Path) -> None:
    page = write_report(recorded(tmp_path / "run").path, title="<mugs & more>").read_text()
    assert "&lt;mugs &amp; more&gt;" in page and "<mugs" not in page
    assert page.count("data:image/") == 5  # source ×2, found, result, its source
    assert 'src="http' not in page and "url(" not in page and "<script" not in page
    for text in ("no 'mug' above 0.35; best 0.22", "out of paint", "edges kept 0.80", "a/even"):
        assert text.replace("'", "&#39;") in page


def test_a_report_of_an_empty_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", request={}, settings={})
    assert "No picture" in write_report(folder.path).read_text()


def test_a_long_run_is_cut_and_says_so(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run")
    page = html.render(folder.path, [folder.done["bad"]] * 401, title="long")
    assert page.count("<article") == html.MAX_SHOTS == 400
    assert "The first 400 of 401 are shown; manifest.jsonl beside this page has all." in page


def test_a_lost_mask_leaves_the_boxes(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run").path
    (folder / "masks" / "a" / "even.png").unlink()
    page = write_report(folder).read_text()
    assert "a/even, found" in page and "mug 0.90" in page


def test_an_overlay_dims_what_is_outside_and_keeps_the_colour_of_what_is_masked() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    out = overlay(image, [Detection((4, 4, 12, 12), 0.9, "mug", mask)], longest=384)
    assert out.shape == (384, 384, 3)
    assert (out[383, 0] <= 70).all() and np.abs(out[192, 192].astype(int) - 100).max() <= 15
    assert (out[95:97, 192] != out[192, 192]).any()  # its outline
    assert (image == 100).all()


def test_an_overlay_without_masks_dims_nothing() -> None:
    image = np.full((16, 32, 3), 100, np.uint8)
    out = overlay(image, [Detection((4, 4, 12, 12), 0.9, "mug")], longest=64)
    assert out.shape == (32, 64, 3)
    assert (out[31, 63] == 100).all() and not (out == 100).all()
