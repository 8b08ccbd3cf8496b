"""What runs add to findings is summed up as one would by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.rules.findings import CONTRIBUTION, IDENTITY
from collector.settings import Store
from collector.store import findings
from collector.store.database import Database
from tests.length import examples

Row = dict[str, Any]
MOST = 3
TASKS, OPERATIONS, KEYS = (st.sampled_from(names) for names in ([None, "send"], [None, "a", "b"], [None, "k"]))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Yield a store in which at most three operations or keys are told apart."""
    opened = Database.open(tmp_path_factory.mktemp("findings") / "data", Store(threads=1), on_fatal=lambda e: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "MOST_GROUPS", MOST)
        yield opened
    opened.close()


@st.composite
def added(draw: st.DrawFn) -> list[Row]:
    """Return what runs add: rows of `CONTRIBUTION`, no two first seen at the same time."""
    firsts = draw(st.lists(st.integers(0, 100), min_size=4, max_size=25, unique=True))
    return [
        {
            "project": "default",
            "run_key": draw(st.sampled_from([None, "r1", "r2", "r3"])),
            "code": draw(st.just("KEY001")),
            "severity": "error",
            "task_id": draw(TASKS),
            "operation": draw(OPERATIONS),
            "key": draw(KEYS),
            "count": draw(st.integers(1, 5)),
            "first_seen_ns": first,
            "last_seen_ns": first + draw(st.integers(0, 50)),
            "since_version": draw(st.sampled_from([None, "1", "2"])),
            "details": draw(st.lists(st.sampled_from("uvwxyz"), max_size=3)),
            "places": [],
        }
        for first in firsts
    ]


def summed(rows: list[Row], since_ns: int) -> list[Row]:
    """Return findings, summed up row by row."""
    by_name: dict[tuple[Any, ...], dict[tuple[Any, Any], list[Row]]] = {}
    for row in rows:
        names = by_name.setdefault((row["code"], row["task_id"]), {})
        names.setdefault((row["operation"], row["key"]), []).append(row)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    ever: dict[tuple[Any, ...], int] = {}
    for (code, task), names in by_name.items():

        def often(name: tuple[Any, Any], names: dict[tuple[Any, Any], list[Row]] = names) -> tuple[Any, ...]:
            return -sum(r["count"] for r in names[name]), *((n is None, n or "") for n in name)

        for rank, name in enumerate(sorted(names, key=often)):
            key = (code, task, *(name if rank < MOST else (None, None)))
            recent = [r for r in names[name] if r["last_seen_ns"] >= since_ns]
            if recent:
                groups.setdefault(key, []).extend(recent)
                ever[key] = min(ever.get(key, 10**9), *(r["first_seen_ns"] for r in names[name]), 10**9)
    return [
        {
            "project": "default",
            "code": code,
            "severity": "error",
            "task_id": task,
            "operation": operation,
            "key": key,
            "count": sum(r["count"] for r in contributions),
            "runs": len({r["run_key"] for r in contributions} - {None}),
            "first_seen_ns": min(r["first_seen_ns"] for r in contributions),
            "last_seen_ns": max(r["last_seen_ns"] for r in contributions),
            "since_version": next(
                (
                    r["since_version"]
                    for r in sorted(contributions, key=lambda r: r["first_seen_ns"])
                    if r["since_version"]
                ),
                None,
            ),
            "details": sorted({d for r in contributions for d in r["details"]})[:3],
            "ever_ns": ever[code, task, operation, key],
        }
        for (code, task, operation, key), contributions in groups.items()
    ]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(added(), st.integers(0, 120))
def test_findings_are_what_runs_add_up_to(database: Database, rows: list[Row], since_ns: int) -> None:
    """Counts, runs, times, versions and details are those of all rows since a time; what is rare of many is one."""

    def act(h: Any) -> pl.DataFrame:
        findings.replace_window(h, pl.DataFrame(rows, schema=CONTRIBUTION))
        return findings.grouped(h, "default", since_ns)

    table = database.writing(act).drop("samples", "places").sort(IDENTITY, nulls_last=True)
    expected = pl.DataFrame(summed(rows, since_ns), schema=table.schema).sort(IDENTITY, nulls_last=True)
    assert table.to_dicts() == expected.to_dicts()
