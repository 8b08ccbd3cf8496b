"""Ordinary records as clients send them: 512 in a request, eight of a run, one run in sixteen fails."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from types import TracebackType

import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

RECORDS, _OF_RUN = 512, 8
_PHASES = (
    "started",
    "validating",
    "calling_payments",
    "calling_stock",
    "calling_mail",
    "calling_payments",
    "calling_db",
)
_HEADERS = {"content-type": "application/x-protobuf"}


def request(number: int) -> bytes:
    """Return the body of the *number*th request: logs of 64 whole runs that end now."""
    message = ExportLogsServiceRequest()
    block = message.resource_logs.add()
    name = block.resource.attributes.add(key="service.name")
    name.value.string_value = "shop"
    logs = block.scope_logs.add()
    logs.scope.name = "tasks"
    began = time.time_ns() - 20 * 10**9
    for i in range(RECORDS // _OF_RUN):
        run = f"run_{number}_{i}_{secrets.token_hex(4)}"
        about = {"run_id": run, "task_id": f"task-{i % 20}", "queue": f"queue-{i % 7}", "correlation_id": f"doc-{run}"}
        last = "failed" if (number * RECORDS // _OF_RUN + i) % 16 == 0 else "completed"
        for k, phase in enumerate((*_PHASES, last)):
            record = logs.log_records.add(
                time_unix_nano=began + i * 10**7 + k * 10**9, severity_number=9, severity_text="INFO"
            )
            record.body.string_value = f"order_charge_{phase}"
            for key, value in about.items():
                record.attributes.add(key=key).value.string_value = value
            record.attributes.add(key="attempt").value.int_value = 1
    return message.SerializeToString()


class Senders:
    """Clients that send ordinary requests to *url* until the block ends, each so many seconds after its last answer.

    A request that is not answered well is sent again.
    """

    def __init__(self, url: str, *, clients: int = 4, pause_s: float = 0.0) -> None:
        self._url = url
        self._pause_s = pause_s
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._heard = threading.Condition()
        self._last_begun = 0.0
        self.answered = 0
        """Requests that were acknowledged."""
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float, seconds: float = 60.0) -> float:
        """Return how long after *moment* (monotonic) a request that was begun later was acknowledged."""
        with self._heard:
            if not self._heard.wait_for(lambda: self._last_begun > moment, timeout=seconds):
                raise SystemExit(f"nothing was acknowledged within {seconds:g} s")
        return time.monotonic() - moment

    def _send(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                body = request(next(self._numbers))
                while not self._stop.is_set():
                    begun = time.monotonic()
                    try:
                        good = client.post("/v1/logs", content=body, headers=_HEADERS).status_code == 200
                    except httpx.TransportError:
                        good = False
                    if good:
                        with self._heard:
                            self.answered += 1
                            self._last_begun = max(self._last_begun, begun)
                            self._heard.notify_all()
                        break
                    time.sleep(0.02)
                self._stop.wait(self._pause_s)
