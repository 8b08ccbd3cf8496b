"""The hours that reports told of, as they are kept from one report to the next.

Each row knows the anomalies that it was told under as well: a cause, or what it was folded into. Calling one of these
expected is said of all that it stands for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import polars as pl

from collector.analyse.anomalies import told
from collector.analyse.anomalies.options import FAST, SLOW
from collector.model.report import Anomaly, Report, Span, ToldHours
from collector.model.units import DAY_NS
from collector.report.inputs import HISTORY_DAYS, Inputs
from collector.report.subjects import key_of, parse

PACES = {SLOW: "up", FAST: "down"}
"""What is tested upwards for both is told as a direction."""


def known(previous: Report | None) -> tuple[pl.DataFrame | None, int | None]:
    """Return what the *previous* report knew that it and those before it told (`told.TOLD`), and until when."""
    if previous is None or previous.told_until_ns is None:
        return None, None
    rows = [(t.series, t.metric, t.direction, t.span.from_ns, t.span.to_ns, t.is_level) for t in previous.told]
    return pl.DataFrame(rows, schema=told.TOLD, orient="row"), previous.told_until_ns


def exceptions(rows: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Return *rows* (`told.TOLD`) without what somebody called expected: its hours are as usual as any.

    A level stays: its hours are usual anyhow, and that it was told is why it is not told again.
    """
    is_expected = [
        not row.is_level and bool((_own(row) | set(row.told_as)) & inputs.expected.keys())
        for row in kept(rows, inputs, ())
    ]
    return rows.filter(~pl.Series(is_expected, dtype=pl.Boolean))


def kept(rows: pl.DataFrame, inputs: Inputs, told_now: Sequence[Anomaly]) -> list[ToldHours]:
    """Return *rows* (`told.TOLD`) with what each was told under, in *told_now* where it is of this period."""
    before = {_place(t): t.told_as for t in inputs.previous.told} if inputs.previous else {}
    under: dict[str, set[str]] = defaultdict(set)
    for a in told_now:
        for t in a.together:
            under[t.key].add(a.key)
    out = []
    for r in rows.iter_rows(named=True):
        span = Span(from_ns=r["from_ns"], to_ns=r["to_ns"])
        row = ToldHours(
            series=r["series"], metric=r["metric"], direction=r["direction"], span=span, is_level=r["is_level"]
        )
        now = {k for own in _own(row) for k in under[own]} if span.to_ns > inputs.from_ns else set()
        out.append(row.model_copy(update={"told_as": tuple(sorted({*before.get(_place(row), ()), *now}))}))
    return out


def for_the_next(rows: pl.DataFrame, inputs: Inputs, told_now: Sequence[Anomaly]) -> tuple[ToldHours, ...]:
    """Return what the next report has to know; a level is usual since it began, and that for longer."""
    recent = rows.filter(pl.col("to_ns") > inputs.to_ns - HISTORY_DAYS * DAY_NS)
    return tuple(kept(recent.sort("series", "metric", "from_ns", "to_ns", "direction"), inputs, told_now))


def _place(row: ToldHours) -> tuple[str, str, str, int, int, bool]:
    return row.series, row.metric, row.direction, row.span.from_ns, row.span.to_ns, row.is_level


def _own(row: ToldHours) -> set[str]:
    """Return the keys that *row* has by itself, as a level and as none."""
    direction = PACES.get(row.metric, row.direction)
    return {key_of(parse(row.series), direction, level) for level in (None, row.span.from_ns)}
