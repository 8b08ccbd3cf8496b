"""The settings to paste for the exporter at hand, with the addresses of this collector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from collector.control.senders import Sender

Exporter = Literal["trigger-dev", "python", "js", "collector", "otlp"]


def trigger_dev(http: str, grpc: str) -> str:
    """Return `trigger.config.ts`."""
    return f"""\
// trigger.config.ts; exporter packages of version 0.200 or newer
import {{ defineConfig }} from "@trigger.dev/sdk";
import {{ OTLPTraceExporter }} from "@opentelemetry/exporter-trace-otlp-http";
import {{ OTLPLogExporter }} from "@opentelemetry/exporter-logs-otlp-http";

const runwell = "{http}"; // as seen from the worker

export default defineConfig({{
  project: "<project-ref>",
  maxDuration: 300, // seconds of compute time that a run may take
  telemetry: {{
    exporters: [new OTLPTraceExporter({{ url: `${{runwell}}/v1/traces` }})],
    logExporters: [new OTLPLogExporter({{ url: `${{runwell}}/v1/logs` }})],
  }},
}});
"""


def python(http: str, grpc: str) -> str:
    """Return variables for the Python SDK, and what to install."""
    return f"""\
# pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http; docs/connect/python-logging.md has the code
export OTEL_EXPORTER_OTLP_ENDPOINT={http}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
"""


def js(http: str, grpc: str) -> str:
    """Return variables for the JavaScript SDK."""
    return f"""\
# @opentelemetry/exporter-*-otlp-proto or -otlp-http, version 0.200 or newer
export OTEL_EXPORTER_OTLP_ENDPOINT={http}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
"""


def collector(http: str, grpc: str) -> str:
    """Return a part of an OpenTelemetry Collector's configuration."""
    return f"""\
exporters:
  otlp_http/runwell: # before Collector 0.144: otlphttp/runwell
    endpoint: {http}
service:
  pipelines:
    logs:   {{ receivers: [otlp], exporters: [otlp_http/runwell] }}
    traces: {{ receivers: [otlp], exporters: [otlp_http/runwell] }}
"""


def otlp(http: str, grpc: str) -> str:
    """Return the variables that every SDK reads."""
    return f"""\
# OTLP/HTTP, protobuf or JSON; gRPC: OTEL_EXPORTER_OTLP_PROTOCOL=grpc and {grpc}
export OTEL_EXPORTER_OTLP_ENDPOINT={http}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
"""


SETTINGS: dict[Exporter, Callable[[str, str], str]] = {
    "trigger-dev": trigger_dev,
    "python": python,
    "js": js,
    "collector": collector,
    "otlp": otlp,
}


def at_hand(senders: list[Sender]) -> list[Exporter]:
    """Return the kinds of exporters that *senders* are, the latest first; plain OTLP when there is none."""
    kinds = [_kind(s) for s in senders if s.agent not in ("curl", "replay")]
    return list(dict.fromkeys(kinds)) or ["otlp"]


def _kind(s: Sender) -> Exporter:
    if s.dialect == "trigger_dev":
        return "trigger-dev"
    if s.agent == "collector":
        return "collector"
    if s.agent == "python" or s.language == "python":
        return "python"
    if s.agent == "js" or s.language in ("nodejs", "webjs", "typescript"):
        return "js"
    return "otlp"
