"""The base class of all settings sections."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_LONGEST = 10_000_000
Text = Annotated[str, Field(max_length=_LONGEST)]
"""Text that can be written as UTF-8: with a limit, pydantic refuses lone surrogates."""


class Section(BaseModel):
    """A group of settings: frozen, no unknown keys, finite numbers, text that UTF-8 can hold."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
        str_max_length=_LONGEST,
    )
