"""What the statistical core finds in hourly counts, as candidates for a report, with charts and back-tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import polars as pl

from collector.analyse.anomalies import counts, durations, events, explain, gauges
from collector.analyse.anomalies.options import FAST, SLOW, VOLUME, Options
from collector.analyse.durations import SCALE
from collector.model.report import Backtest, Chart, Checked, Kind, Point, Value
from collector.model.statistics import wilson
from collector.report import words
from collector.report.inputs import DAY_NS, HISTORY_DAYS, HOUR_NS, Found, Inputs, Look
from collector.report.subjects import busiest, kind_of, named, parse

OPTIONS = Options()
_PACES = {SLOW: "up", FAST: "down"}
_DURATIONS = (Kind.DURATION, Kind.QUEUE_WAIT, Kind.CALL_DURATION, Kind.OPERATION_DURATION)
_KINDS = (
    Kind.FAILURES, Kind.RETRIES, Kind.DURATION, Kind.VOLUME, Kind.CALL_FAILURES, Kind.CALL_DURATION,
    Kind.OPERATION_FAILURES, Kind.OPERATION_DURATION, Kind.QUEUE_WAIT, Kind.STUCK, Kind.FINDINGS,
)  # fmt: skip
_LABELS = {
    Kind.FAILURES: "share of runs that failed",
    Kind.RETRIES: "share of attempts that are retries",
    Kind.CALL_FAILURES: "share of calls that failed",
    Kind.OPERATION_FAILURES: "share of operations that failed",
    Kind.VOLUME: "runs that arrived per hour",
    Kind.STUCK: "share of runs that fell silent",
    Kind.FINDINGS: "share of runs that break the convention",
}
VOLUME_DAYS = 14
"""Days of history below which nobody knows what is usual for a day of the week, so that no arrivals are judged."""
_HYPOTHESIS = ["series", "metric", "direction"]
Gaps = Sequence[tuple[int, int]]


def _with_weeks(rows: pl.DataFrame, from_ns: int) -> pl.DataFrame:
    """Return *rows* without the arrivals of tasks that were first seen too short before *from_ns*."""
    first = pl.col("hour_ns").min().over("series", "metric")
    return rows.filter((pl.col("metric") != VOLUME) | (first <= from_ns - VOLUME_DAYS * DAY_NS))


class Counted:
    """Hourly counts of one report and the core's tests on them."""

    def __init__(self, given: Inputs, gaps: Gaps) -> None:
        self._given = given
        self._gaps = gaps
        plain = busiest(given.counts).select(
            named(), metric=pl.when(pl.col("kind") == VOLUME).then(pl.lit(VOLUME)).otherwise("kind"),
            hour_ns="hour_ns", n="n", x="x",
        )  # fmt: skip
        plain = _with_weeks(plain, given.from_ns)
        self._histograms = busiest(given.histograms).select(named(), "hour_ns", "ix", "n")
        self._limits = durations.thresholds(self._histograms, from_ns=given.from_ns, options=OPTIONS)
        paces = durations.exceedances(self._histograms, from_ns=given.from_ns, options=OPTIONS)
        self.rows = pl.concat([plain, paces])
        self._rejected = 0.0
        """Share of all series, metrics and directions that a test rejects: for back-tests."""

    def look(self) -> Look:
        """Test everything and return what fires."""
        g = self._given
        tested = self._tests(self.rows, g.from_ns, g.to_ns, OPTIONS)
        decided = counts.decide(tested, OPTIONS)
        hypotheses = decided.filter("eligible").group_by(_HYPOTHESIS).agg(pl.col("q").min())["q"]
        self._rejected = max(int((hypotheses <= OPTIONS.q).sum()), 1) / max(hypotheses.len(), 1)
        merged = events.merge(decided, OPTIONS)
        hourly = decided.filter((pl.col("window_h") == 1) & ~pl.col("is_level")).sort("from_ns")
        found = [self._found(row, hourly) for row in merged.iter_rows(named=True)]
        self._ranges(found)
        return Look(found, self._checked(decided))

    def _tests(self, rows: pl.DataFrame, from_ns: int, to_ns: int, options: Options) -> pl.DataFrame:
        return counts.tests(
            rows, from_ns=from_ns, to_ns=to_ns, zone=self._given.zone, options=options, gaps=self._gaps
        )  # fmt: skip

    def _found(self, row: dict[str, Any], hourly: pl.DataFrame) -> Found:
        """Return one event, narrowed down to the hours that make it up."""
        series, metric = parse(row["series"]), row["metric"]
        own = hourly.filter(
            (pl.col("series") == row["series"])
            & (pl.col("metric") == metric)
            & (pl.col("direction") == row["direction"])
        )
        # Up to the end of what is judged: whether it goes on is a question to the hours after the window.
        inside = own.filter(pl.col("from_ns") >= row["from_ns"])
        window = int((inside["to_ns"] <= row["to_ns"]).sum())
        a, b = explain.densest(inside["x"].to_list(), inside["expected"].to_list(), window)
        # A level has lasted for a day; where the change came later than that, it is not known yet to be one.
        is_level = row["is_level"] and row["to_ns"] - inside["from_ns"][a] >= OPTIONS.level_h * HOUR_NS
        if is_level:
            n, x, expected, from_ns, to_ns = row["n"], row["x"], row["expected"], row["from_ns"], row["to_ns"]
        else:
            part = inside[a:b]
            n, x, expected = int(part["n"].sum()), int(part["x"].sum()), float(part["expected"].sum())
            from_ns, to_ns = int(part["from_ns"][0]), int(part["to_ns"][-1])
        is_volume = metric == VOLUME
        direction = cast(Literal["up", "down"], _PACES.get(metric, row["direction"]))
        found = Found(
            series, direction, from_ns, to_ns, "count" if is_volume else "share",
            observed=Value(value=float(x)) if is_volume else _share(x, n),
            expected=Value(value=expected if is_volume else expected / max(n, 1)),
            excess=abs(x - expected), q=row["q"], is_level=is_level,
            test=(row["series"], metric, row["direction"]),
        )  # fmt: skip
        found.facts = {"n": n, "x": x, "expected": expected, **self._history(row["series"], metric)}
        if series.kind in _DURATIONS:
            self._pace(found, row["series"], metric)
        found.chart = self._chart(found, own)
        return found

    def _history(self, series: str, metric: str) -> dict[str, Any]:
        before = self.rows.filter(
            (pl.col("series") == series) & (pl.col("metric") == metric) & (pl.col("hour_ns") < self._given.from_ns)
            & (pl.col("hour_ns") >= self._given.from_ns - HISTORY_DAYS * DAY_NS)
        )  # fmt: skip
        first = before["hour_ns"].min()
        days = (self._given.from_ns - int(first)) / DAY_NS if first is not None else 0.0  # type: ignore[arg-type]
        return {"history_n": int(before["n"].sum()), "history_x": int(before["x"].sum()), "history_days": days}

    def _pace(self, found: Found, series: str, metric: str) -> None:
        """Add medians and 90th percentiles of span and history, and beyond what a duration is slow (or fast)."""
        start = self._given.from_ns - HISTORY_DAYS * DAY_NS
        spans = pl.DataFrame({
            "series": [series] * 2, "from_ns": [found.from_ns, start], "to_ns": [found.to_ns, self._given.from_ns],
        })  # fmt: skip
        own = self._histograms.filter(pl.col("series") == series)
        for name, permille in (("median", 500), ("p90", 900)):
            values = durations.compare(own, spans, permille=permille)["estimate_ns"].to_list()
            found.facts |= {f"{name}_ns": values[0], f"{name}_before_ns": values[1]}
        limits = self._limits.filter(pl.col("series") == series)
        ix = limits["slow_ix" if metric == SLOW else "fast_ix"][0]
        edge = ix if metric == SLOW else ix - 1  # slow: above the bucket; fast: below it
        found.threshold_ns = int(2 ** (edge / SCALE) * 1e6)
        found.facts["threshold_ns"] = found.threshold_ns

    def _chart(self, found: Found, own: pl.DataFrame) -> Chart:
        """Return the hours of the period, observed and expected, with the range that 95 % of such hours lie in."""
        is_count = found.unit == "count"
        points = []
        for r in own.iter_rows(named=True):
            known = r["reason"] is None or not r["reason"].startswith("no telemetry")
            per = 1.0 if is_count else float(r["n"])
            shown = known and (is_count or r["n"] > 0)
            values = [round(r[c] / per, 6) if shown else None for c in ("x", "expected", "low", "high")]
            points.append(
                Point(at_ns=r["from_ns"], observed=values[0], n=r["n"] if known else None, expected=values[1],
                      low=values[2], high=values[3])
            )  # fmt: skip
        label = _LABELS.get(found.kind) or words.paced(found)
        return Chart(unit=found.unit, label=label, bucket_ns=HOUR_NS, points=tuple(points))

    def _ranges(self, found: list[Found]) -> None:
        """Add to the expectations of *found* where 95 % of windows as long as theirs lie."""
        lengths = {(f.to_ns - f.from_ns) // HOUR_NS for f in found}
        if not lengths:
            return
        names = {f.test[0] for f in found if f.test}
        # Each span is a window that ends within the period, if it is not a level that began before it.
        options = replace(OPTIONS, windows_h=tuple(sorted(lengths)))
        tested = self._tests(
            self.rows.filter(pl.col("series").is_in(names)), self._given.from_ns, self._given.to_ns, options
        )
        for f in found:
            assert f.test is not None
            hit = tested.filter(
                (pl.col("series") == f.test[0]) & (pl.col("metric") == f.test[1]) & (pl.col("direction") == f.test[2])
                & (pl.col("from_ns") == f.from_ns) & (pl.col("to_ns") == f.to_ns) & ~pl.col("is_level")
            )  # fmt: skip
            if hit.height:
                per = 1.0 if f.unit == "count" else max(f.facts["n"], 1)
                low, high = hit["low"][0] / per, hit["high"][0] / per
                f.expected = Value(value=f.expected.value, low=low, high=high)

    def _checked(self, decided: pl.DataFrame) -> list[Checked]:
        rows = decided.with_columns(kind=kind_of())
        seen = pl.concat([
            self._given.counts.filter(pl.col("hour_ns") >= self._given.from_ns).select(named()),
            self._given.histograms.filter(pl.col("hour_ns") >= self._given.from_ns).select(named()),
            rows.filter("eligible").select("series"),
        ]).unique().with_columns(kind=kind_of())  # fmt: skip
        out = []
        for kind in _KINDS:
            own = rows.filter((pl.col("kind") == kind.value) & pl.col("eligible"))
            series, assessed = seen.filter(pl.col("kind") == kind.value).height, own["series"].n_unique()
            if series:
                out.append(
                    Checked(kind=kind, series=series, assessed=assessed, too_little=series - assessed, tests=own.height)
                )
        return out

    def _replayed(self, tested: pl.DataFrame) -> pl.DataFrame:
        """Return *tested* with the q that `counts.decide` gives where other series stand as they do in this report."""
        m = pl.len().over(_HYPOTHESIS)
        rate = pl.when(pl.col("metric") == VOLUME).then(OPTIONS.volume_q).otherwise(OPTIONS.q)
        inside = (
            tested.filter("eligible")
            .sort("p")
            .with_columns(q=(pl.col("p") * m / pl.int_range(1, pl.len() + 1).over(_HYPOTHESIS)).clip(0, 1))
            .with_columns(q=pl.col("q").reverse().cum_min().reverse().over(_HYPOTHESIS))
            .with_columns(is_rejected=pl.col("q").min().over(_HYPOTHESIS) <= rate * self._rejected)
        )
        return inside.with_columns(q=pl.when("is_rejected").then("q").otherwise(1.0)).drop("is_rejected")

    def backtest(self, found: Sequence[Found]) -> None:
        """Add to each of *found* how often its test would have fired in the 28 days before.

        Each of those days is tested as its own report would have been, with what was known then, against the p that
        this report's discovery rate came to. Days at the beginning have too little history to fire.
        """
        own = [f for f in found if f.test is not None]
        if not own:
            return
        keys = pl.DataFrame(
            [f.test for f in own],
            schema=dict.fromkeys(_HYPOTHESIS, pl.String),
            orient="row",
        ).unique()
        rows = self.rows.join(keys.select("series", "metric").unique(), on=["series", "metric"], how="semi")
        days = []
        for day in range(HISTORY_DAYS, 0, -1):
            from_ns = self._given.from_ns - day * DAY_NS
            tested = self._tests(_with_weeks(rows, from_ns), from_ns, from_ns + DAY_NS, OPTIONS)
            judged = self._replayed(tested.join(keys, on=_HYPOTHESIS, how="semi"))
            days.append(counts.gate(judged, OPTIONS).with_columns(day=pl.lit(day)))
        tried = pl.concat(days)
        fired = events.merge(tried.drop("day"), OPTIONS)
        for f in own:
            assert f.test is not None
            same = [pl.col(c) == v for c, v in zip(("series", "metric", "direction"), f.test, strict=True)]
            f.backtest = Backtest(
                days=HISTORY_DAYS,
                fired=fired.filter(same).height,
                assessed_days=float(tried.filter(*same, pl.col("eligible"))["day"].n_unique()),
            )


def full_queues(given: Inputs, gaps: Gaps) -> Look:
    """Return the hours in which queues were full while runs waited, far beyond the usual of the hour."""
    values = busiest(given.full_queues, "value").select(
        named(), metric=pl.lit("saturation"), hour_ns="hour_ns", value="value"
    )
    if values.is_empty():
        return Look([], [])
    tested = gauges.tests(values, from_ns=given.from_ns, to_ns=given.to_ns, zone=given.zone, options=OPTIONS, gaps=gaps)
    found = []
    for row in gauges.merge(tested, OPTIONS).iter_rows(named=True):
        own = tested.filter((pl.col("series") == row["series"]) & (pl.col("direction") == row["direction"]))
        points = tuple(
            Point(at_ns=r["hour_ns"], observed=round(r["value"], 6), expected=round(r["expected"], 6),
                  low=round(max(0.0, r["low"]), 6), high=round(min(1.0, r["high"]), 6))
            for r in own.sort("hour_ns").iter_rows(named=True)
        )  # fmt: skip
        hours = (row["to_ns"] - row["from_ns"]) // HOUR_NS
        found.append(
            Found(
                parse(row["series"]), row["direction"], row["from_ns"], row["to_ns"], "share",
                observed=Value(value=row["value"]),
                expected=Value(value=row["expected"], low=max(0.0, row["low"]), high=min(1.0, row["high"])),
                facts={"hours": hours, "z": row["z"]},
                chart=Chart(unit="share", label="share of the hour in which the queue was full while runs waited",
                            bucket_ns=HOUR_NS, points=points),
            )
        )  # fmt: skip
    series, assessed = values["series"].n_unique(), tested.filter("eligible")["series"].n_unique()
    tests = tested.filter("eligible").height
    checked = Checked(kind=Kind.SATURATION, series=series, assessed=assessed, too_little=series - assessed, tests=tests)
    return Look(found, [checked])


def _share(x: int, n: int) -> Value:
    low, high = wilson(x, n)
    return Value(value=x / n if n else None, low=low, high=high, hits=x, n=n)
