"""Small random models of each family, written once."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import tiny_flux, tiny_qwen


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux.write(folder)
    return folder


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    tiny_qwen.write(folder)
    return folder
