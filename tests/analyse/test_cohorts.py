"""Retry, failure and flow numbers against a naive count over the same histories."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_runs import MS, T0, History, histories, population, table, weakest

from collector.analyse import calls, cohorts, durations, retries, slots, throughput, trees
from collector.analyse.frames import COHORT, schema_of
from collector.model.statistics import wilson
from collector.model.units import HOUR_NS
from collector.model.words import OPEN
from tests.length import examples

FAILED = ("failed", "timed_out", "crashed")
ENDED = ("completed", "failed", "canceled", "timed_out", "crashed")


def counts(history: History) -> dict[str, pl.DataFrame]:
    """Return all additive tables of a history."""
    runs, attempts, phases = history.frame("runs"), history.frame("attempts"), history.frame("phases")
    at = {"as_of_ns": history.as_of_ns, "lease_ns": 60_000 * MS}
    held, doubted = (of(runs, attempts, history.frame("waits"), **at) for of in (slots.slots, slots.doubts))
    return {
        "run_cohorts": cohorts.run_cohorts(runs, attempts),
        "attempt_hours": cohorts.attempt_hours(runs, attempts),
        "flow_hours": cohorts.flow_hours(runs),
        "duration_hours": durations.hours(runs, attempts),
        "phase_hours": calls.phase_hours(runs, attempts, phases),
        "slot_hours": slots.slot_hours(held, doubted),
    }


def added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return rows added up by everything that is not a sum, rows of zeros left out."""
    every = pl.concat(frames)
    sums = _sums(every)
    key = [c for c in every.columns if c not in sums]
    return (
        every.group_by(key)
        .agg(pl.col(sums).sum())
        .filter(pl.any_horizontal(pl.col(sums) != 0))
        .select(every.columns)
        .sort(key, nulls_last=True)
    )


