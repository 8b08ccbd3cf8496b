"""The books of both processes, under a mixed load over both transports."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.ops import traffic
from tests.ops.traffic import PATHS, Scrape, call, post
from tests.stack import Stack, running, until

pytestmark = pytest.mark.e2e
P = "runwell_receive"
TABLES = {"logs": "logs", "traces": "spans", "metrics": "metric_points"}
METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A runwell that takes bodies of up to 64 KiB."""
    data = tmp_path_factory.mktemp("books") / "data"
    with running(data, env={"RUNWELL_LIMITS__BODY": "65536", "RUNWELL_STORE__FLUSH": "PT0.1S"}) as made:
        yield made


def balanced(url: str) -> Scrape:
    """Return a scrape in which the books balance, path by path."""
    scrape = Scrape(url)
    for signal, transport in PATHS:
        path = {"signal": signal, "transport": transport}
        parts = [
            scrape.value(f"{P}_records_{x}", **path) for x in ("stored_total", "rejected_total", "duplicate_total")
        ]
        assert scrape.value(f"{P}_records_total", **path) == sum(parts) + scrape.value(f"{P}_records_pending", **path)
    return scrape


def stored(stack: Stack) -> dict[str, int]:
    """Return how many rows the store's tables hold, by signal."""
    return {
        signal: stack.client.sql(f"select count(*) as n from {table}").table["n"][0].as_py()
        for signal, table in TABLES.items()
    }


def settled(stack: Stack) -> Scrape:
    """Return a balanced scrape with nothing pending."""
    stack.applied()

    def none_pending() -> Scrape | None:
        scrape = balanced(stack.url("http"))
        return None if scrape.value(f"{P}_records_pending") else scrape

    return until(none_pending, why="pending to reach 0")


def test_every_record_is_accounted_for(stack: Stack) -> None:
    """Received = stored + rejected + duplicate + pending at every scrape, and stored is what the tables hold."""
    http, rpc = stack.url("http"), stack.url("grpc")
    before = stored(stack)
    good, partial = traffic.logs(5), traffic.spans(4, bad=3)
    assert [post(http, "logs", good).status_code for _ in range(3)] == [200, 200, 200]
    assert post(http, "logs", gzip.compress(good), content_encoding="gzip").status_code == 200
    assert post(http, "traces", partial).status_code == 200
    assert post(http, "traces", partial).status_code == 200
    assert post(http, "logs", b"\xff\xff").status_code == 400
    assert post(http, "logs", b"{", content_type="application/json").status_code == 400
    assert post(http, "logs", b"x", content_type="text/plain").status_code == 415
    assert post(http, "metrics", bytes(70_000)).status_code == 413
    assert post(http, "metrics", traffic.points(6)).status_code == 200
    assert post(http, "traces", b"").status_code == 200
    assert post(http, "logs", b'{"resourceLogs":[]}', content_type="application/json").status_code == 200
    balanced(http)
    good = traffic.logs(7)
    assert [call(rpc, "logs", good) for _ in range(2)] == [grpc.StatusCode.OK] * 2
    assert call(rpc, "traces", traffic.spans(2, bad=1)) == grpc.StatusCode.OK
    assert call(rpc, "traces", b"\xff") == grpc.StatusCode.INVALID_ARGUMENT
    assert call(rpc, "metrics", traffic.points(3)) == grpc.StatusCode.OK
    assert call(rpc, "metrics", b"") == grpc.StatusCode.OK

    scrape = settled(stack)
    got = {
        path: [
            scrape.value(f"{P}_records{x}_total", signal=path[0], transport=path[1])
            for x in ("", "_stored", "_rejected", "_duplicate")
        ]
        for path in PATHS
    }
    assert got == {
        ("logs", "http"): [20, 5, 0, 15],
        ("traces", "http"): [14, 4, 3, 7],
        ("metrics", "http"): [6, 6, 0, 0],
        ("logs", "grpc"): [14, 7, 0, 7],
        ("traces", "grpc"): [3, 2, 1, 0],
        ("metrics", "grpc"): [3, 3, 0, 0],
    }
    for signal, n in stored(stack).items():
        assert n - before[signal] == scrape.value(f"{P}_records_stored_total", signal=signal)
    assert scrape.by(f"{P}_requests_total", "outcome", transport="http") == {
        "accepted": 2,
        "partial": 1,
        "empty": 2,
        "duplicate": 4,
        "bad_input": 2,
        "unsupported": 1,
        "too_large": 1,
    }
    assert scrape.by(f"{P}_requests_total", "outcome", transport="grpc") == {
        "accepted": 2,
        "partial": 1,
        "empty": 1,
        "duplicate": 1,
        "bad_input": 1,
    }
    assert scrape.by(f"{P}_records_rejected_total", "reason") == {"span_id_invalid": 4}


def test_the_journal_is_measured(stack: Stack) -> None:
    """Groups, bytes, fsync times, held bytes and the last recovery are counted."""
    before = Scrape(stack.url("http"))
    assert post(stack.url("http"), "logs", traffic.logs(1)).status_code == 200
    after = Scrape(stack.url("http"))
    grown = {
        name: after.value(name) - before.value(name)
        for name in (f"{P}_journal_groups_total", f"{P}_fsync_seconds_count", f"{P}_journal_seq")
    }
    assert set(grown.values()) == {1}
    assert after.value(f"{P}_journal_bytes") > 0
    assert after.value(f"{P}_fsync_seconds_sum") > 0
    assert (after.value(f"{P}_in_flight_bytes"), after.value(f"{P}_recovery_lost_groups")) == (0, 0)
    assert after.value(f"{P}_ready") == 1


