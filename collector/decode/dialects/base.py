"""What a dialect is: one table of keys, and the few things a table cannot say."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from collector.model import believable, ids
from collector.model.believable import MOST_ATTEMPTS, MOST_CENTS, MOST_STATUS
from collector.model.ids import ENDS

Attributes = dict[str, Any]
Note = Callable[[str], None]
"""Counts a key of `notes.NOTED`."""
Judge = Callable[[Any, int], str]
"""(value, time of its record in ns) → why it cannot be, empty when it can."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,9})?|Infinity)|NaN", re.ASCII)

_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
_WORDS = {"true": True, "false": False}


def text(value: Any) -> str | None:
    """Return a non-empty string; a number becomes its digits, anything else is not text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        return None
    return str(value)


def integer(value: Any) -> int | float | None:
    """Return an integer, also from its digits or an integral double; NaN for a number that is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    parsed = number(value)
    if parsed is None or parsed.is_integer() or math.isinf(parsed):
        return parsed if parsed is None or math.isinf(parsed) else int(parsed)
    return math.nan


def number(value: Any) -> float | None:
    """Return a double, also from its digits, with white space around them; None for what is no number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) + 0.0  # no negative zero
    if isinstance(value, dict) and len(value) == 1:
        value = value.get("doubleValue")  # as what JSON has no number for is kept
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value := value.strip()) else None


def boolean(value: Any) -> bool | None:
    """Return a boolean, also from its word."""
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def unix_ms(value: Any) -> int | None:
    """Return a time in ns of one in ms since 1970, -1 for what cannot be one, None for none."""
    ms = number(value)
    if not ms:
        return None
    return int(ms) * 1_000_000 + round(ms % 1 * 1_000_000) if 0 < ms < 9e12 else -1


_UNITS_NS = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (math.inf, 1))
"""Numbers below the first of each pair are times since 1970 in so many ns; each unit holds the years 1973 to 5138."""


def moment(value: Any) -> int | None:
    """Return a time in ns of an ISO 8601 text (UTC where it names no zone) or a number of s, ms, us or ns since 1970.

    -1 for a number that cannot be one, None for what is neither.
    """
    if isinstance(value, str) and "-" in value[1:11] and len(value) < 40:
        try:
            at = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            return None
        since = (at if at.tzinfo else at.replace(tzinfo=dt.UTC)) - _EPOCH
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    parsed = value if isinstance(value, int) and not isinstance(value, bool) else number(value)
    if parsed is None:
        return None
    if not 0 < parsed < 2**63:
        return -1
    one = next(ns for most, ns in _UNITS_NS if parsed < most)
    return int(parsed) * one + round(parsed % 1 * one)


CONVERT: dict[str, Callable[[Any], Any]] = {
    "run_id": ids.stated,
    "parent_run_id": ids.stated,
    "correlation_id": ids.stated,
    "request_id": ids.stated,
    "attempt": integer,
    "http_status": integer,
    "is_test": boolean,
    "is_replay": boolean,
    "reported_ms": number,
    "queue_wait_ms": number,
    "compute_ms": number,
    "cost_cents": number,
    "dequeued_ns": unix_ms,
    "delay_ms": number,
    "due_at_ns": moment,
    "max_attempts": integer,
}
"""Conversions of canonical columns; the others are text."""

JUDGED: dict[str, Judge] = {
    "attempt": lambda value, _: believable.impossible(value, MOST_ATTEMPTS),
    "http_status": lambda value, _: believable.impossible(value, MOST_STATUS),
    "reported_ms": believable.impossible_ms,
    "queue_wait_ms": believable.impossible_ms,
    "compute_ms": believable.impossible_ms,
    "cost_cents": lambda value, _: believable.impossible(value, MOST_CENTS),
    "dequeued_ns": believable.impossible_time,
    "delay_ms": believable.impossible_ms,
    "due_at_ns": believable.impossible_due,
    "max_attempts": lambda value, _: believable.impossible(value, MOST_ATTEMPTS, least=1),
}
"""Canonical column → why a converted number in it cannot be. `analyse.believable` judges stored rows the same."""


class SpanFacts(NamedTuple):
    """What a span means in its dialect, beyond its attributes: columns of `spans`, in their order."""

    span_type: str
    wait_kind: str | None = None
    child_run_id: str | None = None
    child_task_id: str | None = None
    child_batch_id: str | None = None
    is_partial: bool | None = None
    real_span_id: str | None = None
    tags: list[str] | None = None


Plan = tuple[tuple[int, tuple[str, ...], Callable[[Any], Any], Judge | None], ...]
"""(index, keys, conversion, judge) of the columns that a dialect knows."""


class Suspension(NamedTuple):
    """How a runner suspends a run that waits: meanwhile it gives its queue's slot back."""

    after_ns: int
    """How long it keeps the slot from the beginning of a wait."""
    documented: tuple[str, ...]
    """Kinds of waits of which the runner says so; of others it only says that it does at some time."""
    sleeps_ns: int
    """Waits no longer than this suspend nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One runner's vocabulary."""

    name: str
    record: dict[str, tuple[str, ...]]
    """Canonical column → keys of a log or span that hold it, the first present wins; `ids.NAMES` in any spelling."""
    resource: dict[str, tuple[str, ...]]
    """Canonical column → resource keys, used where the record says nothing."""
    span_facts: Callable[[str, int, Attributes], SpanFacts]
    """(name, kind, attributes) → what the span means."""
    log_source: Callable[[str, str | None], str | None]
    """(severity text, body) → logger, console or platform."""
    suspends: Suspension | None = None
    """When a run that waits gives its slot back; None: it holds it throughout."""
    plans: dict[tuple[str, ...], Plan] = field(default_factory=dict)
    spelled: dict[tuple[str, ...], tuple[int, ...]] = field(default_factory=dict)
    """Indices of the columns that hold ids, whose keys may be spelled otherwise."""

    def read(self, columns: tuple[str, ...], attributes: Attributes, own_ns: int, note: Note) -> list[Any]:
        """Return the values of *columns* that a record's *attributes* state, None where they say nothing of one.

        A number that cannot be at *own_ns*, the record's time, is none, and noted.
        """
        plan = self.plans.get(columns)
        if plan is None:
            plan = tuple(
                (index, self.record[c], CONVERT.get(c, text), JUDGED.get(c))
                for index, c in enumerate(columns)
                if c in self.record
            )
            self.plans[columns] = plan
            of_ids = (index for index, keys, _, _ in plan if keys is ids.NAMES.get(columns[index]))
            self.spelled[columns] = tuple(of_ids)
        values: list[Any] = [None] * len(columns)
        for index, keys, convert, judge in plan:
            for key in keys:
                if key in attributes:
                    value = convert(attributes[key])
                    if value is not None:
                        if judge is None or not judge(value, own_ns):
                            values[index] = value
                            break
                        note("number_impossible")
        missing = [index for index in self.spelled[columns] if values[index] is None]
        if missing and (others := [key for key in attributes if key[-1:] in ENDS and ids.of_key(key)]):
            for index in missing:
                stated = [ids.stated(attributes[key]) for key in ids.spelled(others, columns[index])]
                values[index] = next(filter(None, stated), None) if stated else None
        return values

    def read_resource(self, column: str, attributes: Attributes) -> Any:
        """Return what the resource states of *column*."""
        for key in self.resource.get(column, ()):
            value = text(attributes.get(key))
            if value is not None:
                return value
        return None
