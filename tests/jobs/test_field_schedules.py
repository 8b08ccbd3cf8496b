"""Schedules as they run in the field: what was kept is not told as missed, what was missed is (tests/vectors)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.cli.recordings import Recorded
from collector.model.report import Span
from collector.model.signals import BY_PATH
from collector.model.units import HOUR_NS, SECOND_NS
from tests.report.store import Store

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "schedules" / "field.json").read_text("utf-8"))


def due(series: dict[str, Any]) -> Iterator[datetime]:
    """Yield when the runs of a series are due."""
    zone = ZoneInfo(series.get("zone", "UTC"))
    first, last = series.get("hours", [0, 23])
    step = series.get("every_min", 60)
    times = [time.fromisoformat(t) for t in series.get("at", ())]
    times = times or [time(h, m) for h in range(first, last + 1) for m in range(0, 60, step)]
    until = datetime.fromisoformat(series["until"])
    day = datetime.fromisoformat(series["from"]).date()
    while datetime.combine(day, time(), zone) < until:
        for at in times:
            moment = datetime.combine(day, at, zone).astimezone(UTC)
            is_skipped = f"{moment:%Y-%m-%dT%H:%M}" in series.get("skip", ())
            if moment < until and not is_skipped and day.weekday() in series.get("weekdays", range(7)):
                yield moment
        day += timedelta(days=1)


def told(series: list[dict[str, Any]]) -> list[Recorded]:
    """Return the runs of series in plain logs, two seconds long, a request for each day or so."""
    records: list[dict[str, Any]] = []
    for one in series:
        for n, moment in enumerate(due(one)):
            start = int(moment.timestamp()) * SECOND_NS + n % 3 * SECOND_NS // 2
            about = {"run_id": f"{one['task']}-{n}", "task_id": one["task"]}
            for phase, at in (("started", start), ("completed", start + 2 * SECOND_NS)):
                attributes = [{"key": k, "value": {"stringValue": v}} for k, v in about.items()]
                body = {"stringValue": f"feed_sync_{phase}"}
                records.append({"timeUnixNano": str(at), "body": body, "attributes": attributes})
    records.sort(key=lambda r: int(r["timeUnixNano"]))
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "worker"}}]}
    requests = []
    for i in range(0, len(records), 500):
        logs = {"resource": resource, "scopeLogs": [{"scope": {"name": "tasks"}, "logRecords": records[i : i + 500]}]}
        requests.append(Recorded(BY_PATH["/v1/logs"], "json", json.dumps({"resourceLogs": [logs]}).encode()))
    return requests


def ns(text: str) -> int:
    """Return an instant in nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with all series."""
    as_of_ns = max(ns(report["until"]) for report in CASES["reports"]) + HOUR_NS
    made = Store(tmp_path_factory.mktemp("schedules"), told(CASES["series"]), as_of_ns)
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES["reports"], ids=lambda c: f"{c['until']} {c['zone']}")
def test_what_a_report_tells_of_schedules(store: Store, case: dict[str, Any]) -> None:
    """Nights, weekends and moved clocks are no misses; what really did not come is told, and nothing else."""
    period = Span(from_ns=ns(case["since"]), to_ns=ns(case["until"]))
    made = store.report(period, zone=case["zone"], as_of_ns=period.to_ns + HOUR_NS)
    found = sorted([a.kind.value, a.subject.name, a.title] for a in made.anomalies)
    assert found == case["rows"], case["situation"]
