"""Percentiles and intervals against sorted lists, exact binomials and a Kaplan-Meier estimate by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_runs import MS, History, histories, population

from collector.analyse import durations, percentiles, survival
from collector.model import statistics
from collector.model.shown import duration
from tests.length import examples

SECOND = 1_000_000_000
lengths = st.one_of(st.integers(0, 50), st.integers(0, 10**13))


def values(ended: list[int], open_: list[int] = (), outcome: str = "completed") -> pl.DataFrame:  # type: ignore[assignment]
    """Return durations as `durations.values` gives them."""
    rows = [{"value_ns": v, "is_open": False, "outcome": outcome} for v in ended]
    rows += [{"value_ns": v, "is_open": True, "outcome": "running"} for v in open_]
    schema = {"value_ns": pl.Int64, "is_open": pl.Boolean, "outcome": pl.String}
    about = {"project": pl.lit("default"), "measure": pl.lit("attempt"), "weakness": pl.lit(0)}
    return pl.DataFrame(rows, schema=schema).with_columns(**about)


def by_statistic(report: pl.DataFrame, outcome: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the rows of one outcome by statistic."""
    of_outcome = report.filter(pl.col("outcome").eq_missing(pl.lit(outcome)))
    return {r["statistic"]: r for r in of_outcome.rows(named=True)}


def test_what_nobody_told_is_what_coverage_lacks() -> None:
    """A duration that must have been and was not told, and an attempt that left no record, are in no number but it."""
    known = values([10, 20, 30], [5]).with_columns(missing=pl.Series([0, 2, 0, 0]))
    untold = values([0, 0]).with_columns(value_ns=pl.lit(None, pl.Int64), missing=pl.lit(1))
    report = percentiles.exact(pl.concat([known, untold], how="diagonal_relaxed"), ["project"])
    assert {r["coverage"] for r in by_statistic(report).values()} == {3 / 8}
    assert {r["coverage"] for r in by_statistic(report, "completed").values()} == {1.0}
    assert (by_statistic(report)["mean"]["value"], by_statistic(report)["count"]["value"]) == (20, 3)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(lengths, min_size=1, max_size=300))
def test_percentiles_are_values_at_their_nearest_rank(ended: list[int]) -> None:
    """The least value with at least that share at or below; none under 20, which are listed, no 99th under 100."""
    report = by_statistic(percentiles.exact(values(ended), ["project"]))
    ordered = sorted(ended)
    for statistic, p in (("p50", Fraction(1, 2)), ("p95", Fraction(95, 100)), ("p99", Fraction(99, 100))):
        row = report[statistic]
        assert row["n"] == len(ended)
        if len(ended) < (100 if statistic == "p99" else 20):
            assert (row["value"], row["low"], row["high"], row["provenance"]) == (None, None, None, "unknown")
            assert row["note"].startswith("fewer than")
            continue
        least = min(v for v in ordered if Fraction(sum(x <= v for x in ordered), len(ordered)) >= p)
        assert row["value"] == least
        low, high = exact_ranks(len(ended), p)
        assert row["low"] == (None if low is None else ordered[low - 1])
        assert row["high"] == (None if high is None else ordered[high - 1])
    assert report["mean"]["value"] == pytest.approx(sum(ended) / len(ended))
    assert report["max"]["value"] == ordered[-1]
    if len(ended) < 20:
        assert report["p50"]["note"] == f"fewer than 20 values: {', '.join(map(duration, ordered))}"


