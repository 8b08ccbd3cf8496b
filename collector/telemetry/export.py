"""Our own traces, logs and metrics to any OTLP endpoint, through the OpenTelemetry SDK. Off without an endpoint.

It costs the hot path nothing but one span a journal group: queues are bounded, and full ones drop. It may be pointed
at runwell itself: its requests carry a header by which `receive` knows them and makes no span or line of them, and
what the store tells goes by the clock and not by what arrived. So an idle runwell that observes itself sends the
same few records per interval for ever, never more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from collector import __version__
from collector.settings import Telemetry
from collector.telemetry import log, spans

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

OWN_HEADER = "x-runwell-telemetry"
"""Header of requests that carry a runwell's own telemetry."""
_FLUSH_S = 0.8
_SEVERITY = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
_NOT_ATTRIBUTES = frozenset({"message", "level", "timestamp"})


class Export:
    """Providers that send in the background; a context that ends them within a second."""

    def __init__(self, settings: Telemetry, registry: CollectorRegistry) -> None:
        self._flush: list[Callable[[], object]] = []
        self._shut: list[Callable[[], object]] = []
        if settings.endpoint is not None:
            self._start(settings, registry)

    def _start(self, settings: Telemetry, registry: CollectorRegistry) -> None:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        base = str(settings.endpoint).rstrip("/")
        options: dict[str, Any] = {
            "headers": {**settings.header_fields(), OWN_HEADER: "1"},
            "timeout": 5,
            "compression": Compression.Gzip,
        }
        ids = log.ids()
        resource = Resource.create(
            {
                "service.name": "runwell",
                "service.version": __version__,
                "service.instance.id": ids["run_id"],
            }
        )
        interval_ms = settings.interval.total_seconds() * 1000

        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces", **options)))
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{base}/v1/logs", **options)))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(f"{base}/v1/metrics", **options), export_interval_millis=interval_ms
        )
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        _observe(meters.get_meter("runwell"), registry)
        spans.trace_with(tracers.get_tracer("runwell"))
        log.forward_to(_emitter(loggers.get_logger("runwell")))
        providers = (tracers, loggers, meters)
        self._flush = [p.force_flush for p in providers]
        self._shut = [p.shutdown for p in providers]

    def flush(self) -> None:
        """Send what waits, giving up within a second."""
        _within(self._flush)

    def close(self) -> None:
        """Send what waits and end, giving up within a second."""
        spans.trace_with(None)
        log.forward_to(None)
        _within(self._shut)


def _within(acts: list[Callable[[], object]]) -> None:
    def act_all() -> None:
        for act in acts:
            with contextlib.suppress(Exception):
                act()

    if acts:
        # An endpoint that does not answer must not hold up the end of this process.
        worker = threading.Thread(target=act_all, name="telemetry-end", daemon=True)
        worker.start()
        worker.join(_FLUSH_S)


def _emitter(logger: Any) -> log.Sink:
    from opentelemetry._logs import SeverityNumber

    def emit(event: log.Event) -> None:
        level = str(event["level"])
        logger.emit(
            severity_number=SeverityNumber(_SEVERITY[level]),
            severity_text=level,
            body=str(event["message"]),
            attributes={k: v for k, v in event.items() if k not in _NOT_ATTRIBUTES and v is not None},
        )

    return emit


def _observe(meter: Any, registry: CollectorRegistry) -> None:
    """Show every metric of *registry* through *meter*; of a histogram its sum and count."""
    for family in registry.collect():
        names = (f"{family.name}_sum", f"{family.name}_count") if family.type == "histogram" else (family.name,)
        for name in names:
            gauge = family.type == "gauge"
            create = meter.create_observable_gauge if gauge else meter.create_observable_counter
            sample = name if gauge or family.type == "histogram" else f"{name}_total"
            create(name, callbacks=[_reader(registry, sample)], description=family.documentation)


def _reader(registry: CollectorRegistry, sample: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def read(options: CallbackOptions) -> Iterable[Observation]:
        for family in registry.restricted_registry([sample]).collect():
            for s in family.samples:
                if s.name == sample:
                    yield Observation(s.value, s.labels)

    return read
