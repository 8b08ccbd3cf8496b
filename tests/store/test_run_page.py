"""Looking up runs: by id across environments and dialects, and by filters and text, as a read of all of them would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from collector.api import endpoints
from collector.jobs.runs import RunsJob
from collector.model.identity import run_key
from collector.settings import Settings, Store
from collector.store import run_page, run_records
from collector.store.database import Database
from collector.store.named import queries
from collector.store.run_page import Page
from collector.store.run_records import Anchor
from tests.analyse.story import SECOND, T0, attempt, log, span
from tests.jobs.invented import store

ENVIRONMENTS = ("PRODUCTION", "STAGING", None)


def run_span(run: str, environment: str | None, dialect: str, start: float, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return the span of a run of one attempt in *environment*."""
    key = run_key("default", dialect, environment, "", run)
    about = {"environment": environment, "dialect": dialect, "run_key": key, "task_id": "send"}
    return "spans", attempt(run, 1, start, start + 5, **about | more)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a store with six runs of one id, hours apart, and others beside them."""
    directory: Path = tmp_path_factory.mktemp("store")
    opened = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
    job = RunsJob(opened, Settings(data=directory).runs)
    for seq in range(1, 7):
        at = seq * 7200.0
        environment, dialect = ENVIRONMENTS[seq % 3], ("trigger_dev", "generic")[seq // 4]
        also = {"failed": seq % 2 == 0, "correlation_id": f"Order-{seq}", "queue": f"queue-{seq % 2}"}
        store(
            opened,
            seq * 100,
            [
                run_span("shared", environment, dialect, at, **also),
                run_span(f"run_{seq}", environment, dialect, at + 1),
            ],
            T0 + round(at + 10) * SECOND,
        )
        while job.tick(T0 + round(at + 20) * SECOND):
            pass
    yield opened
    opened.close()


def test_every_run_that_shares_an_id_is_found_and_the_newest_is_meant(database: Database) -> None:
    """Runs of one id in other environments and dialects are listed, newest first; a key chooses among them."""
    all_ = database.reading(
        lambda h: h.frame("SELECT * FROM runs WHERE run_id = 'shared' ORDER BY at_ns DESC, run_key")
    )
    assert all_.height == 6
    for key in (None, *all_["run_key"]):
        page = database.reading(lambda h, k=key: run_page.find(h, "default", "shared", k))  # type: ignore[misc]
        assert page is not None
        assert page.parts["same_id"]["run_key"].to_pylist() == all_["run_key"].to_list()
        assert page.parts["run"]["run_key"].to_pylist() == [key or all_["run_key"][0]]
        assert page.pages["spans"].rows.num_rows == 1


@pytest.mark.parametrize("key", ["0" * 32, "no key", run_key("default", "trigger_dev", "STAGING", "", "run_1")])
def test_a_key_of_another_run_finds_none(database: Database, key: str) -> None:
    """An id and a key that are not of one run are no run, whatever the key looks like."""
    assert database.reading(lambda h: run_page.find(h, "default", "shared", key)) is None


def test_the_logs_of_a_run_are_those_that_name_it_and_those_in_its_spans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that names no run but stands in the run's span is among its logs in order of time, others are not; no
    more are given out than so many bytes hold, the last ones, and then that is said.
    """
    opened = Database.open(tmp_path, Store(threads=1), on_fatal=lambda e: None)
    span = attempt("r", 1, 0, 9)
    inside = {name: span[name] for name in ("trace_id", "span_id")}
    store(
        opened,
        1,
        [
            ("spans", span),
            ("spans", attempt("other", 1, 0, 9)),
            ("logs", log("r", 1, "first", dialect="trigger_dev")),
            ("logs", log(None, 4, "fourth", **inside)),
            ("logs", log(None, 2, "second", **inside)),
            ("logs", log("other", 3, "not its own", dialect="trigger_dev", **inside)),
            ("logs", log(None, 3, "of nobody")),
            ("logs", log("r", 3, "third", dialect="trigger_dev")),
        ],
    )
    RunsJob(opened, Settings(data=tmp_path).runs).tick(T0 + 100 * SECOND)
    bodies = {}
    for run in ("r", "other"):
        page = opened.reading(lambda h, r=run: run_page.find(h, "default", r, None))  # type: ignore[misc]
        assert page is not None
        bodies[run] = page.pages["logs"].rows["body"].to_pylist()
        assert all(part.earlier is part.later is None for part in page.pages.values())
    monkeypatch.setattr(run_records, "MOST_BYTES", 0)
    cut = opened.reading(lambda h: run_page.find(h, "default", "r", None))
    opened.close()
    assert cut is not None
    assert cut.pages["logs"].rows["body"].to_pylist() == ["fourth"]
    assert cut.pages["logs"].earlier and not cut.pages["logs"].later
    assert bodies == {"r": ["first", "second", "third", "fourth"], "other": ["not its own"]}


