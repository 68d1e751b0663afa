"""The fields of cut-outs as a request, and from a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")

from visuals.configs.errors import UsageError
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.web.widgets import cutout_box
from visuals.pipeline.web.widgets.cutout_box import PICTURE

PHOTO = Path(__file__).resolve().parents[4] / "samples" / "photos" / "20-ball.jpg"


@pytest.mark.parametrize("cutout", ["", "transparency", "white", "#f0f0f0"])
def test_a_run_gives_the_field_back(cutout: str) -> None:
    request = RunRequest(classes=["mug"], **cutout_box.fields(cutout))
    assert request.cuts_out == bool(cutout)
    options = request.model_dump(include={"cutout", "background"})
    assert cutout_box.value_of(options) == (cutout, [])


@pytest.mark.parametrize("cutout", ["/etc/passwd", "no such colour", "photo.jpg"])
def test_what_is_typed_is_a_colour_and_no_path(cutout: str) -> None:
    with pytest.raises(UsageError, match="expected a colour, as in white"):
        cutout_box.fields(cutout)


def test_a_picture_that_was_uploaded_is_copied_and_its_name_comes_back(tmp_path: Path) -> None:
    request = RunRequest(classes=["mug"], **cutout_box.fields(PICTURE))
    with pytest.raises(UsageError, match="no picture behind the product: choose one"):
        cutout_box.with_picture(tmp_path, request, PICTURE, None)
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(UsageError, match="not a picture"):
        cutout_box.with_picture(tmp_path, request, PICTURE, str(tmp_path / "a.jpg"))
    sent = shutil.copy(PHOTO, tmp_path / "studio.jpg")
    behind = cutout_box.with_picture(tmp_path, request, PICTURE, str(sent)).background
    assert behind and Path(behind).is_relative_to(tmp_path / ".studio" / "uploads")
    value, notes = cutout_box.value_of({"background": behind})
    assert value == PICTURE and notes == ["choose the picture behind the product again: studio.jpg"]
