"""The pages of docs/connect, played as a reader plays them, into a real collector: what they log becomes right runs."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import stack
from tests.connect.pages import BIN, GRPC, HTTP, LIVE, PAGES, Changes, Desk, Page
from tests.length import tally
from tests.stack import Stack, until

PLAYED = [page for page in PAGES.values() if page.script and page.files]
"""Pages whose programs run; the task of trigger-dev.md needs what Trigger.dev sets up."""
SPANS = {"otlp", "logfire"}
"""Pages that send spans alone."""
_PYTHON = "error_type=type(error).__name__, error_message=str(error)"
_EXTRA = (
    'log.error("order_charge_failed", extra=keys | {"error_type": type(error).__name__, "error_message": str(error)})'
)
ALSO: dict[str, tuple[str, Changes]] = {
    "python-logging-exception": ("python-logging", ((_EXTRA, 'log.exception("order_charge_failed", extra=keys)'),)),
    "structlog-exception": (
        "structlog",
        ((f'log.error("order_charge_failed", {_PYTHON})', 'log.exception("order_charge_failed")'),),
    ),
    "loguru-exception": (
        "loguru",
        ((f'logger.error("order_charge_failed", {_PYTHON})', 'logger.exception("order_charge_failed")'),),
    ),
    "structlog-json": (
        "structlog",
        (("structlog.stdlib.render_to_log_kwargs", "structlog.processors.JSONRenderer()"),),
    ),
    "loguru-handler": ("loguru", (("RunwellHandler(logger_provider", "LoggingHandler(logger_provider"),)),
    "pino-error": (
        "pino",
        (("step.error({ error_type: error.name, error_message: error.message }, ", "step.error(error, "),),
    ),
    "winston-error": ("winston", (("{ error_type: error.name, error_message: error.message }", "{ error }"),)),
    "pino-variables": (
        "pino",
        (
            ("    options: {\n", "    unused: {\n"),
            (
                "node charge.mjs",
                f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{HTTP} OTEL_SERVICE_NAME=billing-worker "
                "OTEL_RESOURCE_ATTRIBUTES=service.version=2026.11.23,deployment.environment.name=production "
                "node charge.mjs",
            ),
        ),
    ),
    "opentelemetry-instrument-grpc": (
        "opentelemetry-instrument",
        (
            (f"ENDPOINT=http://{HTTP}", f"ENDPOINT=http://{GRPC}"),
            ("export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", ""),
        ),
    ),
    "opentelemetry-instrument-structlog": (
        "structlog",
        (
            ("provider = LoggerProvider(resource=resource)", ""),
            (
                'provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter("http://'
                + HTTP
                + '/v1/logs")))',
                "",
            ),
            ('logging.getLogger("tasks").addHandler(LoggingHandler(logger_provider=provider))', ""),
            ("provider.shutdown()", ""),
            (
                "python charge.py",
                f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{HTTP} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf "
                "OTEL_RESOURCE_ATTRIBUTES=service.version=2026.11.23,deployment.environment.name=production\n"
                "opentelemetry-instrument python charge.py",
            ),
        ),
    ),
    "logfire-without-baggage": (
        "logfire",
        (
            ("logfire.set_baggage(**keys),", ""),
            ("_span_kind=SpanKind.CONSUMER)", "_span_kind=SpanKind.CONSUMER, **keys)"),
            ('_started"', '_started", **keys'),
            ('_stripe"', '_stripe", **keys'),
            ('_failed"', '_failed", **keys'),
            ('_completed"', '_completed", **keys'),
        ),
    ),
}
"""What pages say works too → the page, and how its program is changed."""
_BRIEFLY = ["python-logging-exception", "structlog-json", "pino-error", "opentelemetry-instrument-structlog"]
TRIED = [name for name in ALSO if not name.startswith("opentelemetry-instrument")] if LIVE else _BRIEFLY
"""Those that need no more packages than the page installs; where everything is at hand one of each kind."""
INFERRED = {"structlog-json", "loguru-handler"}
"""Those whose keys are no attributes."""
KINDS = {"pino-error": "DOMException", "winston-error": "23"}
"""What an error object is told as, where it is not its name: its class, or its code."""
RUN = re.compile(r"\brun_[0-9a-f-]{32,36}\b")
STEPS = ["started", "calling", "failed", "started", "calling", "completed"]
STRICT = [
    *("--strict", "--noEmit", "--skipLibCheck", "--types", ""),
    *("--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"),
]
"""How a project of Trigger.dev is compiled, at its strictest."""
CALLS = [("order_charge", "stripe")] * 2
ERROR = ("TimeoutError", "stripe did not answer in time")

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a running collector."""
    with stack.running(tmp_path_factory.mktemp("connect") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def desks(collector: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Desk]:
    """Return a desk for each page that has files."""
    folder = tmp_path_factory.mktemp("pages")
    there = {HTTP: collector.url("http").removeprefix("http://"), GRPC: collector.url("grpc").removeprefix("http://")}
    pages = [page for page in PAGES.values() if page.files]
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda page: Desk(page, folder / page.name, there), pages))
    if LIVE:
        for desk in made:
            tally({"page": desk.page.name, "versions": desk.versions()})
    return {desk.page.name: desk for desk in made}


