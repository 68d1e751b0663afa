"""The base class of all settings sections."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

_MOST_BITS = 63
LONGEST_TEXT = 10_000_000
"""Characters of the longest text in settings and requests."""
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""Text that can be written as UTF-8: with a limit, pydantic refuses lone surrogates."""

_LONGEST_NAME = 200


def _plain_name(name: str) -> str:
    if {"/", "\\", "\0"} & set(name) or name in (".", "..") or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(
            f"{name[:60]!r}: expected a name of at most {_LONGEST_NAME} bytes, without a folder"
        )
    return name


PlainName = Annotated[Text, AfterValidator(_plain_name)]
"""Name of a file or folder that a setting gives; "" where it has a default."""


class Section(BaseModel):
    """A group of settings: frozen, no unknown keys, finite numbers of at most 63 bits, text that
    UTF-8 can hold."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
        str_max_length=LONGEST_TEXT,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = cls.model_fields[info.field_name or ""].annotation
        kinds = {wanted, *get_args(wanted)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"{info.field_name}: {str(value).lower()}; expected a number")
        return value

    @field_validator("*")
    @classmethod
    def _is_written_and_read(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError(
                f"{info.field_name}: a number of {value.bit_length()} bits; expected at most "
                f"{_MOST_BITS}"
            )
        return value