def exact_ranks(n: int, p: Fraction) -> tuple[int | None, int | None]:
    """Return the ranks of the order-statistic interval by adding exact binomial fractions."""
    below, tail = Fraction(0), Fraction(1, 40)
    low, high = 0, n + 1
    for k in range(n + 1):
        if below <= tail:
            low = k
        if below >= 1 - tail:
            high = k
            break
        below += math.comb(n, k) * p**k * (1 - p) ** (n - k)
    return (low if low >= 1 else None), (high if high <= n else None)


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(1, 400), st.sampled_from([500, 950, 990]))
@example(5, 500)
@example(6, 500)
def test_rank_intervals_hold_their_confidence(n: int, permille: int) -> None:
    """The interval's ranks are those of the exact binomial, and cover the percentile with at least 95 %."""
    p = Fraction(permille, 1000)
    low, high = statistics.rank_interval(n, permille)
    assert (low, high) == exact_ranks(n, p)
    if low is not None and high is not None:
        assert sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(low, high)) >= Fraction(95, 100)


def test_the_normal_approximation_is_off_by_a_rank_at_most() -> None:
    """Above 20,000 values the exact sum would take long, and hardly differs."""
    for n in (20_001, 54_321, 123_456):
        for permille in (500, 950, 990):
            exact = statistics._binomial_ranks(n, permille / 1000)
            for quick, slow in zip(statistics.rank_interval(n, permille), exact, strict=True):
                assert quick is not None
                assert abs(quick - slow) <= 1


@given(st.integers(0, 2000), st.integers(0, 2000))
@example(1, 3)
def test_wilson_bounds_solve_the_score_equation(hits: int, n: int) -> None:
    """At both bounds the observed share lies 1.96 standard errors away, which is what the interval means."""
    hits = min(hits, n)
    low, high = statistics.wilson(hits, n)
    assert 0 <= low <= high <= 1
    if n == 0:
        assert (low, high) == (0, 1)
        return
    for bound in (low, high):
        if 0 < bound < 1:
            distance = abs(hits / n - bound)
            assert distance == pytest.approx(statistics.Z * math.sqrt(bound * (1 - bound) / n), rel=1e-6, abs=1e-9)


def kaplan_meier(ended: list[int], open_: list[int]) -> list[tuple[int, Fraction]]:
    """Return (t, S(t)) with exact fractions."""
    survival_, curve = Fraction(1), []
    for t in sorted(set(ended) | set(open_)):
        at_risk = sum(v >= t for v in ended) + sum(v >= t for v in open_)
        survival_ *= 1 - Fraction(ended.count(t), at_risk)
        curve.append((t, survival_))
    return curve


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(lengths, min_size=1, max_size=80), st.lists(lengths, max_size=80), st.lists(lengths, max_size=40))
def test_what_has_not_ended_still_counts(ended: list[int], running: list[int], canceled: list[int]) -> None:
    """With more than 1 % open or cut short, percentiles are Kaplan-Meier's, or longer than the longest seen."""
    every = pl.concat([values(ended, running), values(canceled, outcome="canceled")])
    report = percentiles.exact(every, ["project"])
    open_ = running + canceled
    curve = kaplan_meier(ended, open_)
    row = by_statistic(report)["p50"]
    over = len(ended) + len(canceled)
    assert (row["n"], row["coverage"]) == (over, pytest.approx(over / (over + len(running))))
    if len(ended) < 20:
        assert row["value"] is None
    else:
        reached = [t for t, s in curve if s <= Fraction(1, 2)]
        assert row["value"] == (min(reached) if reached else None)
        if open_ and reached:
            assert row["note"].startswith("Kaplan-Meier")
        if not reached:
            assert row["note"].startswith("longer than")
    points = survival.curve(values(ended, open_), ["project"]).collect()
    assert points["t"].to_list() == [t for t, _ in curve]
    assert points["survival"].to_list() == pytest.approx([float(s) for _, s in curve])
    assert by_statistic(report, "completed")["max"]["value"] == max(ended)
    waits = percentiles.exact(every.filter(~pl.col("is_open")).with_columns(measure=pl.lit("queue_wait")), ["project"])
    ordered = sorted(ended + canceled)
    if len(ordered) >= 20:
        # The wait of a run that was canceled later is as long as any.
        assert by_statistic(waits)["p50"]["value"] == ordered[statistics.nearest_rank(len(ordered), 500) - 1]


