"""What `bench.anomalies` missed and told falsely, a row each: what happened, what was seen, which gate stopped it.

A gate stopped a test if the test does not pass it with all other gates open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from bench.anomaly_score import CONTRARY, LARGE, METRICS, PAD_H, WRONG, of_events, verdicts
from bench.worlds import START_NS, Incident, World
from collector.analyse.anomalies import counts
from collector.analyse.anomalies.options import Options
from collector.model.units import HOUR_NS

OPEN: dict[str, dict[str, Any]] = {
    "q": {"q": 1.0, "retries_q": 1.0, "pace_q": 1.0, "volume_q": 1.0},
    "usual": {"usual_days": 10_000},
    "excess": {"least_excess": -1e9, "volume_least_excess": -1e9},
    "ratio": {"least_ratio": 0.0, "pace_ratio": 0.0, "volume_least_ratio": 0.0},
    "difference": {"least_difference": -1e9, "many_difference": -1e9, "pace_difference": -1e9},
    "inside": {"least_inside": -1e9},
}
"""Each gate, and settings that let everything pass it."""
TOUCHES = (pl.col("from_ns") < START_NS + (pl.col("end") + PAD_H) * HOUR_NS) & (
    pl.col("to_ns") > START_NS + pl.col("begin") * HOUR_NS
)
"""Whether a test's window touches a row of `planted`."""


@dataclass(frozen=True)
class Told:
    """A world, the tests of its reports (with `report`), and what they told of counts and of gauges."""

    world: World
    decided: pl.DataFrame
    events: pl.DataFrame
    full: pl.DataFrame

    def events_of(self, metric: str) -> pl.DataFrame:
        """Return the events of *metric*."""
        return self.full if metric == "saturation" else self.events.filter(metric=metric)

    def load(self, metric: str, series: int) -> str | None:
        """Return the kind of load of a task, None for a queue."""
        return None if metric == "saturation" else self.world.loads[series]

    def verdicts(self, metric: str) -> tuple[list[str], list[bool]]:
        """Return what the events of *metric* are, and which of its incidents were found."""
        contrary = [one for one in self.world.incidents if one.metric == CONTRARY.get(metric)]
        mine = [one for one in self.world.incidents if one.metric == metric]
        return verdicts(of_events(self.events_of(metric)), mine, contrary)


def planted(incidents: list[Incident]) -> pl.DataFrame:
    """Return *incidents* as rows: incident (its number), series, metric, direction, kind, begin, end, size."""
    return pl.DataFrame(
        {
            "incident": range(len(incidents)),
            "series": [f"s{one.series:03}" for one in incidents],
            "metric": [one.metric for one in incidents],
            "direction": [one.direction for one in incidents],
            "kind": [one.kind for one in incidents],
            "begin": [one.begin for one in incidents],
            "end": [one.to for one in incidents],
            "size": [one.excess for one in incidents],
        }
    )


def misses(told: Told, options: Options) -> pl.DataFrame:
    """Return each incident of `LARGE` or more hits that was not found, and the best test that touches it."""
    found: dict[str, list[bool]] = {}
    lost = []
    for one in told.world.incidents:
        if one.metric not in found:
            found[one.metric] = told.verdicts(one.metric)[1]
        if not found[one.metric].pop(0) and one.excess >= LARGE:
            lost.append(one)
    loads = [told.load(one.metric, one.series) for one in lost]
    rows = planted(lost).with_columns(load=pl.Series(loads, dtype=pl.String))
    keys = ["series", "metric", "direction"]
    touching = _judged(told.decided, options).join(rows, on=keys).filter(TOUCHES)
    best = touching.sort("gates", "q", "p", nulls_last=True).group_by("incident").first()
    shown = rows.join(best.select("incident", "report", *_SEEN), on="incident", how="left")
    return shown.sort("metric", "kind", "size").select(
        "metric", "kind", "series", "load", "begin", "end", "size", "report", *_SEEN
    )


_SEEN = ("window_h", "n", "x", "expected", "p", "q", "usual_days", "excess_inside", "stopped")


def _judged(decided: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Return tests with their q, the names of the gates that they did not pass, and how many."""
    every: dict[str, Any] = {name: value for gate in OPEN.values() for name, value in gate.items()}
    reports = decided.partition_by("report", maintain_order=True)
    judged = pl.concat(counts.with_q(report, options.q) for report in reports)
    for gate, settings in OPEN.items():
        alone = replace(options, **{**every, **{name: getattr(options, name) for name in settings}})
        judged = judged.with_columns(counts.gate(judged, alone)["fires"].not_().alias(f"{gate} gate"))
    stopped = pl.concat_str([pl.when(f"{gate} gate").then(pl.lit(f"{gate} ")).otherwise(pl.lit("")) for gate in OPEN])
    stopped = pl.when("eligible").then(stopped.str.strip_chars()).otherwise("reason")
    return judged.with_columns(stopped=stopped, gates=pl.sum_horizontal(pl.col("^.* gate$")))


def false(told: Told, options: Options) -> pl.DataFrame:
    """Return each false alarm: where, when (hours of the world, day of the week, UTC), what was seen."""
    parts = []
    for metric in METRICS:
        events = told.events_of(metric)
        wrong = events.filter(pl.Series(told.verdicts(metric)[0], dtype=pl.String) == WRONG)
        parts.append(of_events(wrong).hstack(wrong.drop("series", "direction", "from_ns", "to_ns")))
    shown = pl.concat(parts, how="diagonal_relaxed").sort("metric", "series", "begin")
    loads = pl.Series("load", [told.load(*key) for key in shown.select("metric", "series").iter_rows()], pl.String)
    return shown.hstack([loads]).select(
        *(
            "metric",
            "series",
            "load",
            "direction",
            "begin",
            "to",
            "is_level",
            "window_h",
            "n",
            "x",
            "value",
            "expected",
        ),
        *("p", "q"),
        weekday=pl.col("begin") // 24 % 7,
        hour=pl.col("begin") % 24,
    )