@pytest.fixture(scope="module")
def said(desks: dict[str, Desk]) -> dict[str, tuple[int, str]]:
    """Return how the programs of each page ended, and what they said; all of them ran at once."""
    problems = {name: (1, desk.problem) for name, desk in desks.items() if desk.problem}
    return problems | _outcomes({p.name: desks[p.name].start() for p in PLAYED if p.name not in problems})


def _outcomes(running: dict[str, subprocess.Popen[str]]) -> dict[str, tuple[int, str]]:
    """Return the exit codes of programs and what they said, once all of them ended."""
    try:
        outputs = {name: process.communicate(timeout=120)[0] for name, process in running.items()}
        return {name: (running[name].returncode, output) for name, output in outputs.items()}
    finally:
        for process in running.values():
            process.kill()


def told(collector: Stack, run_id: str) -> dict[str, Any]:
    """Return a run and all that belongs to it, once its end is told."""

    def ended() -> dict[str, Any] | None:
        run = collector.client.run(run_id)
        return run if run["run"]["status"] == "completed" else None

    collector.applied()
    return until(ended, why=f"the end of {run_id}")  # type: ignore[return-value]


def right(collector: Stack, page: str, run_id: str, error: tuple[str, str] = ERROR, *, inferred: bool = False) -> None:
    """Assert that a run is what every page plays: two attempts, of which the first failed, with all that was said."""
    of = told(collector, run_id)
    run, records = of["run"], of["spans"] if page in SPANS else of["logs"]
    assert (run["task_id"], run["queue"], run["attempt_count"]) == ("charge-order", "payments", 2)
    assert (run["correlation_id"], run["request_id"]) == ("order-81f2", "req-5d1c")
    assert (run["environment"], run["version"]) == ("production", "2026.11.23")
    assert run["coverage"] == ("spans" if page in SPANS else "logs")
    assert run["status_source"] == ("inferred" if inferred else "measured" if page in SPANS else "phase")
    attempts = [(a["number"], a["status"], a["error_type"], a["error_message"]) for a in of["attempts"]]
    assert attempts == [(1, "failed", *error), (2, "completed", None, None)]
    ids = {(r["run_id"], r["correlation_id"], r["request_id"]) for r in records}
    assert ids == {(run_id, "order-81f2", "req-5d1c")}
    steps = [r for r in records if r["phase"]]
    assert len(records) == len(steps) + (2 if page in SPANS else 0)
    if page == "otlp":
        assert not steps
        return
    assert [r["phase"] for r in steps] == STEPS
    assert [(r["operation"], r["called_service"]) for r in steps if r["phase"] == "calling"] == CALLS
    assert {r["operation"] for r in steps} == {"order_charge"}
    assert [(r["error_type"], r["error_message"]) for r in steps if r["phase"] == "failed"] == [error]
    assert [(p["operation"], p["called_service"]) for p in of["phases"] if p["phase"] == "calling"] == CALLS
    if page not in SPANS:
        assert [r["severity_number"] for r in steps if r["phase"] == "failed"] == [17]
        assert [r["reported_ms"] is not None for r in steps if r["phase"] == "completed"] == [True]


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.name)
def test_a_page_works_as_pasted(collector: Stack, said: dict[str, tuple[int, str]], page: Page) -> None:
    """Each program of a page ends well, and prints the id of a run that is right."""
    code, output = said[page.name]
    assert code == 0, output
    runs = RUN.findall(output)
    assert len(runs) == len([name for name in page.files if name.startswith("charge")])
    for run_id in runs:
        right(collector, page.name, run_id)