def test_a_run_whose_key_does_not_follow_from_its_id_is_found(database: Database) -> None:
    """Where the key is not what id, dialect and environment give, all ids are read."""
    key = "f" * 32

    def alone(h: Any) -> Any:
        h.run(
            "INSERT INTO runs BY NAME SELECT * REPLACE ($k AS run_key, 'odd' AS run_id) FROM runs LIMIT 1", {"k": key}
        )
        page = run_page.find(h, "default", "odd", None)
        h.run("DELETE FROM runs WHERE run_id = 'odd'")
        return page

    assert database.writing(alone).parts["run"]["run_key"].to_pylist() == [key]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"q": "ORDER-3"},
        {"q": "run_"},
        {"q": "sen"},
        {"q": "nothing"},
        {"status": "failed,canceled"},
        {"status": "failed", "q": "order"},
        {"environment": "STAGING"},
        {"queue": "queue-1", "retried": "false"},
        {"task": "other"},
        {"retried": "true"},
    ],
)
def test_pages_of_runs_are_those_of_a_read_of_all_runs(database: Database, parameters: dict[str, str]) -> None:
    """Filters, search, order, pages and total are what the same conditions select from all runs."""
    wanted = database.reading(lambda h: h.frame("SELECT * FROM runs ORDER BY at_ns DESC, run_key"))
    text = pl.concat_str("run_id", "task_id", "correlation_id", separator="\n", ignore_nulls=True).str.to_lowercase()
    columns = {"task": "task_id", "queue": "queue", "environment": "environment"}
    for name, value in parameters.items():
        wanted = wanted.filter(
            text.str.contains(value.lower(), literal=True)
            if name == "q"
            else pl.col("status").is_in(value.split(","))
            if name == "status"
            else (pl.col("attempt_count").fill_null(0) > 1) == (value == "true")
            if name == "retried"
            else pl.col(columns[name]) == value
        )
    query = queries()["run_list"]
    for limit, offset in ((50, 0), (2, 0), (2, 2), (2, 100)):
        window = {"from_ns": "0", "to_ns": str(2**62), "limit": str(limit), "offset": str(offset)}
        bound = {**endpoints.bound(query, window | parameters), "project": "default"}
        page = database.reading(lambda h, b=bound: h.frame(query.sql, b))  # type: ignore[misc]
        assert page["run_key"].to_list() == wanted["run_key"].slice(offset, limit).to_list()
        assert set(page["total"]) <= {wanted.height}


def told(directory: Path, *records: tuple[str, dict[str, Any]], at: float = 100) -> Database:
    """Return a store that was told *records*, which came as groups of three."""
    opened = Database.open(directory, Store(threads=1), on_fatal=lambda e: None)
    for n in range(0, len(records), 3):
        store(opened, 1 + n, list(records[n : n + 3]))
    RunsJob(opened, Settings(data=directory).runs).tick(T0 + round(at) * SECOND)
    return opened


def page(database: Database, run: str, *asked: Any, **named: Any) -> Page:
    """Return what is known of *run*, which there is."""
    found = database.reading(lambda h: run_page.find(h, "default", run, *(asked or (None,)), **named))
    assert found is not None
    return found


