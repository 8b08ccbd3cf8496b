"""What the statistical core finds in hourly counts, as candidates for a report, with charts and back-tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, replace
from typing import Any, cast

import polars as pl

from collector.analyse.anomalies import counts, durations, events, explain, gauges, told
from collector.analyse.anomalies.cube import Period
from collector.analyse.anomalies.options import SLOW, VOLUME
from collector.analyse.durations import SCALE
from collector.model.report import Backtest, Chart, Checked, Kind, Point, Value
from collector.model.statistics import wilson
from collector.model.units import DAY_NS, HOUR_NS
from collector.report import remembered
from collector.report.found import Direction, Found, Full, Look, Pace, Rate, Test
from collector.report.inputs import HISTORY_DAYS, Inputs
from collector.report.kinds.catalogue import KINDS
from collector.report.kinds.kind import OPTIONS, HourlyKind
from collector.report.remembered import PACES
from collector.report.subjects import busiest, kind_of, parse, series_of

_HYPOTHESIS = ["series", "metric", "direction"]
_TOLD = [*_HYPOTHESIS, "from_ns", "to_ns", "n", "x", "expected", "low", "high", "reason"]
"""What is told of the hours of a series that differs."""
_LEVEL = max(OPTIONS.q, OPTIONS.volume_q)
"""A test with a greater p fires by no rate."""
Gaps = Sequence[tuple[int, int]]


class Counted:
    """Hourly counts of one report and the core's tests on them."""

    def __init__(self, inputs: Inputs, gaps: Gaps) -> None:
        self._inputs = inputs
        self._period = Period(inputs.from_ns, inputs.to_ns, inputs.zone, gaps)
        metric = pl.when(pl.col("kind") == VOLUME).then(pl.lit(VOLUME)).otherwise(pl.col("kind").cast(pl.String))
        plain = busiest(inputs.counts).select("series", metric.alias("metric"), "hour_ns", "n", "x").collect()
        self._histograms = busiest(inputs.histograms).select("series", "hour_ns", "ix", "n").collect()
        self._limits = durations.thresholds(self._histograms, from_ns=inputs.from_ns, options=OPTIONS)
        paces = durations.exceedances(self._histograms, self._limits)
        self.rows = pl.concat([plain, paces])
        known, known_ns = remembered.known(inputs.previous)
        self.told = counts.told_before(self.rows, self._period, OPTIONS, known, known_ns)
        """What reports told so far, `told.TOLD`, in `look` this one as well."""
        self._period = replace(self._period, told=remembered.exceptions(self.told, inputs))
        self._rejected = 0.0
        """Share of all series, metrics and directions that a test rejects: for back-tests."""

    def look(self) -> Look:
        """Test everything and return what fires.

        A metric, a window and some series at a time, and of each no more is kept than can fire: a report over a month
        makes millions of tests.
        """
        families, likely, hourly = [], [], []
        for metric in self.rows["metric"].unique(maintain_order=True).to_list() or [VOLUME]:
            rows = self.rows.filter(pl.col("metric") == metric)
            sizes, kept, by_hour = [], [], []
            for tested in counts.parts(rows, self._period, OPTIONS):
                inside = tested.filter("eligible")
                sizes.append(inside.group_by(_HYPOTHESIS).agg(tests=pl.len()))
                kept.append(inside.filter(pl.col("p") <= _LEVEL))
                by_hour.append(tested.filter((pl.col("window_h") == 1) & ~pl.col("is_level")).select(_TOLD))
            size = pl.concat(sizes).group_by(_HYPOTHESIS).agg(pl.col("tests").sum())
            likely.append(counts.ranked(pl.concat(kept), size))
            families.append(counts.families(likely[-1], size))
            hourly += [some.join(likely[-1], on=_HYPOTHESIS, how="semi") for some in by_hour]
        every = pl.concat(families)
        decided = counts.gate(counts.with_q(pl.concat(likely), OPTIONS.q, every), OPTIONS)
        rejected = decided.filter(pl.col("q") <= OPTIONS.q).select(_HYPOTHESIS).n_unique()
        self._rejected = max(rejected, 1) / max(every.height, 1)
        every_hour = pl.concat(hourly).sort("from_ns")
        merged = events.merge(decided, OPTIONS)
        found = [self._event(row, every_hour) for row in merged.iter_rows(named=True)]
        is_level = pl.Series("is_level", [f.is_level for f in found], dtype=pl.Boolean)
        self.told = told.add(self.told, merged.with_columns(is_level))
        return Look(self._with_ranges(found), self._checked(every))

    def _event(self, row: dict[str, Any], hourly: pl.DataFrame) -> Found:
        """Return one event, narrowed down to the hours that make it up."""
        series, metric = parse(row["series"]), row["metric"]
        hours = hourly.filter(
            (pl.col("series") == row["series"])
            & (pl.col("metric") == metric)
            & (pl.col("direction") == row["direction"])
        )
        # Up to the end of what is judged: whether it goes on is a question to the hours after the window.
        inside = hours.filter(pl.col("from_ns") >= row["from_ns"])
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
        direction = cast(Direction, PACES.get(metric, row["direction"]))
        rate = self._rate(row["series"], metric, n, x, expected)
        is_volume = metric == VOLUME
        found = Found(
            series,
            direction,
            from_ns,
            to_ns,
            "count" if is_volume else "share",
            observed=Value(value=float(x)) if is_volume else _share(x, n),
            expected=Value(value=expected if is_volume else expected / max(n, 1)),
            facts=self._pace(rate, row["series"], metric, from_ns, to_ns) if metric in PACES else rate,
            excess=abs(x - expected),
            q=row["q"],
            is_level=is_level,
            test=Test(row["series"], metric, row["direction"]),
        )
        return replace(found, chart=self._chart(found, hours))

    def _rate(self, series: str, metric: str, n: int, x: int, expected: float) -> Rate:
        """Return *x* of *n* where *expected* were, beside the history of the series."""
        start = self._inputs.from_ns - HISTORY_DAYS * DAY_NS
        before = self.rows.filter(
            (pl.col("series") == series)
            & (pl.col("metric") == metric)
            & pl.col("hour_ns").is_between(start, self._inputs.from_ns, closed="left")
        )
        first = before["hour_ns"].min()
        days = (self._inputs.from_ns - int(first)) / DAY_NS if first is not None else 0.0  # type: ignore[arg-type]
        return Rate(n, x, expected, int(before["n"].sum()), int(before["x"].sum()), days)

    def _pace(self, rate: Rate, series: str, metric: str, from_ns: int, to_ns: int) -> Pace:
        """Return *rate* with percentiles of span and history, and beyond what a duration is slow (or fast)."""
        spans = pl.DataFrame(
            {
                "series": [series] * 2,
                "from_ns": [from_ns, self._inputs.from_ns - HISTORY_DAYS * DAY_NS],
                "to_ns": [to_ns, self._inputs.from_ns],
            }
        )
        histogram = self._histograms.filter(pl.col("series") == series)
        median, median_before = durations.compare(histogram, spans, permille=500)["estimate_ns"].to_list()
        p90, p90_before = durations.compare(histogram, spans, permille=900)["estimate_ns"].to_list()
        limits = self._limits.filter(pl.col("series") == series)
        edge = limits["slow_ix"][0] if metric == SLOW else limits["fast_ix"][0] - 1  # above its bucket; below it
        return Pace(
            **asdict(rate),
            threshold_ns=int(2 ** (edge / SCALE) * 1e6),
            median_ns=median,
            median_before_ns=median_before,
            p90_ns=p90,
            p90_before_ns=p90_before,
        )

    def _chart(self, found: Found, hours: pl.DataFrame) -> Chart:
        """Return the hours of the period, observed and expected, with the range that 95 % of such hours lie in."""
        is_count = found.unit == "count"
        points = []
        for r in hours.iter_rows(named=True):
            is_known = r["reason"] is None or not r["reason"].startswith("no telemetry")
            per = 1.0 if is_count else float(r["n"])
            shown = is_known and (is_count or r["n"] > 0)
            values = [round(r[c] / per, 6) if shown else None for c in ("x", "expected", "low", "high")]
            points.append(
                Point(
                    at_ns=r["from_ns"],
                    observed=values[0],
                    n=r["n"] if is_known else None,
                    expected=values[1],
                    low=values[2],
                    high=values[3],
                )
            )
        kind = KINDS[found.kind]
        assert isinstance(kind, HourlyKind)
        label = kind.axis(found)
        return Chart(unit=found.unit, label=label, bucket_ns=HOUR_NS, points=tuple(points))

    def _with_ranges(self, found: list[Found]) -> list[Found]:
        """Return *found* with expectations that say where 95 % of windows as long as theirs lie."""
        lengths = {(f.to_ns - f.from_ns) // HOUR_NS for f in found}
        if not lengths:
            return found
        names = {f.test.series for f in found if f.test}
        # Each span is a window that ends within the period, if it is not a level that began before it.
        some = tuple(sorted(lengths))
        options = replace(OPTIONS, windows_h=some, volume_windows_h=some)
        tested = counts.tests(self.rows.filter(pl.col("series").is_in(names)), self._period, options)
        return [_with_range(f, tested) for f in found]

    def _checked(self, eligible: pl.DataFrame) -> list[Checked]:
        """Return what was looked at of each kind. *eligible*: by `series`, how many `tests` of it could be judged."""
        rows = eligible.with_columns(kind=kind_of())
        seen = (
            pl.concat(
                [
                    series_of(self._inputs.counts.filter(pl.col("hour_ns") >= self._inputs.from_ns)),
                    series_of(self._inputs.histograms.filter(pl.col("hour_ns") >= self._inputs.from_ns)),
                    rows.select("series"),
                ]
            )
            .unique()
            .with_columns(kind=kind_of())
        )
        out = []
        for kind in Kind:
            of_kind = rows.filter(pl.col("kind") == kind.value)
            series, assessed = seen.filter(pl.col("kind") == kind.value).height, of_kind["series"].n_unique()
            if series:
                out.append(
                    Checked(
                        kind=kind,
                        series=series,
                        assessed=assessed,
                        too_little=series - assessed,
                        tests=int(of_kind["tests"].sum()),
                    )
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

    def backtest(self, found: Sequence[Found]) -> list[Found]:
        """Return *found* with how often their tests would have fired in the 28 days before.

        Each of those days is tested as its own report would have been, with what was known then, against the p that
        this report's discovery rate came to. Days at the beginning have too little history to fire.
        """
        tests = [f.test for f in found if f.test is not None]
        if not tests:
            return list(found)
        keys = pl.DataFrame(
            [astuple(test) for test in tests],
            schema=dict.fromkeys(_HYPOTHESIS, pl.String),
            orient="row",
        ).unique()
        rows = self.rows.join(keys.select("series", "metric").unique(), on=["series", "metric"], how="semi")
        days = []
        for day in range(HISTORY_DAYS, 0, -1):
            from_ns = self._inputs.from_ns - day * DAY_NS
            period = replace(self._period, from_ns=from_ns, to_ns=from_ns + DAY_NS)
            tested = counts.tests(rows, period, OPTIONS)
            judged = self._replayed(tested.join(keys, on=_HYPOTHESIS, how="semi"))
            days.append(counts.gate(judged, OPTIONS).with_columns(day=pl.lit(day)))
        tried = pl.concat(days)
        fired = events.merge(tried.drop("day"), OPTIONS)
        return [f if f.test is None else replace(f, backtest=_tried(f.test, tried, fired)) for f in found]


def _with_range(found: Found, tested: pl.DataFrame) -> Found:
    """Return *found* with the range of its own window among *tested*, where it is one."""
    assert found.test is not None
    span = (pl.col("from_ns") == found.from_ns) & (pl.col("to_ns") == found.to_ns) & ~pl.col("is_level")
    hit = tested.filter(_is(found.test) & span)
    if not hit.height:
        return found
    per = 1.0 if found.unit == "count" else max(found.of(Rate).n, 1)
    low, high = hit["low"][0] / per, hit["high"][0] / per
    return replace(found, expected=Value(value=found.expected.value, low=low, high=high))


def _tried(test: Test, tried: pl.DataFrame, fired: pl.DataFrame) -> Backtest:
    days = tried.filter(_is(test) & pl.col("eligible"))["day"].n_unique()
    return Backtest(days=HISTORY_DAYS, fired=fired.filter(_is(test)).height, assessed_days=float(days))


def _is(test: Test) -> pl.Expr:
    return pl.all_horizontal(pl.col(name) == value for name, value in asdict(test).items())


def full_queues(inputs: Inputs, gaps: Gaps) -> Look:
    """Return the hours in which queues were full while runs waited, far beyond the usual of the hour."""
    every = busiest(inputs.full_queues, "value")
    values = every.select("series", pl.lit("saturation").alias("metric"), "hour_ns", "value").collect()
    if values.is_empty():
        return Look([], [])
    tested = gauges.tests(values, Period(inputs.from_ns, inputs.to_ns, inputs.zone, gaps), OPTIONS)
    found = []
    for row in gauges.merge(tested, OPTIONS).iter_rows(named=True):
        of_queue = tested.filter((pl.col("series") == row["series"]) & (pl.col("direction") == row["direction"]))
        points = tuple(
            Point(
                at_ns=r["hour_ns"],
                observed=round(r["value"], 6),
                expected=round(r["expected"], 6),
                low=round(max(0.0, r["low"]), 6),
                high=round(min(1.0, r["high"]), 6),
            )
            for r in of_queue.sort("hour_ns").iter_rows(named=True)
        )
        hours = (row["to_ns"] - row["from_ns"]) // HOUR_NS
        found.append(
            Found(
                parse(row["series"]),
                row["direction"],
                row["from_ns"],
                row["to_ns"],
                "share",
                observed=Value(value=row["value"]),
                expected=Value(value=row["expected"], low=max(0.0, row["low"]), high=min(1.0, row["high"])),
                facts=Full(hours),
                chart=Chart(
                    unit="share",
                    label="share of the hour in which the queue was full while runs waited",
                    bucket_ns=HOUR_NS,
                    points=points,
                ),
            )
        )
    series, assessed = values["series"].n_unique(), tested.filter("eligible")["series"].n_unique()
    tests = tested.filter("eligible").height
    checked = Checked(kind=Kind.SATURATION, series=series, assessed=assessed, too_little=series - assessed, tests=tests)
    return Look(found, [checked])


def _share(x: int, n: int) -> Value:
    low, high = wilson(x, n)
    return Value(value=x / n if n else None, low=low, high=high, hits=x, n=n)