def test_receive_stays_light(stack: Stack) -> None:
    """The receive process that has taken requests holds no library of the store or the dashboard."""
    assert post(stack.url("http"), "logs", traffic.logs(1)).status_code == 200
    loaded = {mapped.path for mapped in stack.child("receive").memory_maps()}
    assert any("pyarrow" in path for path in loaded)
    assert [path for path in loaded if any(name in path for name in ("pandas", "duckdb", "polars"))] == []


def test_remarks_are_counted_by_name(stack: Stack) -> None:
    """What a partial success tells a sender is counted under a name of a closed set."""
    before = Scrape(stack.url("http")).value(f"{P}_warnings_total", warning="time_unit_suspect")
    response = post(stack.url("http"), "logs", traffic.logs(2, time_ns=1_795_500_000))
    assert b"send nanoseconds" in response.content
    assert Scrape(stack.url("http")).value(f"{P}_warnings_total", warning="time_unit_suspect") == before + 2


def documented() -> dict[str, dict[str, set[str]]]:
    """Return the labels of every metric with their values, as docs/metrics.md has them."""
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| .* \| (.*) \|$", METRICS.read_text(), re.M)
    return {
        name: {label: set(values.split(", ")) for label, values in re.findall(r"`(\w+)`: ([^;]+)", labels)}
        for name, labels in rows
    }


def labels_of(*scrapes: Scrape) -> dict[str, dict[str, set[str]]]:
    """Return the same as they are scraped."""
    labels_by_name: dict[str, dict[str, set[str]]] = {}
    for sample in (s for scrape in scrapes for s in scrape.samples if s.name.startswith("runwell_")):
        labels = labels_by_name.setdefault(re.sub("_(bucket|sum|count)$", "", sample.name), {})
        for label in sample.labels.keys() - {"le", "version"}:
            labels.setdefault(label, set()).add(sample.labels[label])
    return labels_by_name


def test_labels_are_never_text_of_requests(stack: Stack) -> None:
    """Whatever a request says, no word of it reaches a label: labels and their values are those of docs/metrics.md."""
    canary = "canary7f3a"
    http = stack.url("http")
    body = json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": canary}}]},
                    "scopeLogs": [{"scope": {"name": canary}, "logRecords": [{"body": {"stringValue": canary}}]}],
                }
            ]
        }
    ).encode()
    assert post(http, "logs", body, content_type="application/json", user_agent=canary).status_code == 200
    assert post(http, canary, body).status_code == 404
    assert post(http, "logs", b"x", content_type=canary).status_code == 415
    assert post(http, "logs", b"x", content_encoding=canary).status_code == 415
    api = stack.url("api")
    until(lambda: Scrape(api).by("runwell_store_job_seconds_count", "job")["statistics"], why="the statistics jobs")
    receive, store = Scrape(http), Scrape(api)
    assert canary not in receive.text + store.text
    assert labels_of(receive, store) == documented()


def test_store_counts_what_it_applied(stack: Stack) -> None:
    """The store's own counters agree with receive's: rows applied by table, and no lag once it has caught up."""
    receive, store = settled(stack), Scrape(stack.url("api"))
    for signal, table in TABLES.items():
        assert store.value("runwell_store_rows_applied_total", table=table) == receive.value(
            f"{P}_records_stored_total", signal=signal
        )
    assert store.value("runwell_store_groups_applied_total") == receive.value(f"{P}_journal_groups_total")
    assert store.value("runwell_store_lag_seconds") == 0
    assert store.value("runwell_store_damaged_groups") == 0
    assert store.value("runwell_store_set_aside_files") == 0
    assert store.value("runwell_store_job_seconds_count", job="apply") > 0
    assert store.value("runwell_store_applied_seq") == receive.value(f"{P}_journal_seq")


def test_books_start_anew_and_still_balance(tmp_path: Path) -> None:
    """After a restart counters begin at 0, a request taken before it counts as duplicate, and the books balance."""
    body = traffic.spans(3, bad=2)
    with running(tmp_path / "data") as stack:
        assert post(stack.url("http"), "traces", body).status_code == 200
        assert settled(stack).value(f"{P}_records_stored_total") == 3
    with running(tmp_path / "data") as stack:
        said = post(stack.url("http"), "traces", body)
        assert b"2 rejected" in said.content
        scrape = settled(stack)
        assert scrape.value(f"{P}_records_duplicate_total") == 5
        assert scrape.value(f"{P}_records_stored_total") == 0
        assert stored(stack)["traces"] == 3


def test_names_beyond_a_cap_are_counted_and_stay_few(tmp_path: Path) -> None:
    """A service beyond names.services is `__other__` in the store, also after a restart; sender and books are told."""
    env = {"RUNWELL_NAMES__SERVICES": "2"}
    with running(tmp_path / "data", env=env) as stack:
        said = [post(stack.url("http"), "logs", traffic.logs(1, service=f"s{i}")) for i in range(3)]
        assert [b"names.services" in s.content for s in said] == [False, False, True]
        scrape = Scrape(stack.url("http"))
        assert scrape.value(f"{P}_warnings_total", warning="service_overflow") == 1
        stack.applied()
    with running(tmp_path / "data", env=env) as stack:
        assert b"names.services" in post(stack.url("http"), "logs", traffic.logs(1, service="s3")).content
        assert post(stack.url("http"), "logs", traffic.logs(1, service="s1")).content == b""
        stack.applied()
        rows = stack.client.sql("select service_name, attributes from resources order by attributes").table.to_pylist()
        assert [row["service_name"] for row in rows] == ["s0", "s1", "__other__", "__other__"]
        assert all(f'"service.name":"s{i}"' in row["attributes"] for i, row in enumerate(rows))
