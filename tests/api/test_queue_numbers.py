"""Numbers of queues that were told wrongly once: runs that wait, delays, backlogs of hours, clocks that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from collector.api import question, routes
from collector.cli.recordings import read
from collector.control import Control
from collector.jobs.runner import Runner
from collector.model.units import HOUR_NS
from collector.settings import Settings
from tests.analyse.story import SECOND, T0, attempt, span
from tests.inprocess import Pipeline
from tests.jobs.invented import store

ALBUM = Path(__file__).parents[1] / "vectors" / "truth" / "parents-that-wait.jsonl"
Rows = dict[tuple[str, str, str], dict[str, Any]]
MINUTE = 60
WIDENED = re.compile(r"(; )?whole 5 minutes: \S+ to \S+")


@contextmanager
def told(
    directory: Path, sent: list[dict[str, Any]] | Path, at: float, limits: dict[str, int] | None = None
) -> Iterator[TestClient]:
    """Yield a client of an API over *sent* (rows of spans, or a file of OTLP) after all jobs, *at* seconds after T0."""
    settings = Settings(data=directory, queues={"limits": limits or {}})
    as_of_ns = T0 + round(at * SECOND)
    with Pipeline(directory) as pipeline:
        if isinstance(sent, Path):
            pipeline.group(read(str(sent)), as_of_ns)
            pipeline.apply()
        else:
            store(pipeline.database, 1, [("spans", row) for row in sent])
        pipeline.tick(as_of_ns)
        control = Control.open(directory)
        runner = Runner(pipeline.database, control, pipeline.memory, settings)
        while runner.run(as_of_ns):
            pass
        assert runner.errors == {}
        yield TestClient(routes.application(pipeline.database, settings, dict, str, bytes))
        control.close()


def queues(api: TestClient, at: float, since: float = 0) -> Rows:
    """Return the numbers of all queues, *at* seconds after T0, from *since* on; notes without what was widened."""
    when = {"as_of": str(T0 + round(at * SECOND)), "from": str(T0 + round(since * SECOND))}
    rows = api.get("/api/v1/stats/queues", params=when).json()
    for row in rows:
        row["note"] = WIDENED.sub("", row["note"] or "") or None
    return {(r["queue"], r["measure"], r["statistic"]): r for r in rows}


def test_parents_that_wait_hold_their_slots_for_a_minute_and_nobody_accuses_them(tmp_path: Path) -> None:
    """Four of two slots in the first minute, then none until they resume: inferred, and by nothing certain over the
    limit.
    """
    with told(tmp_path, ALBUM, 7200, {"task/album": 2}) as api:
        rows = {key[1:]: row for key, row in queues(api, 7200).items() if key[0] == "task/album"}
        mean, over, maybe = rows["level", "mean"], rows["over_limit", "share"], rows["maybe_over_limit", "share"]
        # Each: half a second, a minute of the wait, and a second after it.
        assert mean["value"] * 7200 == pytest.approx(4 * 61.5, abs=1e-3)
        assert (mean["provenance"], mean["coverage"] < 0.01) == ("inferred", True)
        assert rows["level", "peak"]["value"] == 4
        assert (over["value"], over["note"]) == (0, "without levels that waits, inferred ends or clocks explain")
        # Three or more of them from 2 to 61.5 s.
        assert maybe["value"] * 7200 == pytest.approx(59.5, abs=1e-3)
        assert rows["time_at_limit", "share"]["provenance"] == "inferred"


def child(queue: str, name: str, *, waits: bool, at: float, starts: float) -> list[dict[str, Any]]:
    """Return the trigger of a child *at* so many seconds, by a parent that waits for it or not, and the child, which
    starts later and takes ten."""
    trigger = "triggerAndWait()" if waits else "trigger()"
    end = starts + 20 if waits else at + 0.05
    kind = {"wait_kind": "child"} if waits else {}
    about = {"task_id": name, "queue": queue}
    return [
        span(f"of-{name}", trigger, at, end, span_type="trigger", attempt=1, child_run_id=name, child_task_id=name)
        | kind,
        attempt(f"of-{name}", 1, -1, 700, task_id="top", queue="top"),
        attempt(name, 1, starts, starts + 10, parent_run_id=f"of-{name}", **about),
    ]


def test_a_delay_is_no_wait_and_throttles_nothing(tmp_path: Path) -> None:
    """What only a `trigger()` tells is inferred and proves no wait; a parent that waits triggers for now. Where a queue
    has both, it is throttled while the second waits. A runner whose waits keep the slot gives none back.
    """
    plain = {"dialect": "generic", "attempt": 1, "task_id": "plain", "queue": "plain"}
    sent = [
        *(attempt(f"in-{queue}", 1, 0, 600, task_id="full", queue=queue) for queue in ("late", "due", "both")),
        *child("late", "late", waits=False, at=0, starts=601),
        *child("due", "due", waits=True, at=0, starts=601),
        *child("both", "first", waits=False, at=0, starts=601),
        *child("both", "second", waits=True, at=300, starts=612),
        span("plain", "work", 0, 600, span_type="attempt", **plain),
        span("plain", "wait", 60, 540, span_type="wait", wait_kind="child", **plain),
    ]
    with told(tmp_path, sent, 7200, dict.fromkeys(("late", "due", "both", "plain"), 1)) as api:
        rows = queues(api, 7200)
        for name, source in (("late", "inferred"), ("due", "derived")):
            runs = api.get("/api/v1/runs", params={"queue": name}).json()["runs"]
            (run,) = (r for r in runs if r["run_id"] == name)
            assert (run["queue_wait_ns"], run["queue_wait_source"]) == (601 * SECOND, source)
        throttled = {name: rows[name, "throttled", "share"]["value"] for name in ("late", "due", "both")}
        # Where a queue is full and nobody is proved to wait, nothing is told: in the end, and while `first` is put off.
        told_s = {"due": 7201 - 10, "both": 7201 - 10 - 300}
        assert throttled == {"late": None} | {
            name: pytest.approx(waited_s / told_s[name]) for name, waited_s in (("due", 600), ("both", 310))
        }
        level, maybe = rows["plain", "level", "mean"], rows["plain", "maybe_over_limit", "share"]
        assert level["value"] == pytest.approx(600 / 7201)
        assert (level["provenance"], level["coverage"], maybe["value"], maybe["coverage"]) == ("derived", 1, 0, 1)


def backlog(*, lost: int = 0, last: int = 89) -> list[dict[str, Any]]:
    """Return a queue of one slot, 2 minutes a run, that gets 60 runs at once and then one every 3 minutes, for 3 hours.

    The first *last* of them are done and the next is at work. Before, *lost* children left no record ever.
    """
    due = [0.0] * 60 + [180.0 * n for n in range(1, 60)]
    sent = [attempt("p", 1, -7200, None, task_id="top", queue="top")]
    early = [(-7000.0, f"lost{n}") for n in range(lost)]
    for at, name in [*early, *((at, f"c{n}") for n, at in enumerate(due))]:
        sent.append(
            span("p", "trigger()", at, at + 0.01, span_type="trigger", attempt=1, child_run_id=name)
            | {"child_task_id": "work", "span_id": f"{abs(hash(name)):016x}"[:16]}
        )
    for n in range(last + 1):
        start = n * 120.0 + 1
        sent.append(attempt(f"c{n}", 1, start, start + 119 if n < last else None, task_id="work", queue="jam"))
    return sent


def test_a_backlog_forgets_nobody_while_the_queue_starts_in_order(tmp_path: Path) -> None:
    """Runs that were triggered an hour and a half ago wait as those of just now do, and the number says of how many
    nobody has heard since; children that got lost long before are not among them. Of a version none of them is known
    to be.
    """
    with told(tmp_path, backlog(lost=3), 10_800) as api:
        rows = queues(api, 10_800)
        waiting, age = rows["jam", "backlog", "count"], rows["jam", "backlog_age", "max"]
        assert (waiting["value"], waiting["provenance"], waiting["coverage"]) == (29, "inferred", 1)
        assert age["value"] == 87 * MINUTE * SECOND
        unheard = int(rows["jam", "backlog_unheard", "count"]["value"])
        assert (
            waiting["note"]
            == f"{unheard} of them have the status unknown: only the order of the queue says that they wait"
        )
        assert unheard == 9
        likely = {"as_of": str(T0 + 10_800 * SECOND), "task": "work"}
        ask = "/api/v1/stats/eta"
        assert [r["status"] for r in api.get(ask, params=likely).json()].count("unknown") == unheard
        assert api.get(ask, params={**likely, "version": "1.2"}).json() == []
        # 20 arrive and 30 end in an hour.
        assert rows["jam", "drain_time", "mean"]["value"] == pytest.approx(2.9 * HOUR_NS, rel=0.05)


@pytest.mark.parametrize("few", [question.EXACT_RUNS, 0])
def test_runs_that_name_no_queue_arrive_in_the_one_of_their_task(
    few: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives in a queue, asked for or told apart, is what arrives of its task, inferred, counted run by run or in
    hours; where the task has several, nothing is told, and no 0. Lists of runs have none of them, as their count says.
    """
    monkeypatch.setattr(question, "EXACT_RUNS", few)
    two = [attempt("p2", 1, -7200, None, task_id="top", queue="top"), attempt("x", 1, 1, 9, task_id="two", queue="a")]
    two += [attempt("y", 1, 1, 9, task_id="two", queue="b")]
    two += [
        span("p2", "trigger()", 10_000, 10_001, span_type="trigger", attempt=1, child_run_id="z", child_task_id="two")
    ]
    with told(tmp_path, [*backlog(), *two], 10_800) as api:

        def flow(**asked: str) -> dict[tuple[str | None, str, str], dict[str, Any]]:
            when = {
                "as_of": str(T0 + 10_800 * SECOND),
                "from": str(T0 + 7200 * SECOND),
                "to": str(T0 + 10_800 * SECOND),
            }
            rows = api.get("/api/v1/stats/throughput", params={"by": "", **when, **asked}).json()
            return {(r.get("queue"), r["measure"], r["statistic"]): r for r in rows}

        of_task, of_queue, apart = flow(task="work"), flow(queue="jam"), flow(by="queue")
        assert of_task[None, "arrivals", "count"]["value"] >= 20 > of_task[None, "starts", "count"]["value"] - 20
        for key, row in of_task.items():
            if key[1] in ("arrivals", "starts", "throughput", "net_arrivals"):
                assert of_queue[key]["value"] == apart["jam", *key[1:]]["value"] == row["value"]
        arrived, seen = of_queue[None, "arrivals", "count"], of_queue[None, "runs", "count"]
        assert (arrived["provenance"], arrived["coverage"], seen["coverage"] < 1) == ("inferred", 1, True)
        assert apart[None, "arrivals", "count"]["value"] == 1
        of_several = flow(queue="a")[None, "arrivals", "count"]
        assert (of_several["value"], of_several["coverage"]) == (None, 0)
        assert of_several["note"].startswith("1 more name no queue")


