"""`visuals classes`, completion in the shell, and models pulled by preset."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from helpers.command_line import checked

from visuals.pipeline.cli import main

pytestmark = pytest.mark.usefixtures("mini")


def test_classes_with_their_other_names() -> None:
    known = json.loads(checked("classes", "--json").stdout)
    assert known["classes"]["sneaker"] == ["shoe"] and not known["any_other"]
    assert "sneaker        shoe\n" in checked("classes").stdout
    roads = checked("classes", "--preset", "roads")
    assert "truck, lorry" in roads.stdout and "any other words" in roads.stderr


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("visuals run --preset sdxl", {"sdxl", "sdxl-fast", "sdxl-refined"}),
        ("visuals filter --class s", {"sneaker"}),
        ("visuals config show --preset m", {"mini"}),
        ("visuals cl", {"classes"}),
    ],
)
def test_the_shell_completes(words: str, completions: set[str]) -> None:
    number = str(len(words.split()) - 1)
    variables = {"_VISUALS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
    printed = CliRunner().invoke(main, [], env=variables, prog_name="visuals").stdout
    assert {line.partition(",")[2] for line in printed.splitlines()} == completions


def test_the_models_of_a_preset_are_pulled() -> None:
    assert checked("checkpoints", "pull", "--preset", "mini").stdout.endswith(
        "all models are here\n"
    )
    assert "HF_HUB_OFFLINE" in checked("checkpoints", "pull", "--preset", "sd15", code=1).stderr
    assert "expected one" in checked("checkpoints", "pull", "x", "--preset", "mini", code=2).stderr
