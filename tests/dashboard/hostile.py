"""Hostile telemetry: names, ids, keys and texts that try to be markup, links, formulas, icons or other directions."""

from __future__ import annotations

import time

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

ENVIRONMENT = "hostile"
HOST = "evil.invalid"
NAMES = (
    f"<img src=http://{HOST}/a onerror=alert(1)><script>alert(2)</script>",
    f"[x](http://{HOST}/b) ![y](//{HOST}/c.png) http://{HOST}/d www.{HOST} a@{HOST}",
    ":material_home: :material/home: :smile: :streamlit: :red[r] :red-badge[b] $x^2$",
    "\u202egnp.\u2066exe \u200b\ufeff{a|b} {b} {c} {@[0]} # **b** `c` ~~d~~ -> \U000e0041",
    "</div></style><style>body{display:none}</style>' onmouseover='alert(3)\" =1+1",
)
"""Task names, queues, keys and texts; each is several attempts at once, because a page shows few of them."""
RUNS = 24
"""Runs of each name: enough for percentiles."""
_STEP_NS = 20 * 10**9


def send(endpoint: str) -> None:
    """Log `RUNS` runs of each name through the OpenTelemetry SDK; all fail, after a second attempt."""
    resource = Resource(
        {
            "service.name": NAMES[0],
            "service.version": NAMES[1],
            "host.name": NAMES[2],
            "deployment.environment.name": ENVIRONMENT,
            NAMES[3]: NAMES[4],
        }
    )
    logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    spans = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces"), max_queue_size=10_000))
    logger, tracer = logs.get_logger(NAMES[0]), spans.get_tracer(NAMES[1])
    now = time.time_ns()
    for i in range(RUNS):
        for name in NAMES:
            at = now - (RUNS - i) * 4 * _STEP_NS
            for attempt in (1, 2):
                ids = {
                    "run_id": run_id(name, i),
                    "correlation_id": name,
                    "request_id": name,
                    "task_id": name,
                    "queue": name,
                    "attempt": attempt,
                    "tags": [name],
                    name: name,
                    "nested": {name: [name]},
                }
                span = tracer.start_span(name, kind=SpanKind.CONSUMER, attributes={**ids, "nested": ""}, start_time=at)
                context = set_span_in_context(span)

                def log(body: str, ns: int, context=context, ids=ids, **more: str) -> None:  # type: ignore[no-untyped-def]
                    severity = SeverityNumber.ERROR if more else SeverityNumber.INFO
                    record = LogRecord(
                        timestamp=ns,
                        context=context,
                        severity_number=severity,
                        severity_text=severity.name,
                        body=body,
                        attributes={**ids, **more},
                    )
                    logger.emit(record)

                log("work_started", at)
                log(f"work_calling_{name}", at + _STEP_NS // 4)
                log(name, at + _STEP_NS // 2)
                log("work_failed", at + _STEP_NS, error_type=name, error_message=name)
                span.set_status(Status(StatusCode.ERROR, name))
                span.add_event(name, {name: name}, timestamp=at + _STEP_NS)
                span.end(at + _STEP_NS)
                at += 2 * _STEP_NS
    _impossible(logger, tracer, now)
    assert logs.force_flush()
    assert spans.force_flush()
    logs.shutdown()
    spans.shutdown()


def _impossible(logger: Logger, tracer: Tracer, now: int) -> None:
    """Log runs whose numbers and times cannot be, or are as great as they can be."""
    year = 366 * 86_400 * 10**9
    numbers = (-5, 2**63 - 5, 1e300, float("nan"), now // 10**9, 366 * 86_400_000)
    for i, (value, start) in enumerate(
        zip(numbers, (1, 2 * 10**18, now - 2 * year, now - 3 * year, 10**18, now), strict=True)
    ):
        ids = {"run_id": f"impossible-{i}", "task_id": "impossible", "queue": "impossible"}
        ids |= dict.fromkeys(
            ("attempt", "queue_wait_ms", "duration_ms", "cost_cents", "compute_ms", "http_status"), value
        )
        for body, ns in (("work_started", start), ("work_failed", now)):
            logger.emit(LogRecord(timestamp=ns, body=body, attributes=ids, severity_number=SeverityNumber.INFO))
        for n, (begin, end) in enumerate(((start, now), (now, start))):
            span = tracer.start_span(
                "work", kind=SpanKind.CONSUMER, attributes={**ids, "run_id": f"impossible-{i}-{n}"}, start_time=begin
            )
            span.end(end)


def run_id(name: str, i: int) -> str:
    """Return the id of the i-th run of *name*; with a field left to fill in it would be none."""
    return f"{name}/{i}".translate(str.maketrans("{}", "()"))