def test_a_mean_has_one_interval_in_whatever_order_durations_come() -> None:
    """Sums of floats depend on their order, and no number does."""
    lengths = [(10**9 + n * 7_777_777_777) % 10**12 for n in range(200)]
    rows = pl.DataFrame({"measure": "wall", "outcome": "completed", "value_ns": lengths, "weakness": 0})
    rows = rows.with_columns(is_open=pl.col("value_ns") % 7 == 0, task_id=pl.col("value_ns") % 3)
    told = [percentiles.exact(rows.sample(fraction=1, shuffle=True, seed=n), ["task_id"]) for n in range(30)]
    assert all(other.equals(told[0]) for other in told)


def test_finished_runs_alone_flatter_the_median() -> None:
    """Sixty quick runs that ended and forty slow ones that have not: the median is theirs, not the quick ones'."""
    quick, slow = [SECOND * i for i in range(1, 61)], [SECOND * 1000] * 40
    assert by_statistic(percentiles.exact(values(quick), ["project"]))["p50"]["value"] == 30 * SECOND
    row = by_statistic(percentiles.exact(values(quick, slow), ["project"]))["p50"]
    assert row["value"] == 50 * SECOND
    assert row["low"] < row["value"] < row["high"]


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 100), st.booleans()), min_size=1, max_size=60))
def test_what_began_before_the_watch_is_at_risk_from_then_on(lives: list[tuple[int, int, bool]]) -> None:
    """A run that was only watched from its entry on could not have been seen to end before."""
    rows = [(v, e if e < v else None, o) for v, e, o in lives]
    frame = pl.DataFrame(
        [{"project": "p", "value_ns": v, "entry_ns": e, "is_open": o} for v, e, o in rows],
        schema={"project": pl.String, "value_ns": pl.Int64, "entry_ns": pl.Int64, "is_open": pl.Boolean},
    )
    points = survival.curve(frame, ["project"]).collect()
    expected = 1.0
    for t, at_risk, s in points.select("t", "at_risk", "survival").rows():
        risk = sum((e is None or e < t) and v >= t for v, e, _ in rows)
        assert at_risk == risk
        expected *= 1 - sum(v == t and not o for v, _, o in rows) / risk
        assert s == pytest.approx(expected, abs=1e-12)


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.integers(0, 10**14), min_size=100, max_size=400), st.integers(1, 5))
def test_merged_histograms_estimate_within_their_error(ended: list[int], parts: int) -> None:
    """However the values are dealt out over hours, the estimate is within 2.2 % of the value, and says it is one."""
    report = by_statistic(percentiles.estimate(buckets(values(ended), parts), ["project"]))
    ordered = sorted(ended)
    for permille in (500, 950, 990):
        row = report[f"p{permille / 10:g}"]
        true = ordered[statistics.nearest_rank(len(ordered), permille) - 1]
        if true <= 1_000:
            assert row["value"] == 0
        else:
            assert row["value"] == pytest.approx(true, rel=durations.RELATIVE_ERROR * 1.001 + 1e-6, abs=1)
        assert row["note"].startswith("estimated")
    assert report["mean"]["value"] == pytest.approx(sum(ended) / len(ended), rel=1e-9)


def buckets(frame: pl.DataFrame, parts: int = 1) -> pl.DataFrame:
    """Return durations as `duration_hours` has them, dealt out over hours."""
    dealt = frame.with_columns(ix=durations.bucket(), hour=pl.int_range(pl.len()) % parts)
    return dealt.group_by("project", "measure", "outcome", "hour", "ix").agg(
        n=pl.len(), total_ns=pl.col("value_ns").sum(), derived_n=pl.lit(0), inferred_n=pl.lit(0)
    )


some = st.lists(st.one_of(lengths, st.integers(10**9, 2 * 10**9)), max_size=150)
seconds = [SECOND * i for i in range(1, 1000)]


