"""When live runs are likely to start and to end: told from queues and histories whose course is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from collector.analyse import outlook
from collector.analyse.durations import RELATIVE_ERROR, bucket
from collector.analyse.retries import HORIZON
from collector.analyse.slots import QUEUE
from tests.length import SEED

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
_OF = {**dict.fromkeys([*QUEUE, *HORIZON]), "project": "default", "queue": "mail", "task_id": "send"}
_TEXTS = dict.fromkeys(_OF, pl.String)


def rows(made: list[dict[str, Any]], **kinds: Any) -> pl.DataFrame:
    """Return rows of one queue and task; times as they are."""
    schema = {**_TEXTS, **dict.fromkeys(kinds, pl.Int64), **kinds}
    return pl.DataFrame([{**_OF, **row} for row in made], schema=schema)


def live(*made: dict[str, Any]) -> pl.DataFrame:
    """Return live runs."""
    times = {"started_ns": pl.Int64, "delayed_until_ns": pl.Int64}
    return rows(
        [{"run_id": r["run_key"], **r} for r in made], run_key=pl.String, run_id=pl.String, status=pl.String, **times
    )


def waits(ages_s: Sequence[float], untold: int = 0) -> pl.DataFrame:
    """Return runs that have waited for so long, w0, w1, …, behind so many of which nobody can tell."""
    made = [
        {"run_key": f"w{i}", "queued_ns": NOW - round(age * SECOND), "position": i + 1, "untold": untold}
        for i, age in enumerate(ages_s)
    ]
    return rows(made, run_key=pl.String, queued_ns=pl.Int64, position=pl.Int64, untold=pl.Int64)


def started(ages_s: Sequence[float]) -> pl.DataFrame:
    """Return starts so long ago."""
    return rows([{"started_ns": NOW - round(age * SECOND)} for age in ages_s], started_ns=pl.Int64)


def usual(lasted_s: Sequence[float]) -> pl.DataFrame:
    """Return the histogram of how long runs took."""
    values = pl.DataFrame({"value_ns": [round(s * SECOND) for s in lasted_s]}, schema={"value_ns": pl.Int64})
    counted = values.select(ix=bucket()).group_by("ix").agg(n=pl.len().cast(pl.Int64)).to_dicts()
    return rows(counted, ix=pl.Int32, n=pl.Int64)


def told(live_: pl.DataFrame, waiting: pl.DataFrame, starts: pl.DataFrame, usual_: pl.DataFrame) -> dict[str, Any]:
    """Return by run key what is told."""
    since = outlook.since(waiting)
    begun = starts["started_ns"].to_list()
    paces = since.with_columns(
        started=pl.Series([sum(at >= since_ns for at in begun) for since_ns in since["since_ns"]], dtype=pl.Int64)
    )
    out = outlook.told(live_, waiting, paces, usual_, as_of_ns=NOW)
    return {r["run_key"]: r for r in out.iter_rows(named=True)}


def test_a_queue_that_starts_one_every_two_minutes_takes_the_29th_up_in_58_minutes() -> None:
    """The place is counted from the one that waits longest; a start takes as long as starts took since somebody waits,
    whatever the queue did before; the range holds it, and the end is the start and what the task takes."""
    ages = [60 * (87 - 3 * i) for i in range(29)]
    starts = [120 * i + 60 for i in range(43)] + [6_000 + i for i in range(500)]
    w = [{"run_key": f"w{i}", "status": "queued"} for i in range(29)]
    by_key = told(live(*w), waits(ages), started(starts), usual([110 + i % 20 for i in range(100)]))
    last = by_key["w28"]
    assert (last["position"], last["waiting"], last["started"]) == (29, 29, 43)
    assert (last["starts_ns"] - NOW) / SECOND == pytest.approx(29 * 87 * 60 / 43)
    assert last["starts_low_ns"] < NOW + 58 * 60 * SECOND < last["starts_high_ns"]
    assert (last["ends_ns"] - last["starts_ns"]) / SECOND == pytest.approx(120, rel=0.1)
    assert (last["provenance"], last["note"]) == ("inferred", None)
    assert [by_key[f"w{i}"]["position"] for i in range(29)] == [*range(1, 30)]


def test_what_runs_is_compared_with_those_that_took_longer_than_it_has() -> None:
    """A run of a task that takes 10 s or 100 s is told 10 s at first, and 100 s once it has taken 20: half, a tenth
    and nine tenths of those that are left, within what a histogram knows."""
    history = usual([10.0] * 60 + [100.0] * 40)
    young, old = ({"run_key": k, "status": "running", "started_ns": NOW - s * SECOND} for k, s in (("y", 1), ("o", 20)))
    by_key = told(live(young, old), waits([]), started([]), history)
    took = {
        key: [(r[f"ends{part}_ns"] - r["started_ns"]) / SECOND for part in ("_low", "", "_high")]
        for key, r in by_key.items()
    }
    assert took["y"] == [pytest.approx(s, rel=RELATIVE_ERROR) for s in (10, 10, 100)]
    assert took["o"] == [pytest.approx(100, rel=RELATIVE_ERROR)] * 3
    assert (by_key["y"]["n"], by_key["o"]["n"]) == (100, 40)
    assert by_key["y"]["position"] is None
    assert by_key["y"]["starts_ns"] is None


def test_what_history_does_not_allow_is_unknown_and_says_why() -> None:
    """Too few starts, too few runs that took longer, no place in a queue: nothing is told, with a note; a start may be
    told without an end; a run that is due later starts no sooner. A place behind runs of which nobody can tell whether
    they wait is so at least."""
    none, some = usual([]), usual([5.0] * 30)
    old = {"run_key": "o", "status": "running", "started_ns": NOW - 60 * SECOND}
    lost = {"run_key": "x", "status": "queued"}
    first, due = (
        {"run_key": "w0", "status": "queued"},
        {"run_key": "w1", "status": "queued", "delayed_until_ns": NOW * 2},
    )
    few = told(live(old, lost, first), waits([100.0]), started([1.0, 2.0]), some)
    assert {k: (r["starts_ns"], r["ends_ns"], r["provenance"]) for k, r in few.items()} == dict.fromkeys(
        ("o", "x", "w0"), (None, None, "unknown")
    )
    assert few["o"]["note"] == "fewer than 20 runs of its task took longer than this one has"
    assert few["x"]["note"] == "its place in the queue is not known"
    assert few["w0"]["note"] == "fewer than 5 runs of its queue started since one waits"
    assert few["w0"]["position"] == 1
    enough = told(live(first, due), waits([100.0, 50.0]), started([10.0 * i for i in range(1, 9)]), none)
    assert enough["w0"]["starts_ns"] == NOW + round(100 / 8 * SECOND)
    assert enough["w0"]["note"] == "fewer than 20 runs of its task ended in the week before"
    assert (enough["w0"]["ends_ns"], enough["w0"]["provenance"]) == (None, "inferred")
    assert enough["w1"]["starts_ns"] == NOW * 2
    least = told(live(old, first), waits([100.0], untold=3), started([1.0, 2.0]), some)
    said, why = least["w0"]["note"].split("; ")
    assert (said.startswith("at least: up to 3 more"), why) == (True, few["w0"]["note"])
    assert least["o"]["note"] == few["o"]["note"]


def test_eight_of_ten_runs_end_and_start_within_the_range_that_is_told() -> None:
    """Of runs whose length is drawn anew, looked at when they have lasted for some time, and of queues that start at
    random, between 75 and 90 of 100 fall into the range."""
    draw = random.Random(SEED)
    history = usual([draw.lognormvariate(2, 0.8) for _ in range(4_000)])
    lengths = [draw.lognormvariate(2, 0.8) for _ in range(3_000)]
    now = [(length, draw.uniform(0, 6)) for length in lengths]
    runs = [
        {"run_key": f"r{i}", "status": "running", "started_ns": NOW - round(passed * SECOND)}
        for i, (length, passed) in enumerate(now)
        if length > passed
    ]
    by_key = told(live(*runs), waits([]), started([]), history)
    ends = {key: r["started_ns"] + round(now[int(key[1:])][0] * SECOND) for key, r in by_key.items()}
    inside = [r["ends_low_ns"] <= ends[key] <= r["ends_high_ns"] for key, r in by_key.items()]
    assert 0.75 < sum(inside) / len(inside) < 0.9
    hits = []
    for _ in range(200):
        past, at = [], 0.0
        while (at := at + draw.expovariate(1 / 30)) < 1_000:
            past.append(at)
        ahead = sum(draw.expovariate(1 / 30) for _ in range(10))
        w = [{"run_key": f"w{i}", "status": "queued"} for i in range(10)]
        row = told(live(*w), waits([1_000.0 - i for i in range(10)]), started(past), history)["w9"]
        hits.append(row["starts_low_ns"] <= NOW + ahead * SECOND <= row["starts_high_ns"])
    assert 0.7 < sum(hits) / len(hits) < 0.9


def test_a_queue_that_started_nothing_tells_no_start_and_takes_it_from_no_other() -> None:
    """Not since a while nor since this moment; a queue beside it that starts tells its own."""
    waiting = pl.concat([waits([600.0]).with_columns(queue=pl.lit(queue)) for queue in "abc"])
    counts = pl.DataFrame({"queue": ["a", "b", "c"], "started": [0, 7, 0], "age_s": [600, 600, 0]})
    paces = waiting.join(counts, on="queue").select(*QUEUE, "started", since_ns=NOW - pl.col("age_s") * SECOND)
    told_ = outlook.starting(waiting, paces, as_of_ns=NOW).sort("queue")
    assert told_["starts_ns"].is_null().to_list() == [True, False, True]
    assert told_["waiting"].to_list() == [1, 1, 1]