def test_a_backlog_of_a_queue_that_stands_still_says_at_least(tmp_path: Path) -> None:
    """Beyond the longest wait that its queue has seen, and the time after which a run is unknown, nobody can tell. So
    it is where the queue is paused, which is no fault: it is not throttled, and drains at no time. A run is told its
    place with as many that may be before it.
    """
    with told(tmp_path, backlog(last=19), 10_800, {"jam": 0}) as api:
        rows = queues(api, 10_800)
        waiting = rows["jam", "backlog", "count"]
        # It started 20, the last after 38 minutes; those of the last 98 minutes count.
        assert (waiting["value"], waiting["note"].split(":")[0]) == (32, "at least")
        assert waiting["coverage"] == pytest.approx(32 / 99)
        assert rows["jam", "backlog_age", "max"]["value"] == 96 * MINUTE * SECOND
        assert rows["jam", "drain_time", "mean"]["note"] == "paused: its limit is 0"
        likely = {"as_of": str(T0 + 10_800 * SECOND), "task": "work"}
        places = [r for r in api.get("/api/v1/stats/eta", params=likely).json() if r["position"]]
        assert [r["note"].startswith("at least: up to 67 more") for r in places] == [True] * 32
        shares = {name: rows["jam", name, "share"]["value"] for name in ("paused", "throttled", "over_limit")}
        assert shares == {"paused": 1, "throttled": None, "over_limit": None}


