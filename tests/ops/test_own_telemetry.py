"""Our own traces, logs and metrics by OTLP: off by default, and no echo when runwell observes itself."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from collector.model.errors import UsageError
from collector.settings import Settings, Telemetry, load
from tests.ops import traffic
from tests.ops.traffic import Scrape, post
from tests.stack import running, until

SECRET = "s3cret-value"


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.mark.e2e
def test_runwell_observes_itself_without_an_echo(tmp_path: Path) -> None:
    """Pointed at itself it stores its metrics, logs and spans, and taking those makes no further spans or logs."""
    port = free_port()
    env = {
        "RUNWELL_TELEMETRY__ENDPOINT": f"http://127.0.0.1:{port}",
        "RUNWELL_TELEMETRY__HEADERS": f"x-api-key={SECRET}",
        "RUNWELL_TELEMETRY__INTERVAL": "PT1S",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "100",
    }
    with running(tmp_path / "data", "--http-port", str(port), env=env) as stack:
        http = stack.url("http")

        def own_requests() -> bool:
            return Scrape(http).value("runwell_receive_requests_total", signal="metrics", outcome="accepted") >= 6

        until(own_requests, why="metrics of both processes")
        assert Scrape(http).value("runwell_receive_records_total", signal="traces") == 0
        assert Scrape(http).value("runwell_receive_records_total", signal="logs") == 0

        assert post(http, "logs", traffic.logs(3)).status_code == 200
        assert post(http, "logs", b"\xff").status_code == 400
        told = until(
            lambda: stack.client.sql("select name, attributes from spans").table.to_pylist(), why="a span of our own"
        )
        assert [(row["name"], row["attributes"]) for row in told] == [("journal_write", '{"requests":1}')]
        failed = until(
            lambda: stack.client.sql("select * from logs where operation = 'otlp_request'").table.to_pylist(),
            why="a log of our own",
        )
        assert [(row["phase"], row["error_type"]) for row in failed] == [("failed", "BadInput")]
        assert failed[0]["correlation_id"].startswith("runwell-")
        received = until(
            lambda: stack.client.sql(
                "select max(value) as n from metric_points where name = 'runwell_receive_records'"
                """ and attributes = '{"signal":"logs","transport":"http"}'"""
            ).table["n"][0].as_py(),
            why="the metric of received logs",
        )  # fmt: skip
        assert received in (3, 4)
        services = stack.client.sql("select distinct service_name from resources").table["service_name"].to_pylist()
        assert set(services) == {"billing", "runwell"}
        assert Scrape(http).value("runwell_receive_records_total", signal="traces") == 1
    assert SECRET not in Path(f"{tmp_path / 'data'}.log").read_text()


def test_nothing_is_sent_without_an_endpoint() -> None:
    """Off by default: no endpoint, and the SDK is not even imported."""
    assert Settings().telemetry.endpoint is None
    code = (
        "from collector.app import receive, store; from collector.telemetry.export import Export;"
        "from collector.settings import Telemetry; from prometheus_client import CollectorRegistry;"
        "e = Export(Telemetry(), CollectorRegistry()); e.flush(); e.close();"
        "import sys; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_receive_starts_light() -> None:
    """The receive process loads neither the store's libraries nor the dashboard's."""
    code = "import collector.app.receive, sys; print({'duckdb', 'polars', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_headers_are_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Header values show in no dump and no error; a child process alone is told."""
    given = Settings(telemetry=Telemetry.model_validate({"headers": f"authorization=Bearer {SECRET},x-b=c"}))
    assert given.telemetry.header_fields() == {"authorization": f"Bearer {SECRET}", "x-b": "c"}
    for shown in (given.model_dump_json(), repr(given), str(given.model_dump())):
        assert SECRET not in shown
    told = Settings.model_validate_json(given.model_dump_json(context={"secrets": True}))
    assert told.telemetry.header_fields() == given.telemetry.header_fields()
    monkeypatch.setenv("RUNWELL_TELEMETRY__HEADERS", SECRET)
    with pytest.raises(UsageError) as error:
        load()
    assert SECRET not in str(error.value)
    assert "name=value" in str(error.value)


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://host", ""])
def test_endpoint_is_a_url(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is no http URL is refused by name."""
    monkeypatch.setenv("RUNWELL_TELEMETRY__ENDPOINT", endpoint)
    with pytest.raises(UsageError, match="RUNWELL_TELEMETRY__ENDPOINT"):
        load()
