"""Names that belong to frameworks and conventions other than ours, and are never a finding."""

from __future__ import annotations

import re

# fmt: off
LIBRARY_SCOPES = (
    "opentelemetry", "@opentelemetry/", "io.opentelemetry", "go.opentelemetry.io", "OpenTelemetry",
    "urllib3", "httpx", "httpcore", "requests", "aiohttp", "boto3", "botocore", "s3transfer", "asyncio", "concurrent",
    "uvicorn", "gunicorn", "hypercorn", "werkzeug", "fastapi", "starlette", "django", "flask", "grpc", "sqlalchemy",
    "psycopg", "asyncpg", "pymongo", "redis", "kombu", "amqp", "pika", "kafka", "celery", "billiard", "dramatiq",
    "temporalio", "prefect", "apscheduler", "rq", "paramiko", "PIL", "matplotlib", "openai", "anthropic", "langchain",
    "py.warnings", "multiprocessing", "Microsoft.", "System.", "org.springframework", "org.apache", "org.hibernate",
    "com.zaxxer", "io.netty",
)
# fmt: on
"""Instrumentation scopes (logger names, for most SDKs) whose records a library wrote, not a task."""

# fmt: off
FRAMEWORK_KEYS = frozenset({
    "otelTraceID", "otelSpanID", "otelServiceName", "otelTraceSampled",  # opentelemetry-instrumentation-logging
    "taskName",  # logging.LogRecord since Python 3.12
    "{OriginalFormat}", "CategoryName", "EventId", "EventName", "SpanId", "TraceId", "ParentId", "RequestPath",
    "ConnectionId", "RequestId", "ActionId", "ActionName",  # Microsoft.Extensions.Logging scopes
})
# fmt: on
"""Undotted keys that frameworks put on records."""

_FRAMEWORK_PREFIX = re.compile(r"^[$@{]|^(?:ctx|otel|telemetry|log4j|dd|sentry|aws|gcp|azure|ai|_[A-Z])\.")
SUFFIX = re.compile(r"\.?\[\d+\]")

# fmt: off
CONVENTIONS = frozenset({
    "android", "app", "artifact", "aspnetcore", "az", "azure", "browser", "cassandra", "cicd", "client", "cloud",
    "cloudevents", "cloudfoundry", "code", "container", "cpu", "cpython", "db", "deployment", "destination", "device",
    "disk", "dns", "elasticsearch", "enduser", "error", "event", "exception", "faas", "feature_flag", "file", "fs",
    "gcp", "gen_ai", "geo", "go", "graphql", "heroku", "host", "http", "hw", "ios", "jsonrpc", "jvm", "k8s", "linux",
    "log", "mainframe", "mcp", "message", "messaging", "net", "network", "nfs", "nodejs", "oci", "onc_rpc", "openai",
    "opentracing", "oracle", "oracle_cloud", "os", "otel", "peer", "pool", "pprof", "process", "profile", "rpc",
    "security_rule", "server", "service", "session", "signalr", "source", "state", "system", "telemetry", "test",
    "thread", "tls", "type", "url", "user", "user_agent", "v8js", "vcs", "webengine", "zos",
})
# fmt: on
"""First segments of OpenTelemetry's semantic conventions; a dotted key under one of them is theirs."""


def chosen_name(key: str) -> str | None:
    """Return the top-level name the task's author chose for *key*, None for a framework's or convention's key.

    A flattener's suffixes (`labels.[0]`) and what stands below the first dot (`source.bytes`) are not a name of
    their own: the author chose `labels` and `source`.
    """
    if not key or key in FRAMEWORK_KEYS or _FRAMEWORK_PREFIX.match(key):
        return None
    return SUFFIX.sub("", key).split(".", 1)[0] or None


def conventional(key: str) -> bool:
    """Tell whether *key* is a name of OpenTelemetry's semantic conventions, by its namespace."""
    head, dot, _ = key.partition(".")
    return bool(dot) and head in CONVENTIONS