def test_a_peak_is_held_for_a_second_whatever_clocks_say(tmp_path: Path) -> None:
    """Five slots whose clocks differ by a quarter of a second: one that is handed over is not held twice."""
    sent = [
        attempt(f"r{slot}-{n}", 1, n * 10 + skew, n * 10 + 10 + skew, task_id="sync", queue="sync")
        for slot, skew in enumerate((0, 0.25, 0, 0.25, 0))
        for n in range(30)
    ]
    # Each slot's next run is on another machine.
    for row in sent[1::2]:
        row["end_time_unix_nano"] += SECOND // 4
        row["duration_ns"] += SECOND // 4
    with told(tmp_path, sent, 3600, {"sync": 5}) as api:
        peak = queues(api, 3600)["sync", "level", "peak"]
        assert (peak["value"], peak["note"]) == (5, "8 for less than a second")


def test_runs_that_are_all_shorter_than_a_second_have_a_peak(tmp_path: Path) -> None:
    """No level lasts for a second: the highest of any moment is told, and said to be."""
    sent = [attempt(f"r{n}", 1, n * 2, n * 2 + 0.5, task_id="ping", queue="ping") for n in range(5)]
    with told(tmp_path, sent, 3600) as api:
        peak = queues(api, 3600)["ping", "level", "peak"]
        assert (peak["value"], peak["note"]) == (1, "no level lasted for a second: the highest of any moment")
