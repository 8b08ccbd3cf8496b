"""Which signal a protobuf message is of, told by its bytes: no file says it, and no field number is one signal's alone.

What is looked at is the way to the first record and that record's own fields. A message of another signal has a field
of another type on it, or lacks what each record of that signal has.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from collector.decode.fields import fields, mistyped
from collector.model.signals import LOGS, METRICS, PROFILES, RECEIVED, TRACES, Signal

_SCOPES = (2, 1000)
"""Fields of a resource's scopes, and of its instrumentation libraries before OTLP 0.19."""
_TYPES = (0, 1, 2, 5)
"""Ways of writing a field that OTLP has."""
_POINTS = {5, 7, 9, 10, 11}
_WORDS = {"log": LOGS, "trace": TRACES, "span": TRACES, "metric": METRICS, "profile": PROFILES}


def signal_of(body: bytes, name: str) -> Signal | None:
    """Return the signal that *body* is a request of, by its bytes, else by the file's *name*; None if neither tells."""
    found = doubts(body)
    likely = [s for s in RECEIVED if s.name in found and found[s.name] == min(found.values())]
    if len(likely) == 1:
        return likely[0]
    named = {signal.name for word, signal in _WORDS.items() if word in PurePath(name).name.lower()}
    return next((s for s in likely if named == {s.name}), None)


def doubts(body: bytes) -> dict[str, int]:
    """Return how much speaks against each signal that *body* can be a request of: none of it, if it is none."""
    return {signal.name: doubt for signal in RECEIVED if (doubt := _doubt(signal, body)) is not None}


def _doubt(signal: Signal, body: bytes) -> int | None:
    """Return what speaks against *body* being of *signal*, None if it cannot be."""
    kind: Any = signal.request.DESCRIPTOR
    at, end, doubt = 0, len(body), 0
    try:
        for depth in range(4):
            found = list(fields(body, at, end))
            if any(not n or t not in _TYPES or e > end for n, t, _, e in found) or mistyped(kind, body, at, end):
                return None
            numbers = {number for number, *_ in found}
            doubt += sum(n not in kind.fields_by_number and n not in _SCOPES for n in numbers)
            if depth == 0 and signal is PROFILES:
                doubt += 2 not in numbers  # the dictionary
            if depth == 3:
                return doubt + _lacks(signal, {n: e - a for n, _, a, e in found})
            wanted = _SCOPES if depth == 1 else (2,) if depth == 2 else (1,)
            inner = [(a, e) for n, t, a, e in found if n in wanted and t == 2]
            if not inner:
                return doubt
            field = kind.fields_by_number.get(wanted[0])
            if field is None or field.message_type is None:
                return None
            kind = field.message_type
            # The first may be without records.
            at, end = max(inner[:8], key=lambda span: span[1] - span[0])
    except IndexError:
        return None
    return doubt


def _lacks(signal: Signal, sizes: dict[int, int]) -> int:
    """Return how much of what every record of *signal* has is missing in one with fields of these *sizes*."""
    if signal is TRACES:
        return (sizes.get(1) != 16) + (sizes.get(2) != 8)
    if signal is METRICS:
        return (not sizes.get(1)) + (not _POINTS & sizes.keys())
    return 0
