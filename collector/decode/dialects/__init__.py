"""Dialects: tables from a runner's keys to our columns. Chosen by resource, then scope, then record."""

from __future__ import annotations

from typing import Any

from collector.decode.dialects import generic, trigger_dev
from collector.decode.dialects.base import Attributes, Dialect

__all__ = ["DIALECTS", "GENERIC", "NAMES", "Attributes", "Dialect", "choose"]

GENERIC = generic.DIALECT
DIALECTS = (GENERIC, trigger_dev.DIALECT)
NAMES = tuple(dialect.name for dialect in DIALECTS)
"""Names of all dialects."""


def choose(resource: Attributes, scope_name: str) -> Dialect | None:
    """Return the dialect that resource or scope prove, or None when each record has to."""
    if trigger_dev.owns_resource(resource) or scope_name in trigger_dev.SCOPES:
        return trigger_dev.DIALECT
    return None


def of_record(attributes: dict[str, Any]) -> Dialect:
    """Return the dialect of a record whose resource and scope say nothing."""
    return trigger_dev.DIALECT if trigger_dev.owns_record(attributes) else GENERIC


def of_resource(resource: Attributes) -> str:
    """Return the name of the dialect of records that say nothing themselves, such as metric points."""
    return (choose(resource, "") or GENERIC).name
