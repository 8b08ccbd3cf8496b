"""OTLP requests by hand, and what `/metrics` says about them."""

from __future__ import annotations

import secrets
import time
from collections import Counter

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from collector.model.signals import BY_NAME

PATHS = [(signal, transport) for signal in ("logs", "traces", "metrics") for transport in ("http", "grpc")]


def logs(n: int, body: str = "order_charge_started", service: str = "billing", time_ns: int | None = None) -> bytes:
    """Return a request of *n* log records that no other request equals."""
    request = ExportLogsServiceRequest()
    block = request.resource_logs.add()
    block.resource.attributes.add(key="service.name").value.string_value = service
    block.resource.attributes.add(key="telemetry.sdk.language").value.string_value = "python"
    block.resource.attributes.add(key="telemetry.sdk.version").value.string_value = "1.45.2"
    group = block.scope_logs.add()
    now = time.time_ns() if time_ns is None else time_ns
    for i in range(n):
        record = group.log_records.add(time_unix_nano=now + i)
        record.body.string_value = body
        record.attributes.add(key="nonce").value.string_value = secrets.token_hex(8)
    return request.SerializeToString()


def spans(good: int, bad: int = 0, name: str = "work") -> bytes:
    """Return a request of *good* spans and *bad* ones whose span id is all zero."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add().scope_spans.add()
    now = time.time_ns()
    for i in range(good + bad):
        group.spans.add(
            trace_id=secrets.token_bytes(16),
            span_id=bytes(8) if i >= good else secrets.token_bytes(8),
            name=name,
            start_time_unix_nano=now - 1000,
            end_time_unix_nano=now,
        )
    return request.SerializeToString()


def points(n: int) -> bytes:
    """Return a request of *n* gauge points."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="depth")
    for i in range(n):
        metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=i)
    return request.SerializeToString()


def post(url: str, signal: str, body: bytes, **headers: str) -> httpx.Response:
    """Send *body* over HTTP, protobuf unless *headers* say otherwise."""
    sent = {"content-type": "application/x-protobuf"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.post(f"{url}/v1/{signal}", content=body, headers=sent, trust_env=False)


def call(url: str, signal: str, body: bytes) -> grpc.StatusCode:
    """Send *body* over gRPC and return the status."""
    kind = BY_NAME[signal]
    with grpc.insecure_channel(url.removeprefix("http://")) as channel:
        export = channel.unary_unary(f"/{kind.grpc_service}/Export")
        try:
            export(body, timeout=10, wait_for_ready=True)
        except grpc.RpcError as e:
            code: grpc.StatusCode = e.code()
            return code
    return grpc.StatusCode.OK


class Scrape:
    """Samples of one `/metrics` answer."""

    def __init__(self, url: str) -> None:
        response = httpx.get(f"{url}/metrics", trust_env=False)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain")
        self.text = response.text
        self.samples = [s for family in text_string_to_metric_families(self.text) for s in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of *name* whose labels include *labels*; there is at least one."""
        values = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        assert values, f"no {name} {labels}"
        return sum(values)

    def by(self, name: str, label: str, **labels: str) -> Counter[str]:
        """Return what is not zero of *name* by *label*."""
        tally: Counter[str] = Counter()
        for s in self.samples:
            if s.name == name and labels.items() <= s.labels.items() and s.value:
                tally[s.labels[label]] += int(s.value)
        return tally
