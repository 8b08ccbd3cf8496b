"""What a dialect is: one table of keys, and the few things a table cannot say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Attributes = dict[str, Any]
Getter = Callable[[Attributes], Any]


def text(value: Any) -> str | None:
    """Return a non-empty string; a number becomes its digits, anything else is not text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        return None
    return str(value)


def integer(value: Any) -> int | None:
    """Return an integer of 32 bits, also from its digits or an integral double."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11:
        value = int(value)
    return value if isinstance(value, int) and -(2**31) <= value < 2**31 else None


def number(value: Any) -> float | None:
    """Return a double."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def boolean(value: Any) -> bool | None:
    """Return a boolean."""
    return value if isinstance(value, bool) else None


def unix_ms(value: Any) -> int | None:
    """Return a time in ns of one in ms since 1970, None for what cannot be one."""
    ms = number(value)
    if ms is None or not 0 < ms < 9e12:
        return None
    return int(ms) * 1_000_000 + round(ms % 1 * 1_000_000)


CONVERT: dict[str, Callable[[Any], Any]] = {
    "attempt": integer,
    "http_status": integer,
    "is_test": boolean,
    "is_replay": boolean,
    "reported_ms": number,
    "queue_wait_ms": number,
    "compute_ms": number,
    "cost_cents": number,
    "dequeued_ns": unix_ms,
}
"""Conversions of canonical columns; the others are text."""


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """What a span means in its dialect, beyond its attributes."""

    span_type: str
    wait_kind: str | None = None
    child_run_id: str | None = None
    child_task_id: str | None = None
    child_batch_id: str | None = None
    is_partial: bool | None = None
    real_span_id: str | None = None
    tags: list[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One runner's vocabulary."""

    name: str
    record: dict[str, tuple[str, ...]]
    """Canonical column → keys of a log or span that hold it, the first present wins."""
    resource: dict[str, tuple[str, ...]]
    """Canonical column → resource keys, used where the record says nothing."""
    span_facts: Callable[[str, int, Attributes], SpanFacts]
    """(name, kind, attributes) → what the span means."""
    log_source: Callable[[str, str | None], str | None]
    """(severity text, body) → logger, console or platform."""
    plans: dict[tuple[str, ...], tuple[tuple[tuple[str, ...], Callable[[Any], Any]], ...]] = field(default_factory=dict)

    def read(self, columns: tuple[str, ...], attributes: Attributes) -> list[Any]:
        """Return the values of *columns* that a record's *attributes* state, None where they do not."""
        plan = self.plans.get(columns)
        if plan is None:
            plan = tuple((self.record.get(c, ()), CONVERT.get(c, text)) for c in columns)
            self.plans[columns] = plan
        values: list[Any] = []
        for keys, convert in plan:
            value = None
            for key in keys:
                if key in attributes:
                    value = convert(attributes[key])
                    if value is not None:
                        break
            values.append(value)
        return values

    def read_resource(self, column: str, attributes: Attributes) -> Any:
        """Return what the resource states of *column*."""
        for key in self.resource.get(column, ()):
            value = text(attributes.get(key))
            if value is not None:
                return value
        return None
