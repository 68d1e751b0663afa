"""Narrow models of random weights, and the writer of A1111's files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from visuals.checkpoints import known


@pytest.fixture(scope="session")
def a1111() -> Any:
    """tests/a1111_files.py."""
    path = Path(__file__).parents[1] / "a1111_files.py"
    spec = importlib.util.spec_from_file_location("a1111_files", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest, a1111: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A family whose known configuration is narrow for the length of a test."""
    monkeypatch.setitem(known.COMPONENTS, request.param, a1111.narrow(request.param))
    return str(request.param)