@settings(max_examples=examples(25), deadline=None)
@given(some, some, st.integers(1, 5))
@example(seconds, seconds[300:330], 2)
@example(seconds, seconds[:9], 2)
def test_histograms_count_what_was_cut_short_as_durations_do(ended: list[int], canceled: list[int], parts: int) -> None:
    """Percentiles of histograms are as near those of the same durations as their note says: 2.2 %, and more only where
    order within buckets decides. They are unknown where those are, or where all they tell is that it takes longer."""
    every = pl.concat([values(ended), values(canceled, outcome="canceled")])
    exact = by_statistic(percentiles.exact(every, ["project"]))
    for name, told in by_statistic(percentiles.estimate(buckets(every, parts), ["project"])).items():
        true, note = exact[name], told["note"] or ""
        if told["value"] is None:
            assert true["value"] is None or note.startswith("longer than")
        elif "estimated" in note:
            within = note.split("within ")[1]
            assert told["value"] == pytest.approx(true["value"], rel=float(within[:-1]) / 100 + 0.001, abs=1_001)
            assert within == "2.2%" or canceled not in ([], seconds[:9], seconds[300:330])
            assert note.startswith("Kaplan-Meier") == (true["note"] or "").startswith("Kaplan-Meier")
            if note.startswith("Kaplan-Meier") and None not in (told["low"], true["low"], told["high"], true["high"]):
                assert told["low"] <= 1.01 * true["low"]
                assert told["high"] >= 0.99 * true["high"] - 1_001


