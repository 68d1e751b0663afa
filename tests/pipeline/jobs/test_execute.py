"""Runs without a model: what is counted, and where a run may be written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visuals.configs.errors import RunFolderError
from visuals.configs.schema import load_settings
from visuals.pipeline.images.write import encode_png
from visuals.pipeline.jobs.dry_run import dry_run
from visuals.pipeline.jobs.execute import RunResult, open_run, run_plan
from visuals.pipeline.jobs.plan import plan_shots
from visuals.pipeline.jobs.reporter import Reporter
from visuals.pipeline.jobs.request import RunRequest
from visuals.pipeline.jobs.resolve import ResolvedRequest


def copied(photos: list[str], out: Path, *links: str) -> RunResult:
    """Run photos through no stage, while links are put where pictures would be written."""
    resolved = of_photos(photos, out)
    plan = plan_shots(resolved, Reporter())
    with open_run(plan, Reporter()) as folder:
        for name in links:
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).symlink_to(out.parent / "elsewhere")
        return run_plan(plan, folder, Reporter(), lambda: False)


def of_photos(photos: list[str], out: Path) -> ResolvedRequest:
    request = RunRequest(command="filter", inputs=photos, classes=["mug"], out=str(out))
    return ResolvedRequest(request, load_settings(), ("mug",), ())


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        path.write_bytes(encode_png(np.full((8, 8, 3), ord(path.stem), np.uint8)))
    return list(map(str, paths))


def test_pictures_that_cannot_be_written_count_as_failed(photos: list[str], tmp_path: Path) -> None:
    result = copied(photos, tmp_path / "one", "images/b.png")
    summary = result.summary
    assert (summary.kept, summary.failed, summary.resumed) == (1, 1, 0) and not result.failed
    assert summary.errors[0].startswith("b: write: OutsideError: ")
    assert [record.status for record in result.records()] == ["kept", "failed"]
    result = copied(photos, tmp_path / "none", "images/a.png", "images/b.png")
    assert (result.summary.kept, result.summary.failed) == (0, 2) and result.failed


def test_a_dry_run_refuses_a_folder_that_is_no_run(photos: list[str], tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is no run folder"):
        dry_run(of_photos(photos, tmp_path), Reporter())
