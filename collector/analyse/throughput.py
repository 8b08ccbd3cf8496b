"""Throughput and failures: what arrives, what ends, and which tasks fail more than chance would have it.

Enter: rows of `flow_hours`, `run_cohorts`. Leave: numbers. A run leaves its queue however it ends, so all ends count
as throughput; rates of failure count runs that completed their work or failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from collector.analyse import retries
from collector.analyse.frames import Frame
from collector.analyse.numbers import Number, count, provenance, ratio, rows, weakness, wilson
from collector.model.statistics import Z
from collector.model.words import DECIDED, FAILED, OPEN, STOPPED

_EVENTS = {"arrived": "arrivals", "started": "starts", "ended": "throughput"}
_APART = {
    **{f"{word}_runs": [word] for word in ("canceled", "expired", "skipped", "unknown")},
    "open_runs": OPEN,
}
MEASURES = (*_EVENTS.values(), "net_arrivals")
"""What `report` tells."""


def report(flow: Frame, by: Sequence[str], *, over_ns: int | pl.Expr) -> pl.DataFrame:
    """Return counts and hourly rates of arrivals, starts and ends in rows of `flow_hours`, by columns *by* of it.

    *flow* may have `maybe_runs`, which may be of the row's queue: they are not counted, and lower the coverage.
    *over_ns*: length of the window the rows cover, for all or as an expression over *by*. The interval of a rate is
    that of a Poisson count (normal).
    """
    runs = pl.col("runs")
    sums = (
        _maybe(flow)
        .group_by(by)
        .agg(
            **{name: runs.filter(pl.col("event") == event).sum() for event, name in _EVENTS.items()},
            **{f"weak_{name}": weakness("runs", pl.col("event") == event) for event, name in _EVENTS.items()},
            **{
                f"maybe_{name}": pl.col("maybe_runs").filter(pl.col("event") == event).sum()
                for event, name in _EVENTS.items()
            },
        )
    )
    c = pl.col
    hours = (pl.lit(over_ns) if isinstance(over_ns, int) else over_ns) / 3.6e12
    numbers: list[Number] = []
    for name in _EVENTS.values():
        half = c(name).cast(pl.Float64).sqrt() * Z
        numbers += [
            _covered(count(name, c(name), weakness=c(f"weak_{name}"))),
            Number(
                name,
                "rate",
                "runs_per_hour",
                _known(name) / hours,
                n=c(name),
                coverage=_coverage(name),
                weakness=c(f"weak_{name}"),
                low=((c(name) - half) / hours).clip(0),
                high=(c(name) + half) / hours,
                note=_more(name),
            ),
        ]
    net = _known("arrivals").cast(pl.Int64) - _known("throughput").cast(pl.Int64)
    half = (c("arrivals") + c("throughput")).cast(pl.Float64).sqrt() * Z
    numbers.append(
        Number(
            "net_arrivals",
            "rate",
            "runs_per_hour",
            net / hours,
            n=c("arrivals") + c("throughput"),
            coverage=pl.min_horizontal(_coverage("arrivals"), _coverage("throughput")),
            weakness=pl.max_horizontal("weak_arrivals", "weak_throughput"),
            low=(net - half) / hours,
            high=(net + half) / hours,
            note=pl.coalesce(_more("arrivals"), _more("throughput")),
        )
    )
    return rows(sums, by, numbers)


def seen(runs: Frame, by: Sequence[str]) -> pl.DataFrame:
    """Return how many runs began in the range and how many of them stand so that no rate counts them, by columns *by*.

    *runs*: *by*, outcome, runs, derived_runs, inferred_runs, and as `report` has it `maybe_runs`. A run begins with its
    start; where no start is known, when it was queued, else first seen: as lists of runs have it.
    """
    is_so = {name: pl.col("outcome").is_in(words) for name, words in _APART.items()}
    sums = (
        _maybe(runs)
        .group_by(by)
        .agg(
            pl.col("runs").sum(),
            maybe_runs=pl.col("maybe_runs").sum(),
            **{name: pl.col("runs").filter(so).sum() for name, so in is_so.items()},
            **{f"maybe_{name}": pl.col("maybe_runs").filter(so).sum() for name, so in is_so.items()},
            **{f"weak_{name}": weakness("runs", so) for name, so in is_so.items()},
        )
    )
    counts = [count(name, pl.col(name), weakness=pl.col(f"weak_{name}")) for name in _APART if name != "expired_runs"]
    told = pl.col("expired_runs") > 0
    expired = replace(
        count("expired_runs", pl.when(told).then("expired_runs"), weakness=pl.col("weak_expired_runs")),
        coverage=pl.when(told).then(1.0),
        note=pl.when(~told).then(pl.lit("no telemetry tells that a run expired")),
    )
    return rows(sums, by, [*map(_covered, [count("runs", pl.col("runs")), *counts]), expired])


def _maybe(counted: Frame) -> pl.LazyFrame:
    rows = counted.lazy()
    return rows if "maybe_runs" in rows.collect_schema() else rows.with_columns(maybe_runs=pl.lit(0, pl.Int64))


def _covered(number: Number) -> Number:
    """Return the count *number* as far as it is known: of what else may have to be counted its measure's `maybe_`."""
    name = number.measure
    return replace(number, value=_known(name), coverage=_coverage(name), note=_more(name))