def test_typescript_is_strict(desks: dict[str, Desk]) -> None:
    """What is TypeScript on pages compiles with `tsc --strict` against the packages that its install line names."""
    tried = 0
    for desk in desks.values():
        if files := [name for name in desk.page.files if name.endswith(".ts")]:
            desk.run(BIN / "node", desk.folder / "node_modules/typescript/bin/tsc", *STRICT, *files)
            tried += len(files)
    assert tried == 3


def test_a_task_of_trigger_dev_shows_up_as_a_run(collector: Stack, desks: dict[str, Desk]) -> None:
    """The page's task, run by Trigger.dev's SDK with the page's exporters, is a run with ids, phases and outcome."""
    run_id = "run_cm81f2c40d775d1c"
    script = Path(__file__).with_name("trigger_run.mjs")
    desks["trigger-dev"].run(BIN / "node", script, desks["trigger-dev"].folder, run_id)
    of = told(collector, run_id)
    run = of["run"]
    assert (run["task_id"], run["queue"], run["attempt_count"]) == ("process-document", "documents", 1)
    assert (run["correlation_id"], run["request_id"]) == ("doc-7f3a91c2e4", "req-55d0c1")
    assert (run["coverage"], run["status_source"]) == ("spans+logs", "measured")
    assert [log["body"] for log in of["logs"]] == [
        f"document_process_{step}" for step in ("started", "calling_storage", "completed")
    ]


def test_the_typescript_helper_logs_to_any_logger(collector: Stack) -> None:
    """Over a plain OpenTelemetry logger, too, it logs two attempts with all ids, times and the error of the first."""
    run_id = "run_of_typescript"
    play_typescript(collector, run_id)
    of = told(collector, run_id)
    steps = (
        "started",
        "validating",
        "calling_storage",
        "failed",
        "started",
        "validating",
        "calling_storage",
        "completed",
    )
    assert [log["body"] for log in of["logs"]] == [f"document_process_{step}" for step in steps]
    assert {(log["run_id"], bool(log["correlation_id"]), bool(log["request_id"])) for log in of["logs"]} == {
        (run_id, True, True)
    }
    attempts = [(a["number"], a["status"], a["error_type"]) for a in of["attempts"]]
    assert attempts == [(1, "failed", "RangeError"), (2, "completed", None)]
    assert all(log["reported_ms"] is not None for log in of["logs"] if log["phase"] in ("completed", "failed"))
    assert {log["severity_number"] for log in of["logs"] if log["phase"] == "failed"} == {17}


