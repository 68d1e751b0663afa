"""Narrow models of random weights, and the writer of A1111's files."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import a1111_files

from visuals.checkpoints import reference_configs


@pytest.fixture(scope="session")
def a1111() -> Any:
    """tests/a1111_files.py."""
    return a1111_files


@pytest.fixture(params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A family whose known configuration is narrow for the length of a test."""
    monkeypatch.setitem(
        reference_configs.read(request.param), "components", a1111_files.narrow(request.param)
    )
    return str(request.param)