def _known(name: str) -> pl.Expr:
    return pl.when((pl.col(name) > 0) | (pl.col(f"maybe_{name}") == 0)).then(name)


def _coverage(name: str) -> pl.Expr:
    return ratio(pl.col(name), pl.col(name) + pl.col(f"maybe_{name}")).fill_null(1.0)


def _more(name: str) -> pl.Expr:
    maybe = pl.col(f"maybe_{name}")
    return pl.when(maybe > 0).then(pl.format("{} more name no queue, and may be of this one", maybe))


def failures(cohorts: Frame, by: Sequence[str], *, as_of_ns: int, horizons: Frame | int) -> pl.DataFrame:
    """Return how often each *by* fails, worst first: failed, n, rate, low, high, baseline, excess, and as in `NUMBERS`.

    From rows of `run_cohorts`; those in whose hours a retry may still follow (*horizons* as in `retries.report`) are
    in no number but `immature`, so that the rate is the one that `retries.report` gives. Ranked by the lower bound of
    the rate (Wilson 95 %): one failure of three runs says less than thirty of three hundred. `baseline` is the rate of
    all other runs of the project (of the platform project where *by* has it), `excess` how many runs failed beyond it;
    both NULL when there are none. Runs without a known end are not in n; `coverage` tells their share.
    """
    runs = pl.col("runs")
    ok = pl.col("is_mature")
    failed = ok & pl.col("outcome").is_in(FAILED)
    over = ok & pl.col("outcome").is_in(DECIDED)
    counted = ok & ~pl.col("outcome").is_in([*STOPPED, "skipped"])
    low, high = wilson(pl.col("failed"), pl.col("n"))
    beside = [c for c in ("project", "platform_project") if c in by]
    others = pl.col("n").sum().over(beside) - pl.col("n")
    baseline = ratio(pl.col("failed").sum().over(beside) - pl.col("failed"), others)
    some = pl.col("n") > 0
    return (
        retries.judged(cohorts, horizons, as_of_ns=as_of_ns)
        .group_by(by)
        .agg(
            immature=runs.filter(~ok).sum(),
            failed=runs.filter(failed).sum(),
            n=runs.filter(over).sum(),
            of=runs.filter(counted).sum(),
            weak=weakness("runs", over),
        )
        .with_columns(baseline=baseline)
        .select(
            *by,
            "failed",
            "n",
            rate=ratio(pl.col("failed"), pl.col("n")),
            low=low,
            high=high,
            baseline="baseline",
            excess=pl.col("failed") - pl.col("n") * pl.col("baseline"),
            provenance=provenance(some, pl.col("weak")),
            coverage=ratio(pl.col("n"), pl.col("of")),
            immature="immature",
        )
        .sort("low", "failed", *by, descending=[True, True, *[False] * len(by)], nulls_last=True)
        .collect(engine="streaming")
    )
