"""The examples in the docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest
from helpers import source

OPTIONAL = {"gradio", "fastapi", "s3fs", "gcsfs", "pycocotools", "numba", "ray"}
"""Packages of the extras, without which a module's examples are left out."""
WITH_EXAMPLES = [
    name
    for name, path in source.modules().items()
    if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def test_examples_are_found() -> None:
    assert len(WITH_EXAMPLES) > 30 and {"visuals", "visuals.stages.classes"} <= set(WITH_EXAMPLES)


def test_every_public_name_is_there() -> None:
    import visuals

    for name in visuals.__all__:
        assert getattr(visuals, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        visuals.nothing  # noqa: B018
