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
from tests.analyse.story import SECOND, T0, attempt, log
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