def test_the_records_of_a_long_run_are_paged_the_last_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page is in order of time whatever order records came in, the first one holds the end; following what lies
    before it, and from the beginning what lies after it, gives every record once; a time leads there too.
    """
    monkeypatch.setattr(run_records, "MOST_RECORDS", 3)
    times = [4, 0, 9, 1, 1, 1, 8, 2, 6, 3, 7]  # some came late, some at one time
    mine = [("logs", log("r", t, f"{t} {i}", dialect="trigger_dev")) for i, t in enumerate(times)]
    steps = [("spans", span("r", f"step {i}", i, i + 1)) for i in range(7)]
    kids = [("spans", attempt(f"kid {i}", 1, 2 + i, 3 + i, parent_run_id="r")) for i in range(5)]
    opened = told(tmp_path, ("spans", attempt("r", 1, 0, 10)), *mine, *steps, *kids)
    named = {"logs": "body", "spans": "name", "children": "run_id"}
    last = page(opened, "r")
    ends = {name: part.rows[named[name]].to_pylist() for name, part in last.pages.items()}
    assert ends == {
        "logs": ["7 10", "8 6", "9 2"],
        "spans": ["Attempt 1", "step 5", "step 6"],  # the one around all others ended last, though it began first
        "children": ["kid 2", "kid 3", "kid 4"],
    }
    for name, column in named.items():
        pages = [last.pages[name]]
        assert pages[0].later is None
        while earlier := pages[0].earlier:
            pages.insert(0, page(opened, "r", None, Anchor.read(str(earlier))).pages[name])
            assert pages[0].later
        onward = [page(opened, "r", None, Anchor(name), after=True).pages[name]]
        assert onward[0].earlier is None
        while later := onward[-1].later:
            onward.append(page(opened, "r", None, Anchor.read(str(later)), after=True).pages[name])
            assert onward[-1].earlier
        back, forth = ([text for part in parts for text in part.rows[column].to_pylist()] for parts in (pages, onward))
        assert sorted(back) == sorted(forth)
        assert len(set(back)) == len(back) == {"logs": 11, "spans": 8, "children": 5}[name]
        if name == "logs":
            assert back == forth == [f"{t} {i}" for t, i in sorted(zip(times, range(11), strict=True))]
    then = Anchor("logs", (T0 + 3 * SECOND,))
    assert page(opened, "r", None, then).pages["logs"].rows["body"].to_pylist() == ["1 4", "1 5", "2 7"]
    assert page(opened, "r", None, then, after=True).pages["logs"].rows["body"].to_pylist() == ["3 9", "4 0", "6 8"]
    nothing = page(opened, "r", None, Anchor("logs", (T0 - 1,))).pages["logs"]
    opened.close()
    assert (nothing.rows.num_rows, nothing.earlier, str(nothing.later)) == (0, None, "logs")


@pytest.mark.parametrize(
    "text",
    ["", "run", "logs.", "logs.x", "logs.1.2", f"logs.{2**63}", "logs.-1", "children.1.2.3", "spans.1.2.3.4", "logs;"],
)
def test_no_other_text_is_a_place_in_a_list(text: str) -> None:
    """A list, a time in it or a record of it are places, and nothing else is."""
    with pytest.raises(ValueError, match=r"^$"):
        Anchor.read(text)


def test_the_record_that_tells_the_failure_is_given_beside_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much follows it: the last record of the error that the run has, a failed phase before other errors; none
    of a run that recovered.
    """
    monkeypatch.setattr(run_records, "MOST_RECORDS", 2)
    boom = {"error_type": "Boom", "error_message": "no", "severity_number": 17}
    records = [
        *(
            ("logs", log("r", t, text, **{"attempt": 1, **more}))
            for t, text, more in (
                (0, "mail_started", {}),
                (1, "mail_failed", {"error_type": "Other"}),
                (4, "retries", {}),
                (5, "mail_started", {"attempt": 2}),
                (6, "an error on the way", {**boom, "attempt": 2}),
                (7, "mail_failed", {**boom, "attempt": 2}),
                (8, "closing", {"severity_number": 17, "attempt": 2}),
                *((9 + i, f"swept {i}", {"attempt": 2}) for i in range(5)),
            )
        ),
        ("spans", attempt("s", 1, 0, 5, failed=True, error_type="Boom")),
        ("logs", log("s", 4, "not quite", dialect="trigger_dev", severity_number=17)),
        ("spans", attempt("well", 1, 0, 2, failed=True)),
        ("spans", attempt("well", 2, 3, 5)),
    ]
    opened = told(tmp_path, *records, at=5_000)
    tables = {run: page(opened, run).failure for run in ("r", "s", "well")}
    opened.close()
    assert tables["well"] is None
    assert tables["r"]["body"].to_pylist() == ["mail_failed"]
    assert tables["r"]["attempt"].to_pylist() == [2]
    assert tables["s"]["name"].to_pylist() == ["Attempt 1"]