bucket_rows = st.tuples(
    st.sampled_from([None, "a", "b"]),
    st.sampled_from(["wait", "execution"]),
    st.sampled_from(["completed", "failed"]),
    st.integers(-2, 30),
    st.integers(1, 60),
    st.integers(0, 10**12),
    st.sampled_from([0, 0, 1]),
    st.sampled_from([0, 0, 0, 1]),
)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(bucket_rows, max_size=40), st.booleans())
def test_estimates_of_every_group_rest_on_its_own_buckets_alone(rows: list[tuple[Any, ...]], outcomes: bool) -> None:
    """Buckets of many tasks, measures, outcomes and hours, in any order, give each group what it gets alone."""
    schema = {
        "task_id": pl.String,
        "measure": pl.String,
        "outcome": pl.String,
        "ix": pl.Int32,
        "n": pl.Int64,
        "total_ns": pl.Int64,
        "derived_n": pl.Int64,
        "inferred_n": pl.Int64,
    }
    estimates = percentiles.estimate(pl.DataFrame(rows, schema=schema, orient="row"), ["task_id"], outcomes=outcomes)
    expected: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for task, measure in {row[:2] for row in rows}:
        for outcome in {None, *(row[2] for row in rows if outcomes and row[:2] == (task, measure))}:
            buckets = [row[3:] for row in rows if row[:2] == (task, measure) and outcome in (None, row[2])]
            each = sorted(ix for ix, n, *_ in buckets for _ in range(n))
            word = (
                "inferred"
                if any(row[4] for row in buckets)
                else "derived"
                if any(row[3] for row in buckets)
                else "measured"
            )
            key = (task, measure, outcome)
            expected[*key, "count"] = (len(each), len(each), word)
            expected[*key, "mean"] = (pytest.approx(sum(row[2] for row in buckets) / len(each)), len(each), word)
            for permille in (500, 950, 990):
                value = None
                if len(each) >= statistics.enough(permille):
                    ix = pl.DataFrame({"ix": [each[statistics.nearest_rank(len(each), permille) - 1]]})
                    value = ix.select(durations.bucket_ns()).item()
                expected[*key, f"p{permille / 10:g}"] = (value, len(each), word if value is not None else "unknown")
    columns = ("value", "n", "provenance")
    keys = ["task_id", "measure", "outcome", "statistic"]
    assert {tuple(r[k] for k in keys): tuple(r[c] for c in columns) for r in estimates.rows(named=True)} == expected
    assert len(estimates) == len(expected)
    order = {"count": 0, "mean": 1, "p50": 2, "p95": 3, "p99": 4}
    ranked = [(*((v is None, v or "") for v in row[:3]), order[row[3]]) for row in estimates.select(keys).rows()]
    assert ranked == sorted(ranked)


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=12), st.lists(st.booleans(), min_size=50, max_size=50))
def test_durations_follow_from_times_one_run_at_a_time(story: History, turned: list[bool]) -> None:
    """Execution, waits, gaps, backoff, re-queue wait and the unexplained rest, each by its definition; what ends before
    it starts lasted nobody knows how long. What was skipped has none, what was interrupted lasts as long at least, and
    what follows it is no retry."""
    for a, is_turned in zip(story.attempts, turned, strict=False):
        if is_turned and a["ended_ns"] is not None:
            a |= {"ended_ns": a["started_ns"] - MS, "wall_ns": None}
    for run, is_turned in zip(story.runs, turned, strict=False):
        if is_turned and run["ended_ns"] is not None:
            run |= {"ended_ns": run["started_ns"] - MS, "end_to_end_ns": None}
    lasting = durations.values(story.frame("runs"), story.frame("attempts"), as_of_ns=story.as_of_ns).collect()
    actual = {
        (r["run_key"], r["number"], r["measure"]): (r["value_ns"], r["is_open"]) for r in lasting.rows(named=True)
    }
    expected: dict[tuple[Any, ...], tuple[int, bool]] = {}
    for run in story.runs:
        if population(run) == "test":
            continue
        key, attempts = run["run_key"], story.of(run)
        if run["started_ns"] is not None and run["outcome"] != "skipped":
            over = run["status"] in ("completed", "failed", "canceled", "expired") and run["ended_ns"] is not None
            alive = run["last_seen_ns"] if run["status"] in ("unknown", "queued") else story.as_of_ns
            if not over or run["ended_ns"] >= run["started_ns"]:
                until = run["ended_ns"] if over else alive
                idle = sum(a["idle_ns"] or 0 for a in attempts)
                expected[key, None, "execution"] = (max(0, until - run["started_ns"] - idle), not over)
            for name in ("queue_wait", "end_to_end", *(("active", "wait") if over else ())):
                if run[f"{name}_ns"] is not None:
                    expected[key, None, name] = (run[f"{name}_ns"], False)
            walls = [a["wall_ns"] for a in attempts]
            parts = [run["end_to_end_ns"], run["queue_wait_ns"], *walls, run["backoff_ns"] if len(attempts) > 1 else 0]
            if None not in parts and attempts and attempts[-1]["number"] == len(attempts):
                expected[key, None, "unexplained"] = (abs(parts[0] - sum(parts[1:])), False)
        for before, a in zip([None, *attempts], attempts, strict=False):
            if a["outcome"] == "skipped":
                continue
            over = a["wall_ns"] is not None
            alive = story.as_of_ns if a["status"] == "running" else run["last_seen_ns"]
            lasted = max(0, (a["wall_ns"] if over else alive - a["started_ns"]) - (a["idle_ns"] or 0))
            if over or a["ended_ns"] is None:
                expected[key, a["number"], "attempt"] = (lasted, not over or a["status"] == "interrupted")
            if a["dequeued_ns"] is not None:
                expected[key, a["number"], "boot"] = (a["started_ns"] - a["dequeued_ns"], False)
            if a["number"] == 1:
                continue
            if a["queue_wait_ns"] is not None:
                expected[key, a["number"], "requeue_wait"] = (a["queue_wait_ns"], False)
            if before is None or before["number"] != a["number"] - 1 or before["ended_ns"] < before["started_ns"]:
                continue
            if before["status"] == "interrupted":
                continue
            gap = max(0, a["started_ns"] - before["ended_ns"])
            expected[key, a["number"], "gap"] = (gap, False)
            if a["queue_wait_ns"] is not None:
                expected[key, a["number"], "backoff"] = (max(0, gap - a["queue_wait_ns"]), False)
    assert actual == expected
