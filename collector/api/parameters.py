"""Parameters of requests: how each kind of value is written, and the one form in which a wrong one is refused."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from collector.model.errors import BadInput, OutOfRange

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ANY_NS = (-(2**63), 2**63 - 1)
_AROUND = r"[\s\u200b-\u200f\u2060\ufeff]"


class Beyond(ValueError):
    """A value of the kind that is too small or too large."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to write a value: what is *expected*, and what reads it (and a time to count back from, ns) or raises."""

    expected: str
    read: Callable[[Any, int], Any]
    """Raises ValueError or KeyError for a value of another kind, Beyond for one that is out of its range."""
    short: str = ""
    """What is expected, in a table that explains it elsewhere."""
    empty: bool = False
    """An empty text is a value too; else it is as if it were not given."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request; of a body too, where it is a field of JSON."""

    name: str
    kind: Kind
    meaning: str = ""
    default: str | None = None
    """Read as if it had been given; None leaves the value None."""
    unless: str = ""
    """What holds when it is not given, in words, where the default does not say it."""
    back_from: str = ""
    """The parameter before it that spans count back from; empty: now."""
    required: bool = False


def read(parameters: Sequence[Parameter], raw: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    """Return a value for every one of *parameters*; raise BadInput naming the one that is wrong, OutOfRange where it is
    of the right kind.
    """
    if unknown := sorted(set(raw) - {p.name for p in parameters}):
        there = ", ".join(p.name for p in parameters) or "none"
        raise BadInput(f"no such parameter; there are {there}", field=unknown[0][:40])
    values: dict[str, Any] = {}
    for p in parameters:
        value = raw.get(p.name)
        if value is None or (value == "" and not p.kind.empty):
            value = p.default
        if value is None and p.required:
            raise BadInput(f"expected {p.kind.expected}; it is required", field=p.name)
        base_ns = values.get(p.back_from)
        try:
            values[p.name] = None if value is None else p.kind.read(value, now_ns if base_ns is None else base_ns)
        except (ValueError, KeyError) as e:
            wrong = OutOfRange if isinstance(e, Beyond) else BadInput
            raise wrong(f"expected {p.kind.expected}, got {str(value)[:40]!r}", field=p.name) from None
    return values


def of_address(request: Request) -> dict[str, Any]:
    """Return what the address of *request* gives."""
    return _once(request.query_params.multi_items())


async def of_body(request: Request, names: Sequence[str], most_bytes: int) -> dict[str, Any]:
    """Return the JSON object that is the body of *request*."""
    sent = await request.body()  # all of it, so that who sent too much reads why; the wall bounds it
    if len(sent) > most_bytes:
        raise BadInput(f"longer than {most_bytes} bytes", field="body")
    try:
        fields = json.loads(sent or b"{}", object_pairs_hook=_once)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BadInput(f"expected a JSON object with {', '.join(names)}", field="body")
    return fields


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise BadInput("given more than once; give it once", field=name[:40])
        values[name] = value
    return values


def whole(least: int = _ANY_NS[0], most: int = _ANY_NS[1]) -> Kind:
    """Return the kind of whole numbers from *least* to *most*."""

    def number(value: Any, _: int) -> int:
        if not re.fullmatch(r"-?[0-9]+", value):
            raise ValueError
        if len(value) > 20 or not least <= int(value) <= most:
            raise Beyond
        return int(value)

    return Kind(f"a whole number from {least} to {most}", number, f"{least:,} to {most:,}")


def text(expected: str = "a text", pattern: str = r".*") -> Kind:
    """Return the kind of texts that match *pattern*."""

    def matching(value: Any, _: int) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.DOTALL):
            raise ValueError
        return value

    return Kind(expected, matching, "text")


def one_of(words: Iterable[str]) -> Kind:
    """Return the kind that is one of *words*."""
    choices = {word: word for word in words}
    short = ", ".join(f"`{word}`" for word in choices)
    return Kind(f"one of {', '.join(choices)}", lambda value, _: choices[str(value)], short)


def some_of(words: Iterable[str], short: str) -> Kind:
    """Return the kind that is one or more of *words* with commas between them."""
    choices = {word: word for word in words}
    return Kind(f"some of {', '.join(choices)}", lambda value, _: [choices[w] for w in listed(value)], short)


def pasted(value: str) -> str:
    """Return *value* without what a terminal or page copies along at its ends: blanks, line ends, what has no width."""
    return re.sub(rf"^{_AROUND}+|{_AROUND}+$", "", value)


def listed(value: str) -> list[str]:
    """Return what stands between commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _names(value: str) -> list[str]:
    if not (names := listed(value)):
        raise ValueError
    return names


def _moment(value: Any, base_ns: int) -> int:
    """Return nanoseconds since 1970 of `24h` (ago), an ISO-8601 time (UTC unless it says otherwise) or a number."""
    written = str(value).strip()
    if span := re.fullmatch(r"(\d{1,9})([smhdw])", written):
        at_ns = base_ns - int(span[1]) * _UNITS[span[2]] * 10**9
    elif re.fullmatch(r"-?\d{1,40}", written):
        at_ns = int(written)
    else:
        at = dt.datetime.fromisoformat(written)
        at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
        at_ns = int((at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1)) * 1000
    if not _ANY_NS[0] <= at_ns <= _ANY_NS[1]:
        raise Beyond
    return at_ns


_FLAGS = {"true": True, "1": True, "false": False, "0": False}
TEXT = text()
TEXT_OR_NONE = replace(TEXT, short="text, also empty", empty=True)
"""An empty one asks for what states none."""
FLAG = Kind("true or false", lambda value, _: _FLAGS[str(value).lower()])
LIST = Kind("names with commas", lambda value, _: _names(value))
LIST_OR_NONE = Kind("names with commas", lambda value, _: listed(value), empty=True)
MOMENT = Kind(
    "nanoseconds, a time such as 2026-11-23T08:00:00Z, or a span such as 24h, between the years 1678 and 2262",
    _moment,
    "time",
)
