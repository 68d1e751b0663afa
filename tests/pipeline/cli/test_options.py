"""Options that several commands share."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from visuals.pipeline.cli.options import apply


@pytest.mark.parametrize(("given", "said"), [("-1", r"visuals: seed (\d+)\n(\d+)\n"), ("7", "7\n")])
def test_seed_minus_one_is_random_and_printed(given: str, said: str) -> None:
    @click.command()
    @apply("seed")
    def command(seed: int) -> None:
        click.echo(seed)

    found = re.fullmatch(said, CliRunner().invoke(command, ["--seed", given]).output)
    assert found is not None and len(set(found.groups())) <= 1