def negative(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with their sums negated."""
    return frame.with_columns(-pl.col(c) for c in _sums(frame))


def _sums(frame: pl.DataFrame) -> list[str]:
    return [c for c, kind in frame.schema.items() if (kind == pl.Int64 or kind.is_decimal()) and c != "hour_ns"]


@settings(max_examples=examples(20), deadline=None)
@given(histories(), st.sets(st.integers(0, 11)))
def test_counts_of_parts_add_up_to_the_counts_of_all(history: History, chosen: set[int]) -> None:
    """However whole runs are dealt out, the sum is the same, so jobs may count what is new alone."""
    keys = {r["run_key"] for r in history.runs}
    some = {f"k{i}" for i in chosen} & keys
    whole, left, right = counts(history), counts(history.part(some)), counts(history.part(keys - some))
    for name, frame in whole.items():
        assert frame.schema == schema_of(name)
        assert added([left[name], right[name]]).equals(added([frame])), name


@settings(max_examples=examples(20), deadline=None)
@given(histories(), histories())
def test_counts_of_changed_runs_are_replaced_exactly(before: History, after: History) -> None:
    """New rows of changed runs less the old ones give what counting everything again gives."""
    changed = {r["run_key"] for r in after.runs}
    unchanged = before.part({r["run_key"] for r in before.runs} - changed)
    now = History(
        before.as_of_ns,
        unchanged.runs + after.runs,
        unchanged.attempts + after.attempts,
        unchanged.waits + after.waits,
        unchanged.phases + after.phases,
    )
    after = History(before.as_of_ns, after.runs, after.attempts, after.waits, after.phases)
    old, gone, new, again = counts(before), counts(before.part(changed)), counts(after), counts(now)
    for name, frame in again.items():
        assert added([old[name], negative(gone[name]), new[name]]).equals(added([frame])), name


def ended_as(row: dict[str, Any]) -> str:
    """Return how a run or attempt stands: one that was skipped completed nothing."""
    return row.get("outcome") or row["status"]


class Naive:
    """The definitions of retry numbers, run by run."""

    def __init__(self, history: History) -> None:
        self.counted = [r for r in history.runs if r["started_ns"] is not None and population(r) != "test"]
        self.attempts = {r["run_key"]: history.of(r) for r in self.counted}
        # A second attempt proves that the first ended, even if its records were lost.
        self.ended = [
            r for r in self.counted if any(a["status"] in ENDED or a["number"] > 1 for a in self.attempts[r["run_key"]])
        ]
        self.over = [r for r in self.counted if ended_as(r) == "completed" or r["status"] in FAILED]

    def n(self, run: dict[str, Any]) -> int:
        return max(a["number"] for a in self.attempts[run["run_key"]])

    def lost(self, run: dict[str, Any]) -> set[int]:
        """Return the numbers of attempts that must have been and left no record."""
        return set(range(1, self.n(run))) - {a["number"] for a in self.attempts[run["run_key"]]}

    def share(self, hits: list[Any], of: list[Any]) -> float | None:
        return len(hits) / len(of) if of else None

    def numbers(self) -> dict[tuple[str, str], float | None]:
        n = self.n
        retried = [r for r in self.ended if n(r) > 1]
        failed = [r for r in self.over if r["status"] in FAILED]
        good = [r for r in self.over if ended_as(r) == "completed"]
        recovered = [r for r in good if n(r) > 1]
        total = sum(n(r) for r in self.ended)
        wasted = [w for r in self.ended if (w := self.wasted(r)) is not None]
        backoff = [b for r in self.counted if (b := self.backoff(r)) is not None]
        latency = [x for r in recovered if (x := self.latency(r)) is not None]
        cost = [r["cost_cents"] for r in self.counted if r["cost_cents"] is not None]
        return {
            ("run_retry_rate", "share"): self.share(retried, self.ended),
            ("attempts_per_run", "mean"): total / len(self.ended) if self.ended else None,
            ("attempt_retry_ratio", "share"): (total - len(self.ended)) / total if total else None,
            ("run_failure_rate", "share"): self.share(failed, self.over),
            ("first_attempt_success", "share"): self.share([r for r in good if n(r) == 1], self.over),
            ("masked_failure", "share"): self.share(recovered, self.over),
            ("eventual_success", "share"): self.share(recovered, [r for r in self.over if n(r) > 1]),
            ("wasted_time", "total"): sum(wasted) if wasted else None,
            ("wasted_time", "mean"): sum(wasted) / len(wasted) if wasted else None,
            ("backoff_time", "total"): sum(backoff) if backoff else None,
            ("retry_latency", "total"): sum(latency) if latency else None,
            ("cost", "total"): sum(cost) * 1e9 if cost else None,
            ("immature_runs", "count"): 0,
        }

    def standing(self) -> dict[str, list[dict[str, Any]]]:
        """Return the runs that stand in each of the ways that no rate counts."""
        ways = {f"{word}_runs": [word] for word in ("canceled", "expired", "skipped", "unknown")} | {"open_runs": OPEN}
        return {name: [r for r in self.counted if ended_as(r) in words] for name, words in ways.items()}

    def rests_on(self) -> dict[str, list[dict[str, Any]]]:
        """Return the runs whose sources say how well a number is known; a cost is always stated."""
        again = [r for r in self.over if self.n(r) > 1]
        return {
            **dict.fromkeys(("run_failure_rate", "first_attempt_success", "masked_failure"), self.over),
            **dict.fromkeys(("eventual_success", "retry_latency"), again),
            "cost": [],
            "immature_runs": [],
            **self.standing(),
        }

    def provenance(self, measure: str) -> str:
        """Return how well a number is known that is known at all."""
        runs = self.rests_on().get(measure, self.ended)
        told = weakest(*(r[c] for r in runs for c in ("status_source", "attempt_count_source")))
        return "inferred" if any(self.is_guessed(measure, r) for r in self.counted) else told

    def is_guessed(self, measure: str, run: dict[str, Any]) -> bool:
        """Tell whether a time of *run* that counts in *measure* is inferred."""
        attempts = self.attempts[run["run_key"]]
        starts, ends = ([a for a in attempts if a[f"{x}_source"] == "inferred"] for x in ("started", "ended"))
        last = attempts[-1]
        if measure == "wasted_time" and run in self.ended and self.wasted(run) is not None:
            return any(a is not last or a["status"] in FAILED for a in (*starts, *ends))
        if measure == "backoff_time" and self.backoff(run) is not None:
            return any(a["number"] > 1 for a in starts) or any(a is not last for a in ends)
        if measure == "retry_latency" and ended_as(run) == "completed" and self.n(run) > 1:
            return self.latency(run) is not None and any(a is last or a["number"] == 1 for a in ends)
        return False

    def wasted(self, run: dict[str, Any]) -> float | None:
        attempts = self.attempts[run["run_key"]]
        if attempts[-1]["number"] != len(attempts) or attempts[-1]["status"] == "unknown":
            return None
        spent = [a["wall_ns"] for a in attempts[:-1]]
        if attempts[-1]["status"] in FAILED:
            spent.append(attempts[-1]["wall_ns"])
        return None if None in spent else sum(spent)

    def backoff(self, run: dict[str, Any]) -> float | None:
        if run["backoff_ns"] is None or self.n(run) == 1:
            return None
        again = sum(a["queue_wait_ns"] or 0 for a in self.attempts[run["run_key"]] if a["number"] > 1)
        return max(0, run["backoff_ns"] - again)

    def latency(self, run: dict[str, Any]) -> float | None:
        attempts = self.attempts[run["run_key"]]
        if attempts[0]["number"] != 1:
            return None
        return max(0, attempts[-1]["ended_ns"] - attempts[0]["ended_ns"])


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=20))
def test_retry_numbers_equal_a_naive_count(history: History) -> None:
    """Every rate, sum and mean of runs is its definition, test runs are out, unknown is no zero, and what is known is
    known as well as the weakest of the runs it rests on.
    """
    made = cohorts.run_cohorts(history.frame("runs"), history.frame("attempts"))
    report = retries.report(made, ["project"], as_of_ns=history.as_of_ns, horizons=0)
    naive = Naive(history)
    if not naive.counted:
        assert report.is_empty()
        return
    value = {(r["measure"], r["statistic"]): r for r in report.rows(named=True)}
    for key, expected in naive.numbers().items():
        if expected is None:
            assert (value[key]["value"], value[key]["provenance"]) == (None, "unknown"), key
        else:
            assert value[key]["value"] == pytest.approx(expected, rel=1e-6, abs=1e-6), key
            assert value[key]["provenance"] == naive.provenance(key[0]), key
    standing = {r["measure"]: (r["value"], r["provenance"]) for r in throughput.seen(made, ["project"]).to_dicts()}
    assert standing.pop("runs") == (len(naive.counted), "measured")
    assert standing == {name: (len(some), naive.provenance(name)) for name, some in naive.standing().items()}
    rate = value["run_retry_rate", "share"]
    assert rate["n"] == len(naive.ended)
    assert rate["coverage"] == pytest.approx(len(naive.ended) / len(naive.counted))
    if naive.ended:
        assert (rate["low"], rate["high"]) == pytest.approx(wilson(round(rate["value"] * rate["n"]), rate["n"]))


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=20))
def test_attempt_numbers_and_the_funnel_equal_a_naive_count(history: History) -> None:
    """What reached attempt k, and how that ended, follows from the highest number and the outcome of each run; what is
    missing below it has failed, which is derived, and lowers coverage. What was canceled, skipped or interrupted
    neither failed nor succeeded.
    """
    runs, attempts = history.frame("runs"), history.frame("attempts")
    naive = Naive(history)
    seen = [a for of_run in naive.attempts.values() for a in of_run]
    gone = [(r, k) for r in naive.counted for k in naive.lost(r)]
    every = seen + [{"number": k, "status": "failed", "status_source": "derived"} for _, k in gone]
    hours = cohorts.attempt_hours(runs, attempts)
    by_hour = hours.group_by("hour_ns", "number").agg(pl.col("lost_attempts").sum()).filter(pl.col("lost_attempts") > 0)
    expected = Counter((r["started_ns"] // HOUR_NS * HOUR_NS, k) for r, k in gone)
    assert {(hour, k): n for hour, k, n in by_hour.rows()} == expected
    value = {r["measure"]: r for r in retries.attempts(hours, ["project"]).rows(named=True)}
    ended = [a for a in every if ended_as(a) == "completed" or a["status"] in FAILED]
    judged = [a for a in every if ended_as(a) not in ("canceled", "skipped")]
    if every:
        for measure, some, of in (("attempt_failure_rate", ended, judged), ("load_amplification", every, every)):
            is_known = value[measure]["value"] is not None
            sources = [a["status_source"] for a in some]
            assert value[measure]["provenance"] == (weakest(*sources) if is_known else "unknown")
            covered = (len(some) - len(gone)) / len(of) if of else None
            assert value[measure]["coverage"] == pytest.approx(covered)
    if ended:
        failed = sum(a["status"] in FAILED for a in ended)
        assert value["attempt_failure_rate"]["value"] == pytest.approx(failed / len(ended))
    first = [a for a in every if a["number"] == 1]
    if first:
        load = value["load_amplification"]
        assert load["value"] == pytest.approx(len(every) / len(first))
        low, high = wilson(len(first), len(every))
        assert (load["low"], load["high"]) == pytest.approx((1 / high, 1 / low))
    funnel = retries.funnel(cohorts.run_cohorts(runs, attempts), ["project"], hours=hours)
    most = max((naive.n(r) for r in naive.counted), default=0)
    assert funnel["attempt"].to_list() == list(range(1, most + 1))
    for row in funnel.rows(named=True):
        k = row["attempt"]
        reached = [r for r in naive.counted if naive.n(r) >= k]
        here = Counter(ended_as(r) for r in reached if naive.n(r) == k)
        assert sum(
            row[name] for name in ("succeeded", "retried", "failed", "canceled", "skipped", "open", "unknown")
        ) == (len(reached))
        retried = sum(naive.n(r) > k for r in reached)
        assert row["reached"] == len(reached)
        assert (row["succeeded"], row["failed"], row["retried"]) == (here["completed"], here["failed"], retried)
        assert (row["canceled"], row["skipped"]) == (here["canceled"], here["skipped"])
        assert row["n"] == here["completed"] + here["failed"] + retried
        assert row["yield"] == (pytest.approx(here["completed"] / row["n"]) if row["n"] else None)
        missing = sum(number == k for _, number in gone)
        assert row["lost"] == missing
        assert row["coverage"] == pytest.approx((row["n"] - missing) / row["reached"])
        sources = [s for r in reached for s in (r["status_source"], r["attempt_count_source"])]
        sources += ["derived"] * missing
        assert row["provenance"] == (weakest(*sources) if row["n"] else "unknown")
        later = [r for r in naive.counted if naive.n(r) > k]
        assert row["lost_recoveries"] == sum(ended_as(r) == "completed" for r in later)
        assert row["saved_attempts"] == sum(naive.n(r) - k for r in later)


@settings(max_examples=examples(15), deadline=None)
@given(histories(most=20))
def test_attempts_count_by_their_own_version_and_runs_by_their_last(history: History) -> None:
    """By version, attempts, their durations and their phases are those that ran on it, and a lost attempt, of which
    nobody knows that, is of none; runs, their durations and their funnel are those whose `version` it is.
    """
    naive = Naive(history)
    made = counts(history)
    of_attempt = {(a["run_key"], a["number"]): a["version"] for of_run in naive.attempts.values() for a in of_run}
    lost = [(r, k) for r in naive.counted for k in naive.lost(r)]

    def counted(table: str, sums: str, *keys: str) -> dict[Any, int]:
        """Return *sums* of a table by *keys*, those of 0 left out."""
        rows = made[table].group_by(keys).agg(pl.col(sums).sum()).rows()
        return {tuple(key): n for *key, n in rows if n}

    assert counted("attempt_hours", "attempts", "version") == Counter(
        [(version,) for version in of_attempt.values()] + [(None,)] * len(lost)
    )
    assert counted("attempt_hours", "lost_attempts", "version", "run_version", "number") == Counter(
        (None, r["version"], k) for r, k in lost
    )
    assert counted("run_cohorts", "runs", "version") == Counter((r["version"],) for r in naive.counted)
    over = durations.values(history.frame("runs"), history.frame("attempts"), as_of_ns=0).filter(~pl.col("is_open"))
    of_run = {(r["run_key"], None): r["version"] for r in naive.counted}
    expected = Counter(
        ((of_run | of_attempt)[run, number], measure)
        for run, number, measure in over.select("run_key", "number", "measure").collect().rows()
    )
    assert counted("duration_hours", "n", "version", "measure") == expected
    phases = [p for p in history.phases if (p["run_key"], None) in of_run]
    timed = [p for p in phases if p["started_ns"] is not None or p["ended_ns"] is not None]
    assert counted("phase_hours", "n", "version") == Counter(
        (of_attempt.get((p["run_key"], p["attempt"])),) for p in timed
    )
    hours = made["attempt_hours"].with_columns(version="run_version")
    funnel = retries.funnel(made["run_cohorts"], ["version"], hours=hours)
    told = Counter((r["version"], k) for r, k in lost)
    assert {(v, k): n for v, k, n in funnel.select("version", "attempt", "lost").rows() if n} == told


def test_a_long_gap_costs_few_rows_and_loses_no_attempt() -> None:
    """Of a run whose first record is of its ten thousandth attempt 9,999 have failed, told in sixteen rows."""
    about = {"project": "default", "run_key": "k", "task_id": "a", "status": "completed", "status_source": "measured"}
    run = table("runs", [{**about, "attempt_count_source": "measured", "started_ns": T0}])
    rows = table("attempts", [{**about, "number": 10_000, "started_ns": T0, "ended_ns": T0}])
    hours = cohorts.attempt_hours(run, rows)
    assert hours.filter(pl.col("outcome") == "failed").select("number", "lost_attempts").rows() == [
        *((n, 1) for n in range(1, 16)),
        (16, 9_984),
    ]
    numbers = pl.concat(
        [
            retries.attempts(hours, ["project"]),
            retries.report(cohorts.run_cohorts(run, rows), ["project"], as_of_ns=T0, horizons=0),
        ]
    )
    value = dict(numbers.select("measure", "value").rows())
    assert (value["load_amplification"], value["attempts_per_run"]) == (10_000, 10_000)
    assert value["attempt_failure_rate"] == pytest.approx(0.9999)
    funnel = retries.funnel(cohorts.run_cohorts(run, rows), ["project"], hours=hours)
    assert funnel["coverage"].is_between(0, 1).all()


@settings(max_examples=examples(20), deadline=None)
@given(histories(most=20), st.integers(0, 200))
def test_young_runs_are_left_out_whether_they_ended_or_not(history: History, minutes: int) -> None:
    """Hours that a retry may still reach are not counted at all, and how many runs that leaves out is said."""
    made = cohorts.run_cohorts(history.frame("runs"), history.frame("attempts"))
    horizon = minutes * 60_000 * MS
    report = retries.report(made, ["project"], as_of_ns=history.as_of_ns, horizons=horizon)
    naive = Naive(history)
    old = [
        r
        for r in naive.counted
        if r["started_ns"] // HOUR_NS * HOUR_NS + HOUR_NS + horizon <= history.as_of_ns or horizon == 0
    ]
    value = {r["measure"]: r for r in report.rows(named=True)}
    if naive.counted:
        assert value["immature_runs"]["value"] == len(naive.counted) - len(old)
        assert value["run_retry_rate"]["n"] == len([r for r in old if r in naive.ended])
    mature = retries.mature(history.frame("runs"), horizon, as_of_ns=history.as_of_ns).collect()
    assert set(mature["run_key"]) == {
        r["run_key"]
        for r in history.runs
        if r["started_ns"] is not None and r["started_ns"] + horizon <= history.as_of_ns
    }


@settings(max_examples=examples(20), deadline=None)
@given(histories(most=20))
def test_flow_counts_every_end_and_ranks_failures_by_what_is_proved(history: History) -> None:
    """All ends drain a queue, as well known as the weakest of them; tasks are ranked by the lower bound of their
    failure rate, the same as with retries.
    """
    runs = history.frame("runs")
    report = throughput.report(cohorts.flow_hours(runs), ["project"], over_ns=10 * HOUR_NS)
    live = [r for r in history.runs if population(r) != "test"]
    value = {(r["measure"], r["statistic"]): r["value"] for r in report.rows(named=True)}
    provenance = {r["measure"]: r["provenance"] for r in report.rows(named=True)}
    arrived = [r for r in live if r["queued_ns"] is not None or r["started_ns"] is not None]
    over = [r for r in live if r["status"] in ("completed", "failed", "canceled", "expired")]
    if not report.is_empty():
        assert value["arrivals", "count"] == len(arrived)
        assert value["throughput", "count"] == len(over)
        assert value["throughput", "rate"] == pytest.approx(len(over) / 10)
        assert value["net_arrivals", "rate"] == pytest.approx((len(arrived) - len(over)) / 10)
        since = [r["queued_source"] if r["queued_ns"] is not None else "inferred" for r in arrived]
        ends = [s for r in over for s in (r["status_source"], r["ended_source"] if r["ended_ns"] else "inferred")]
        starts = [r["started_source"] for r in live if r["started_ns"] is not None]
        assert provenance == {
            "arrivals": weakest(*since),
            "starts": weakest(*starts),
            "throughput": weakest(*ends),
            "net_arrivals": weakest(*since, *ends),
        }
    by, rows = ["project", "task_id"], cohorts.run_cohorts(runs, history.frame("attempts"))
    ranked = throughput.failures(rows, by, as_of_ns=history.as_of_ns, horizons=0)
    lows = [x for x in ranked["low"].to_list() if x is not None]
    assert lows == sorted(lows, reverse=True)
    naive = Naive(history)
    for row in ranked.rows(named=True):
        of_task = [r for r in naive.over if r["task_id"] == row["task_id"]]
        others = [r for r in naive.over if r["task_id"] != row["task_id"]]
        failed = sum(r["status"] == "failed" for r in of_task)
        assert (row["failed"], row["n"]) == (failed, len(of_task))
        if of_task and others:
            base = sum(r["status"] == "failed" for r in others) / len(others)
            assert row["excess"] == pytest.approx(failed - len(of_task) * base)
    some = {"as_of_ns": history.as_of_ns, "horizons": 20 * 60_000 * MS}
    rates = retries.report(rows, by, **some).filter(pl.col("measure") == "run_failure_rate")
    same = throughput.failures(rows, by, **some).sort("task_id", nulls_last=True)
    names = {
        "rate": "value",
        "n": "n",
        "low": "low",
        "high": "high",
        "coverage": "coverage",
        "provenance": "provenance",
    }
    for name, column in names.items():
        assert same[name].to_list() == rates[column].to_list()
    assert (same["immature"] + same["n"]).sum() <= rows["runs"].sum()


@settings(max_examples=examples(20), deadline=None)
@given(histories(most=20))
def test_calls_are_counted_against_what_one_attempt_needed(history: History) -> None:
    """A dependency's failure rate and amplification follow from the phases of each run, one by one."""
    report = calls.report(counts(history)["phase_hours"], ["project"])
    live = {r["run_key"] for r in history.runs if population(r) != "test"}
    mine = [p for p in history.phases if p["run_key"] in live]
    for service in {p["called_service"] for p in mine}:
        value = {r["measure"]: r for r in report.filter(pl.col("called_service") == service).rows(named=True)}
        made = [p for p in mine if p["called_service"] == service]
        ended = [p for p in made if p["outcome"] in ("completed", "failed")]
        per_attempt = Counter((p["run_key"], p["attempt"]) for p in made)
        needed = sum(max(n for (run, _), n in per_attempt.items() if run == key) for key in {k for k, _ in per_attempt})
        assert value["calls"]["value"] == len(made)
        assert value["call_amplification"]["value"] == pytest.approx(len(made) / needed)
        failed = sum(p["outcome"] == "failed" for p in ended)
        assert value["call_failure_rate"]["value"] == (pytest.approx(failed / len(ended)) if ended else None)


@pytest.mark.parametrize(("backward", "runs"), [(None, 1), (1, 0), (2, 0)])
def test_retry_latency_is_known_where_both_ends_are(backward: int | None, runs: int) -> None:
    """It is the time from the end of the first attempt to that of the last; an end before its start is none."""
    about = {"project": "default", "run_key": "k", "task_id": "a", "status_source": "measured"}
    run = {**about, "status": "completed", "attempt_count_source": "measured", "started_ns": T0}
    attempts = [
        {**about, "number": n, "status": status, "started_ns": T0 + n * MS, "ended_ns": T0 + (n - (n == backward)) * MS}
        for n, status in ((1, "failed"), (2, "completed"))
    ]
    rows = cohorts.run_cohorts(table("runs", [run]), table("attempts", attempts))
    assert rows.select("latency_runs", "latency_ns").rows() == [(runs, runs * MS)]


def test_the_horizon_grows_with_retries_and_the_time_they_take() -> None:
    """Retries ever seen, times a slow attempt and a slow pause, and at least the grace a failed run has; a task without
    one has the longest, and an hour is counted as soon as its last run is so old.
    """
    about = dict.fromkeys(COHORT) | {"project": "default", "hour_ns": T0, "task_id": "a", "environment": "PRODUCTION"}
    runs = table("run_cohorts", [{**about, "attempts": 3, "outcome": "completed", "runs": 1}])
    seconds = [("attempt", 100), ("gap", 20)]
    lengths = pl.DataFrame([{"measure": m, "value_ns": s * 1_000 * MS} for m, s in seconds]).with_columns(
        ix=durations.bucket()
    )
    hours = table(
        "duration_hours",
        [{**about, "measure": m, "ix": ix, "n": 1} for m, ix in lengths.select("measure", "ix").rows()],
    )
    horizons = retries.horizon(runs, hours, floor_ns=5)
    longest = horizons["horizon_ns"][0]
    assert longest == pytest.approx(2 * 120_000 * MS, rel=durations.RELATIVE_ERROR)
    assert retries.horizon(runs, hours.clear(), floor_ns=5)["horizon_ns"][0] == 5
    both = pl.concat([runs, runs.with_columns(task_id=pl.lit("new"))])
    for late, tasks in ((-1, []), (0, ["a", "new"])):
        ripe = retries.ripe(both, horizons, as_of_ns=T0 + HOUR_NS + longest + late).collect()
        assert ripe["task_id"].to_list() == tasks


@settings(max_examples=examples(20), deadline=None)
@given(histories(most=20))
def test_trees_equal_a_walk_from_every_root(history: History) -> None:
    """Attempts per run of each generation, worst case and product, by task of the root; a circle is no tree."""
    naive = Naive(history)
    by_id = {(r["environment"], r["run_id"]): r for r in naive.counted}
    children: dict[Any, list[dict[str, Any]]] = {}
    for r in naive.counted:
        children.setdefault((r["environment"], r["parent_run_id"]), []).append(r)
    generations: dict[tuple[Any, ...], list[list[dict[str, Any]]]] = {}
    for root in naive.counted:
        if (root["environment"], root["parent_run_id"]) in by_id:
            continue
        layers = [[root]]
        while below := [c for r in layers[-1] for c in children.get((r["environment"], r["run_id"]), [])]:
            layers.append(below)
        if len(layers) > 1:
            tree = generations.setdefault((root["environment"], root["task_id"]), [])
            for depth, layer in enumerate(layers):
                tree[depth:] = [(tree[depth] if depth < len(tree) else []) + layer, *tree[depth + 1 :]]
    report = trees.report(history.frame("runs"), history.frame("attempts"))
    actual = {(r["environment"], r["task_id"], r["generation"], r["statistic"]): r for r in report.rows(named=True)}
    expected = set()
    for (environment, task), layers in generations.items():
        means, most = [], []
        for depth, layer in enumerate(layers):
            n = [naive.n(r) for r in layer if r in naive.ended]
            means.append(sum(n) / len(n) if n else None)
            most.append(max(n) if n else None)
            for statistic, value in (("mean", means[-1]), ("max", most[-1])):
                row = actual[environment, task, depth, statistic]
                assert (row["value"], row["n"]) == (value and pytest.approx(value), len(n))
                assert row["coverage"] == pytest.approx(len(n) / len(layer))
        for statistic, factors in (("mean", means), ("max", most)):
            row = actual[environment, task, None, statistic]
            product = None if None in factors else math.prod(x for x in factors if x)
            assert row["value"] == (product and pytest.approx(product))
            if row["low"] is not None:
                assert row["low"] <= row["value"] <= row["high"]
        expected |= {(environment, task, d, s) for d in (None, *range(len(layers))) for s in ("mean", "max")}
    assert set(actual) == expected


def test_a_tree_multiplies_the_attempts_of_its_generations() -> None:
    """Two attempts above and three below are six, though no run made more than three."""
    runs, attempts = [], []
    for key, task, parent, n in (
        ("p", "top", None, 2),
        ("c1", "low", "p", 3),
        ("c2", "low", "p", 3),
        ("x", "top", None, 1),
    ):
        about = {"project": "default", "run_key": key, "run_id": key, "task_id": task}
        runs.append(
            {
                **about,
                "environment": "PRODUCTION",
                "platform_project": None,
                "parent_run_id": parent,
                "status": "completed",
                "status_source": "measured",
                "attempt_count_source": "measured",
                "started_ns": T0,
            }
        )
        attempts += [
            {**about, "number": k + 1, "status": "completed" if k + 1 == n else "failed", "started_ns": T0}
            for k in range(n)
        ]
    generations = trees.generations(table("runs", runs), table("attempts", attempts))
    assert generations.select("root_task_id", "depth", "runs", "attempts_per_run").rows() == [
        ("top", 0, 1, 2.0),
        ("top", 1, 2, 3.0),
    ]
    assert trees.amplification(generations).select("trees", "value", "worst").row(0) == (1, 6.0, 6)
