"""The OTLP signals as one table: everything that differs between them is a value here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
    ExportProfilesServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Encoding = Literal["protobuf", "json"]
SignalName = Literal["logs", "traces", "metrics", "profiles"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One OTLP signal: where it arrives, what it is made of, where it is stored."""

    name: SignalName
    path: str
    """HTTP path of the default endpoint."""
    grpc_service: str
    """Fully qualified gRPC service; its one method is `Export`."""
    request: type[Any]
    """Protobuf request message."""
    response: type[Any]
    """Protobuf response message."""
    rejected_field: str
    """Field of `partial_success` that counts the rejected records."""
    table: str
    """Raw table its records are stored in; empty: they are not stored."""


LOGS = Signal(
    "logs",
    "/v1/logs",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    "rejected_log_records",
    "logs",
)
TRACES = Signal(
    "traces",
    "/v1/traces",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    "rejected_spans",
    "spans",
)
METRICS = Signal(
    "metrics",
    "/v1/metrics",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    "rejected_data_points",
    "metric_points",
)

PROFILES = Signal(
    "profiles",
    "/v1development/profiles",
    "opentelemetry.proto.collector.profiles.v1development.ProfilesService",
    ExportProfilesServiceRequest,
    ExportProfilesServiceResponse,
    "rejected_profiles",
    "",
)
"""Still in development: read, counted and rejected, so that its sender is told once and goes on."""

SIGNALS: tuple[Signal, ...] = (LOGS, TRACES, METRICS)
"""The signals that are stored."""
RECEIVED: tuple[Signal, ...] = (*SIGNALS, PROFILES)
BY_NAME: dict[str, Signal] = {s.name: s for s in SIGNALS}
BY_PATH: dict[str, Signal] = {s.path: s for s in RECEIVED}
