"""What every section of the settings is, and how a secret is kept from being shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, FieldSerializationInfo, PlainSerializer, SecretStr


class Section(BaseModel):
    """A section: frozen, and every name in it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _serialize(value: SecretStr | None, info: FieldSerializationInfo) -> str | None:
    with_secrets = isinstance(info.context, dict) and info.context.get("secrets")
    return None if value is None else value.get_secret_value() if with_secrets else str(value)


Secret = Annotated[SecretStr, PlainSerializer(_serialize, when_used="json")]
"""Text that is shown to a child process alone (`context={"secrets": True}`), and as stars to everybody else."""


def nanoseconds(span: timedelta) -> int:
    """Return a duration in ns."""
    return span // timedelta(microseconds=1) * 1000