def play_typescript(collector: Stack, run_id: str, *words: str) -> None:
    """Play a run of two attempts through task-log.ts and an official exporter, or one for each of *words*."""
    script = Path(__file__).with_name("log_run.mjs")
    command = [BIN / "node", script, collector.url("http"), run_id, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def play_python(collector: Stack, run_id: str, *words: str) -> None:
    """Play a run for each of *words* through task_log.py."""
    spec = importlib.util.spec_from_file_location("task_log", Path("docs/connect/task_log.py").resolve())
    assert spec is not None
    assert spec.loader is not None
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    provider = helper.connect("worker", version="1", environment="production", endpoint=collector.url("http"))
    for word in words:
        for fails in (False, True):
            key = f"{run_id}_{word}{'_error' * fails}"
            log = helper.TaskLog(provider, correlation_id=key, request_id=key, run_id=key, task_id="process-document")
            with contextlib.suppress(RangeError), log.operation("document_process") as step:
                getattr(step, word)(told_because="asked")
                if fails:
                    raise RangeError("no")
    provider.shutdown()


class RangeError(Exception):
    """What a task raises."""


TOLD = {
    "skipped": ("completed", "skipped"),
    "canceled": ("canceled", None),
    "interrupted": ("queued", None),
    "retrying": ("retrying", None),
}
"""What a step of the helpers says of its end → status and outcome of its run."""


@pytest.mark.parametrize("play", [play_python, play_typescript])
def test_helpers_have_a_word_for_each_end(collector: Stack, play: Callable[..., None]) -> None:
    """A step that was skipped, canceled, interrupted or is to be tried again ends so, whether it raises or not, with
    its keys, its time and, where it raises, its error; it is no `_failed`, no `_completed` and no error's record."""
    play(collector, f"run_{play.__name__}", *TOLD)
    collector.applied()
    for word, expected in TOLD.items():
        for fails in (False, True):
            run_id = f"run_{play.__name__}_{word}{'_error' * fails}"
            told = f"SELECT status, outcome FROM runs WHERE run_id = '{run_id}'"
            assert collector.client.sql(told).table.to_pylist() == [
                dict(zip(("status", "outcome"), expected, strict=True))
            ]
            of = collector.client.sql(
                "SELECT body, severity_number, error_type, reported_ms IS NOT NULL AS timed, "
                f"attributes LIKE '%told_because%' AS keyed FROM logs WHERE run_id = '{run_id}' "
                "ORDER BY time, body DESC"
            ).table.to_pylist()
            assert [tuple(row.values()) for row in of] == [
                ("document_process_started", 9, None, False, False),
                (f"document_process_{word}", 9, "RangeError" if fails else None, True, True),
            ]


def test_what_pages_log_breaks_no_rule(collector: Stack, said: dict[str, tuple[int, str]]) -> None:
    """Runs that pages and helpers log are a clean corpus: every rule is silent, hints included.

    A run that breaks one is sent after them: once it is found, alone and among the others, they have been judged.
    """
    play_typescript(collector, "run_clean")
    collector.applied()
    bad = {
        "run_id": "run_bad",
        "correlation_id": "order-0b7e11",
        "request_id": "req-9",
        "task_id": "bad",
        "badKey": "x",
    }
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 9,
        "body": {"stringValue": "order_charge_started"},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in bad.items()],
    }
    request = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "tasks"}, "logRecords": [record]}]}]}
    httpx.post(f"{collector.url('http')}/v1/logs", json=request, trust_env=False).raise_for_status()
    published = "SELECT count(*) AS n FROM findings WHERE task_id = 'bad'"
    until(lambda: collector.client.sql(published).table["n"][0].as_py(), seconds=60, why="the bad run's finding")
    findings = collector.client.findings(since="1h")["findings"]
    assert [f for f in findings if f["task_id"] != "bad"] == []
    assert ("KEY001", "badKey") in [(f["code"], f["key"]) for f in findings]


@pytest.fixture(scope="module")
def also(desks: dict[str, Desk]) -> dict[str, tuple[int, str]]:
    """Return how each program of ALSO ended, and what it said; all of them ran at once."""
    running, problems = {}, {}
    for name in TRIED:
        page, changes = ALSO[name]
        whole = PAGES[page].script + "".join(PAGES[page].files.values())
        assert all(old in whole for old, _ in changes), name
        if desks[page].problem:
            problems[name] = (1, desks[page].problem)
        else:
            running[name] = desks[page].start(changes)
    return problems | _outcomes(running)


@pytest.mark.parametrize("name", TRIED)
def test_what_a_page_says_works_too_does(collector: Stack, also: dict[str, tuple[int, str]], name: str) -> None:
    """Each other way that a page names gives the same run."""
    code, output = also[name]
    assert code == 0, output
    runs = RUN.findall(output)
    assert runs
    for run_id in runs:
        error = (KINDS.get(name, ERROR[0]), ERROR[1])
        right(collector, ALSO[name][0], run_id, error, inferred=name in INFERRED)
