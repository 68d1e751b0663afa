"""What the tests of runs share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import reference_run as reference_runs
from helpers.reference_run import ReferenceRun


@pytest.fixture(scope="session")
def reference_run(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> ReferenceRun:
    return reference_runs.make(tmp_path_factory.mktemp("reference"))
