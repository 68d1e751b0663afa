"""Edits become instructions for an edit model."""

from __future__ import annotations

import pytest

from visuals.stages.prompts.edit_instructions import INSTRUCTION, EditInstructions
from visuals.stages.shot import Detection, FileInput, Prompted, Shot

KEEP = "Keep its shape, its place and all else as they are."


@pytest.mark.parametrize(
    ("edit", "own", "expected"),
    [
        ("green leather", "", f"Make the bag green leather. {KEEP}"),
        ("make the {class} green", "", "make the bag green"),
        ("Remove the label <lora:x:0.5>", "", "Remove the label <lora:x:0.5>"),
        ("", "", None),
        ("", "paint it blue", "paint it blue"),
        ("red", "Give the {class} a {edit} strap", "Give the bag a red strap"),
        ("red", "[SKIP]", None),
    ],
)
def test_an_edit_becomes_an_instruction(edit: str, own: str, expected: str | None) -> None:
    found = Detection((0, 0, 4, 4), 0.9, "bag", prompt=own, edit=edit)
    for source in (FileInput("a.png", 1), Prompted("a bag <lora:look:1>", "", 1)):
        assert (
            EditInstructions(INSTRUCTION).prompt(Shot("a", source, ("bag",)), found, 0) == expected
        )


def test_an_instruction_keeps_the_loras_of_its_template() -> None:
    prompts = EditInstructions(f"{INSTRUCTION} <lora:kontext-x:0.8>")
    shot = Shot("a", FileInput("a.png", 1), ("bag",), edit="turn it into glass")
    found = Detection((0, 0, 4, 4), 0.9, "bag")
    assert prompts.prompt(shot, found, 0) == "turn it into glass <lora:kontext-x:0.8>"
    assert prompts.asks_for_change(shot, found)