def test_records_speak_of_attempts_as_the_run_does(tmp_path: Path) -> None:
    """From 1 on where the run counts from 0, as sent where it does not; what none states stays unknown."""
    records = [
        *(
            ("logs", log("zero", t, text, attempt=n))
            for t, text, n in (
                (0, "a_started", 0),
                (1, "a_failed", 0),
                (2, "a_started", 1),
                (3, "waiting", None),
                (4, "a_completed", 1),
            )
        ),
        *(("logs", log("one", t, text, attempt=1)) for t, text in ((0, "a_started"), (1, "a_completed"))),
    ]
    opened = told(tmp_path, *records)
    numbers = {run: page(opened, run).pages["logs"].rows["attempt"].to_pylist() for run in ("zero", "one")}
    attempts = page(opened, "zero").parts["attempts"]["number"].to_pylist()
    opened.close()
    assert numbers == {"zero": [1, 1, 2, None, 2], "one": [1, 1]}
    assert attempts == [1, 2]


def test_a_parent_is_named_with_its_key(tmp_path: Path) -> None:
    """Of two runs of one id in two environments the one in the child's is its parent, though the other is newer; a
    parent that left no telemetry is none, and so is a name that may be of either.
    """
    records = [
        *(run_span("p", where, "trigger_dev", at) for where, at in (("STAGING", 0), ("PRODUCTION", 20))),
        run_span("c", "STAGING", "trigger_dev", 3, parent_run_id="p"),
        run_span("orphan", "STAGING", "trigger_dev", 3, parent_run_id="gone"),
        run_span("of either", None, "trigger_dev", 3, parent_run_id="p"),
    ]
    opened = told(tmp_path, *records)
    parent = page(opened, "c").parent
    orphans = [page(opened, name).parent for name in ("orphan", "of either")]
    opened.close()
    assert parent == {
        "run_id": "p",
        "run_key": run_key("default", "trigger_dev", "STAGING", "", "p"),
        "environment": "STAGING",
    }
    assert orphans == [None, None]


def test_what_lies_in_a_range_is_told_exactly(database: Database) -> None:
    """Runs that started, that ended, and that were under way or ended in a range: of every kind, at every edge."""
    times = [None, 10, 20, 30, 40]
    kinds = [
        {"at_ns": at, "ended_ns": end, "last_seen_ns": seen, "status": status, "run_key": f"{n:032x}"}
        for n, (at, end, seen, status) in enumerate(
            (at, end, seen, status)
            for at in times[1:]
            for status in ("running", "unknown", "completed")
            for end in (times if status == "completed" else [None])
            for seen in times[1:]
            if seen >= max(at, 0 if status != "running" else 40)
        )
    ]

    def wanted(run: dict[str, Any], at: str, a: int, b: int) -> bool:
        begin, end = run["at_ns"], run["ended_ns"]
        ended = end is not None and a <= end < b
        until = 2**62 if run["status"] == "running" else max(begin, end if end is not None else run["last_seen_ns"])
        within = a < b and begin < b and until >= a
        return {"start": a <= begin < b, "end": ended, "active": ended or within}[at]

    frame = pl.DataFrame(kinds, infer_schema_length=None)
    sql = queries()["run_list"].sql

    def alone(h: Any) -> None:
        h.run(
            "INSERT INTO runs BY NAME SELECT *, 'edges' AS project, run_key AS run_id, 1 AS built_seq, "
            "greatest(ended_ns, last_seen_ns, CASE WHEN status = 'running' THEN 1000 END) AS held_until_ns FROM kinds",
            kinds=frame,
        )
        whose = ("task", "queue", "environment", "platform_project", "error_group", "version", "keys")
        none = dict.fromkeys(("status", *whose, "q", "retried", "counted"))
        for at in ("start", "end", "active", None):
            for a in (0, 10, 11, 20, 35, 41):
                for b in (10, 11, 20, 40, 41, 99):
                    window = {"from_ns": a, "to_ns": b, "at": at, "limit": 1000, "offset": 0, "project": "edges"}
                    rows = h.frame(sql, {**none, **window})
                    assert sorted(rows["run_key"]) == sorted(
                        k["run_key"] for k in kinds if wanted(k, at or "active", a, b)
                    ), (at, a, b)
                    order = rows["ended_ns"].to_list()
                    assert at != "end" or order == sorted(order, reverse=True)
        h.run("DELETE FROM runs WHERE project = 'edges'")

    database.writing(alone)
