"""What is likely of runs that have not ended: as a statistic, and on the page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from collector.api import live, routes
from collector.api.question import Basis
from collector.settings import Settings
from collector.store.errors import QueryFailed
from collector.store.handle import Handle
from tests.analyse.story import SECOND, T0, attempt, span
from tests.api.test_stats import AS_OF, get, stored


def test_a_live_run_is_told_its_place_and_when_it_is_likely_to_start_and_to_end(tmp_path: Path) -> None:
    """Of a task whose runs take 60 s, one a minute since three of them wait: the third starts three minutes from now
    and ends one later, the one at work ends when it has taken as long; the page of a run has the same row, one that
    has ended none, and the run of a task without history is unknown. Of test runs the page alone tells. As of a time
    gone by starts after it tell nothing."""
    work = {"task_id": "send", "queue": "mail"}
    done = [attempt(f"d{n}", 1, 60 * n, 60 * n + 60, **work) for n in range(90, 119)]
    made = [
        span("p", "trigger()", at, at + 0.1, span_type="trigger", child_run_id=child, child_task_id="send", attempt=1)
        for child, at in (("c1", 6600), ("c2", 6700), ("c3", 7100))
    ]
    open_ = [attempt("now", 1, 7140, None, **work), attempt("top", 1, 6500, None, task_id="top")]
    open_ += [attempt("test", 1, 7000, None, task_id="top", is_test=True), attempt("lost", 1, 10, None, task_id="top")]
    with stored(tmp_path, [*done, *open_, *made, attempt("p", 1, 6600, 7195, task_id="top")]) as database:
        api = TestClient(routes.application(database, Settings(data=tmp_path), dict, str, bytes))
        rows = {r["run_id"]: r for r in get(api, "/api/v1/stats/eta").json()}
        assert {k: (r["position"], r["waiting"], r["provenance"]) for k, r in rows.items()} == {
            "c1": (1, 3, "inferred"),
            "c2": (2, 3, "inferred"),
            "c3": (3, 3, "inferred"),
            "now": (None, None, "unknown"),
            "top": (None, None, "unknown"),
        }
        soon = [(rows[c]["starts_ns"] - AS_OF) / SECOND for c in ("c1", "c2", "c3")]
        assert soon == [pytest.approx(60 * n) for n in (1, 2, 3)]
        assert rows["c3"]["ends_ns"] - rows["c3"]["starts_ns"] == pytest.approx(60 * SECOND, rel=0.022)
        assert rows["c3"]["starts_low_ns"] < rows["c3"]["starts_ns"] < rows["c3"]["starts_high_ns"]
        assert rows["now"]["note"] == "fewer than 20 runs of its task took longer than this one has"
        assert [r["run_id"] for r in get(api, "/api/v1/stats/eta", task="top").json()] == ["top"]
        page = api.get("/api/v1/runs/c3").json()
        basis = Basis(grace_ns=300 * SECOND, lease_ns=3600 * SECOND)
        told = database.reading(lambda h: live.of_run(h, basis, "default", page["run"], AS_OF)).to_dicts()
        assert told == [{**rows["c3"], **told[0]}]
        assert page["outlook"] is None, "by now it is not live any more"
        assert api.get("/api/v1/runs/d100").json()["outlook"] is None
        test = api.get("/api/v1/runs/test").json()["run"]
        assert database.reading(lambda h: live.of_run(h, basis, "default", test, AS_OF))["run_id"].to_list() == ["test"]
        as_of_ns = T0 + 6900 * SECOND
        (first,) = (r for r in get(api, "/api/v1/stats/eta", as_of=str(as_of_ns)).json() if r["run_id"] == "c1")
        assert (first["started"], first["starts_ns"]) == (6, as_of_ns + 50 * SECOND)


def test_a_page_is_shown_whether_or_not_its_outlook_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only of a run that is open, or of which nobody heard since it was triggered, something is likely; where that
    takes too long the run is answered without it."""
    asked: list[object] = []

    def slow(h: Handle, basis: Basis, project: str, run: dict[str, Any], as_of_ns: int) -> pl.DataFrame:
        asked.append(run["run_id"])
        raise QueryFailed("it took too long")

    monkeypatch.setattr(live, "of_run", slow)
    made = span("lost", "trigger()", 20, 20.1, span_type="trigger", child_run_id="child", child_task_id="b", attempt=1)
    spans = [attempt(name, 1, at, end) for name, at, end in (("open", 7190, None), ("done", 1, 2), ("lost", 10, None))]
    with stored(tmp_path, [*spans, made]) as database:
        api = TestClient(routes.application(database, Settings(data=tmp_path), dict, str, bytes))
        pages = [api.get(f"/api/v1/runs/{run_id}").json() for run_id in ("open", "done", "lost", "child")]
    assert [(p["run"]["status"], p["outlook"]) for p in pages] == [
        ("running", None),
        ("completed", None),
        ("unknown", None),
        ("unknown", None),
    ]
    assert asked == ["open", "child"]
