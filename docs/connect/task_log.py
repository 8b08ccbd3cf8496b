"""Log task runs as `{operation}_{phase}` with the three ids on every record. Copy this file into your project.

    provider = connect("billing-worker", version="2026.11.23", environment="production")
    log = TaskLog(provider, correlation_id=order_id, request_id=request_id, run_id=run_id, task_id="charge-order")
    with log.operation("order_charge", amount_cents=4200) as step:
        step.calling("stripe")
        ...
        step.done(charge_id=charge.id)  # keys for order_charge_completed

Needs opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

Value = str | int | float | bool


def connect(service: str, *, version: str, environment: str, endpoint: str = "http://127.0.0.1:4318") -> LoggerProvider:
    """Return a provider that sends to runwell at *endpoint*; call its `shutdown()` before the process ends."""
    resource = {"service.name": service, "service.version": version, "deployment.environment.name": environment}
    provider = LoggerProvider(resource=Resource.create(resource))
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    return provider


class Step:
    """An operation in progress."""

    def __init__(self, log: TaskLog, operation: str) -> None:
        self._log = log
        self._operation = operation
        self.ending = ""
        self.results: dict[str, Value] = {}

    def validating(self, **fields: Value) -> None:
        """Say that input is being checked."""
        self._log.write(f"{self._operation}_validating", fields)

    def calling(self, service: str, **fields: Value) -> None:
        """Say that *service*, named in snake_case, is being called."""
        self._log.write(f"{self._operation}_calling_{service}", fields)

    def done(self, **fields: Value) -> None:
        """Add *fields* to the record of completion."""
        self.results.update(fields)

    def skipped(self, **fields: Value) -> None:
        """Say that there was nothing to do: the operation ends as `_skipped`, and counts in no rate or duration."""
        self._end("skipped", fields)

    def canceled(self, **fields: Value) -> None:
        """Say that somebody called it off: the operation ends as `_canceled`, and counts as no failure."""
        self._end("canceled", fields)

    def interrupted(self, **fields: Value) -> None:
        """Say that the worker lets go and the same attempt will go on: the operation ends as `_interrupted`."""
        self._end("interrupted", fields)

    def retrying(self, **fields: Value) -> None:
        """Say that this attempt failed and another will follow: the operation ends as `_retrying`."""
        self._end("retrying", fields)

    def _end(self, ending: str, fields: dict[str, Value]) -> None:
        self.ending = ending
        self.results.update(fields)


class TaskLog:
    """Writes the records of one attempt of one run."""

    def __init__(
        self,
        provider: LoggerProvider,
        *,
        correlation_id: str,
        request_id: str,
        run_id: str,
        task_id: str,
        attempt: int = 1,
        **more: Value,
    ) -> None:
        """*more*: what else every record should carry, such as `queue` or `parent_run_id`."""
        self._logger = provider.get_logger("tasks")
        self._always = {
            "correlation_id": correlation_id,
            "request_id": request_id,
            "run_id": run_id,
            "task_id": task_id,
            "attempt": attempt,
            **more,
        }

    def write(self, message: str, fields: dict[str, Value], *, failed: bool = False) -> None:
        """Write one record now."""
        self._logger.emit(
            timestamp=time.time_ns(),
            body=message,
            severity_number=SeverityNumber.ERROR if failed else SeverityNumber.INFO,
            severity_text="ERROR" if failed else "INFO",
            attributes={**self._always, **fields},
        )

    @contextmanager
    def operation(self, name: str, **fields: Value) -> Iterator[Step]:
        """Log `{name}_started`, then `_completed` with its time or `_failed` with the error, which goes on rising.

        Where the step says that it ended otherwise, that is logged instead.
        """
        step = Step(self, name)
        began = time.perf_counter()
        self.write(f"{name}_started", fields)
        try:
            yield step
        except BaseException as error:
            told = self._took(began) | self._error(error) | (step.results if step.ending else {})
            self.write(f"{name}_{step.ending or 'failed'}", told, failed=not step.ending)
            raise
        self.write(f"{name}_{step.ending or 'completed'}", self._took(began) | step.results)

    @staticmethod
    def _took(began: float) -> dict[str, Value]:
        return {"processing_time_ms": round((time.perf_counter() - began) * 1000, 3)}

    @staticmethod
    def _error(error: BaseException) -> dict[str, Value]:
        return {"error_type": type(error).__name__, "error_message": str(error)}
