"""Instructions of instances for an edit model in stage 3, made of edits."""

from __future__ import annotations

import re

from ..shot import Detection, Shot
from .instance_prompts import InstancePrompts

INSTRUCTION = "Make the {class} {edit}. Keep its shape, its place and all else as they are."
"""What becomes of an edit such as "green leather"."""
_VERBS = frozenset({
    "add", "apply", "attach", "change", "convert", "draw", "dye", "engrave", "erase", "give",
    "keep", "make", "move", "paint", "place", "print", "put", "recolor", "recolour", "remove",
    "render", "replace", "restyle", "rotate", "swap", "take", "transform", "turn", "write",
})  # fmt: skip
"""First words of an edit that is an instruction itself."""
_LORA_TAG = re.compile(r"<lora:[^>]*>")


class EditInstructions(InstancePrompts):
    """`InstancePrompts` whose template is an instruction with {class} and {edit}.

    An edit that is an instruction itself ("make the bag green") stands in place of the template.
    Without an edit an instance stays as it is, unless its template has no {edit}.
    """

    def prompt(self, shot: Shot, found: Detection, number: int) -> str | None:
        edit = self.edit(shot, found)
        template = found.prompt or self.prompts.get(found.label, self.template)
        if not edit and "{edit}" in template:
            return None
        if is_instruction(edit):
            template = " ".join(["{edit}", *_LORA_TAG.findall(template)])
        return self.filled(template, edit, shot, found, number)

    def asks_for_change(self, shot: Shot, found: Detection) -> bool:
        """Whatever is drawn has an instruction."""
        return True


def is_instruction(edit: str) -> bool:
    """Whether an edit says what to do, and not what the product becomes.

    >>> is_instruction("make the bag green"), is_instruction("green leather")
    (True, False)
    """
    first = re.match(r"\W*(\w+)", edit)
    return first is not None and first[1].lower() in _VERBS
