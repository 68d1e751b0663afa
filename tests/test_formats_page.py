"""docs/formats.md lists the formats that the program has."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

from visuals.checkpoints.formats import pickles
from visuals.pipeline.exports import annotate, training_set
from visuals.pipeline.images import read, write
from visuals.pipeline.inputs import prompt_table
from visuals.training.catalog_import import product_catalog
from visuals.training.datasets import captions

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
COLUMNS = ("read", "written", "refused")


def named(row: str, column: str) -> set[str]:
    """The words in code of one cell of the table."""
    (line,) = (x for x in PAGE.read_text().splitlines() if x.startswith(f"| {row} |"))
    cell = line.strip("|").split("|")[1 + COLUMNS.index(column)]
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize(
    ("row", "column", "formats"),
    [
        ("Photos", "read", read.ENDINGS),
        ("Photos", "written", typing.get_args(typing.get_type_hints(write.Format)["name"])),
        ("Prompt tables", "read", prompt_table.TABLES),
        ("Product catalogues", "read", product_catalog.ENDINGS),
        ("Captions", "read", captions.ENDINGS),
        ("Training sets of a run", "written", training_set.FORMATS),
        ("Annotations", "written", annotate.FORMATS),
        ("Models", "read", (*pickles.SUFFIXES, ".safetensors", "--allow-pickle")),
    ],
)
def test_the_table_names_every_format(row: str, column: str, formats: tuple[str, ...]) -> None:
    assert named(row, column) == set(formats)
