"""New, ongoing or resolved: an anomaly beside what the last report of the same schedule told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from collector.analyse.anomalies.silence import Stretch
from collector.model.report import Anomaly
from collector.report.found import Found
from collector.report.inputs import Inputs
from collector.report.kinds.catalogue import KINDS
from collector.report.subjects import key_of


def key(f: Found) -> str:
    """Return what names an anomaly as long as it goes on."""
    return key_of(f.series, f.direction, f.from_ns if f.is_level else None)


def keys(f: Found) -> set[str]:
    """Return the key of an anomaly, and the one it has as long as it is no level."""
    return {key_of(f.series, f.direction), key(f)}


def was_reported(f: Found, inputs: Inputs) -> bool:
    """Tell whether it was over before the period began and the last report told of it."""
    return f.to_ns <= inputs.period.from_ns and bool(keys(f) & _previous_keys(inputs))


def _previous_keys(inputs: Inputs) -> set[str]:
    if inputs.previous is None:
        return set()
    before = (*inputs.previous.anomalies, *inputs.previous.expected)
    return {a.key for a in before} | {t.key for a in before for t in a.together}


def state(inputs: Inputs, f: Found) -> Literal["new", "ongoing"]:
    """Return whether the last report told of it and it went on since."""
    if inputs.previous is None:
        return "new"
    for a in (*inputs.previous.anomalies, *inputs.previous.expected):
        same = {a.key, *(t.key for t in a.together)} & keys(f)
        if same and f.from_ns - a.span.to_ns <= KINDS[f.kind].again_ns:
            return "ongoing"
    return "new"


def resolved(inputs: Inputs, found: Sequence[Found], gaps: Sequence[Stretch]) -> list[Anomaly]:
    """Return what the last report told of and is over; not levels, which are usual now, nor where nobody could tell.

    *found*: all that differs, also what is not shown.
    """
    if inputs.previous is None or _is_gap(inputs, gaps):
        return []
    everything = [g for f in found for g in (f, *f.together)]
    goes_on = {k for g in everything if state(inputs, g) == "ongoing" for k in keys(g)}
    return [
        a.model_copy(update={"state": "resolved"})
        for a in inputs.previous.anomalies
        if not a.is_level and not {a.key, *(t.key for t in a.together)} & goes_on
    ]


def _is_gap(inputs: Inputs, gaps: Sequence[Stretch]) -> bool:
    silent = sum(min(s.to_ns, inputs.to_ns) - max(s.from_ns, inputs.from_ns) for s in gaps if s.to_ns > inputs.from_ns)
    return inputs.to_ns <= inputs.from_ns or silent >= (inputs.to_ns - inputs.from_ns) // 2
