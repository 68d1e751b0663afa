"""What is said of an option that a command lacks: the settings or commands that it may mean."""

from __future__ import annotations

import click

_STAGES = ("generate", "detect", "segment", "mask", "verify", "rerender")
_READ = {
    "generate": ("generate",),
    "filter": ("detect", "segment", "mask", "verify"),
    "enhance": ("detect", "segment", "mask", "verify", "rerender"),
    "grid": ("generate",),
}
"""Commands that read the settings of some stages only."""


def sentence(error: click.NoSuchOption) -> str:
    """Return what to do about an unknown option."""
    option, context = error.option_name, error.ctx
    if context is None or not option.startswith("--"):
        return error.format_message()
    change = next((one for one in context.command.params if "--set" in one.opts), None)
    if change and context.info_name != "train":
        read = _READ.get(str(context.info_name), _STAGES)
        unread = set(_STAGES) - set(read)
        found = [name for name in _settings(option) if name.split(".")[0] not in unread]
        if found:
            ways = " or ".join(f"--set {name}=VALUE" for name in found)
            return f"no option {option}: expected {ways}"
    if others := _commands_with(option, context):
        verb = "have" if len(others) > 1 else "has"
        return f"no option {option} here: {', '.join(others)} {verb} it"
    return error.format_message()


def _settings(option: str) -> list[str]:
    """Return the dotted names of the settings that an option would set."""
    from ...configs.schema import load_settings
    from ..jobs.request import SETTINGS, option_of

    for field, names in SETTINGS.items():
        if option == option_of(field):
            return list(names)
    name = option.removeprefix("--").replace("-", "_")
    return [
        f"{section}.{name}"
        for section, values in load_settings("mini").model_dump().items()
        if isinstance(values, dict) and name in values
    ]


def _commands_with(option: str, context: click.Context) -> list[str]:
    root = context.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    return [
        name
        for name in group.list_commands(root)
        if (command := group.get_command(root, name))
        and any(option in param.opts for param in command.params)
    ]
