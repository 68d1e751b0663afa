"""Prompts of instances in stage 3: templates by class, edits, choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..shot import Detection, Prompted, Shot
from . import dynamic_prompts
from .lora_tags import parse, take_out

SKIP = "[SKIP]"
"""A prompt that leaves its instance as it is, as in ADetailer."""


@dataclass(frozen=True)
class InstancePrompts:
    """Prompts by class, in which [SEP] separates instances and [SKIP] leaves one as it is.

    Args:
        template: the prompt of classes without their own, with {class} and {edit}; choices (see
            `dynamic_prompts`) are drawn by an instance's seed: the shot's plus its number.
        prompts: templates by class.
        edits: edits by class, for shots without their own.
        negative_prompt: for all.
        wildcards: entries of `__name__`, by name.
        own_template: whether the template is stage 3's own, not stage 1's prompt.
        same_model: whether stage 3 draws with the model of stage 1, for which the LoRAs in the
            prompts of pictures are.
    """

    template: str
    prompts: Mapping[str, str] = field(default_factory=dict)
    edits: Mapping[str, str] = field(default_factory=dict)
    negative_prompt: str = ""
    wildcards: dynamic_prompts.Wildcards = field(default_factory=dict)
    own_template: bool = False
    same_model: bool = True

    def prompt(self, shot: Shot, found: Detection, number: int) -> str | None:
        """The prompt of the instance of that number, from 0; None: it stays as it is."""
        label, edit = found.label, self.edit(shot, found)
        plain = not (edit or found.prompt or label in self.prompts)
        if plain and isinstance(shot.source, Prompted) and len(shot.classes) == 1:
            return shot.source.prompt if self.same_model else parse(shot.source.prompt)[0]
        template = found.prompt or self.prompts.get(label, self.template)
        return self.filled(template, edit, shot, found, number)

    def edit(self, shot: Shot, found: Detection) -> str:
        """The edit of an instance: its own, the shot's or its class's."""
        return found.edit or shot.edit or self.edits.get(found.label, "")

    def filled(
        self, template: str, edit: str, shot: Shot, found: Detection, number: int
    ) -> str | None:
        """The part of a template that is for an instance, with class and edit in it; None for
        [SKIP]."""
        parts = template.split("[SEP]")
        part = parts[min(number, len(parts) - 1)].strip()
        if part == SKIP:
            return None
        seed = shot.seed + number
        part = dynamic_prompts.draw(part, f"{seed}/rerender", self.wildcards).text
        edit = dynamic_prompts.draw(edit, f"{seed}/edit", self.wildcards).text
        return expand(part, found.label, edit)

    def asks_for_change(self, shot: Shot, found: Detection) -> bool:
        """Whether an edit or a prompt of stage 3 may ask for other colours of an instance; a
        picture that stage 1 drew follows its prompt already."""
        edit = self.edit(shot, found)
        template = self.own_template and not isinstance(shot.source, Prompted)
        return bool(template or edit or found.prompt or found.label in self.prompts)

    def negative(self, seed: int) -> str:
        """The negative prompt of the instance of that seed."""
        return dynamic_prompts.draw(self.negative_prompt, f"{seed}/negative", self.wildcards).text


def expand(template: str, name: str, edit: str = "") -> str:
    """Fill `{class}` and `{edit}`; an edit without a place of its own goes before the class.

    >>> expand("tag, {class}, studio", "handbag", "red leather")
    'tag, red leather handbag, studio'
    """
    if not edit:
        template = take_out(r"\{edit\}", template)
    if "{edit}" in template:
        return template.replace("{edit}", edit).replace("{class}", name)
    return template.replace("{class}", f"{edit} {name}".strip())
