"""Ordinary telemetry as fast as it is taken: plain OpenTelemetry logs of whole runs, eight records a run.

Run ids are unique, 6 % of the runs fail once and retry, 287 bytes a record. Times end now, so that runs overlap as they
do in production: hundreds work at once. The same seed gives the same runs.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from random import Random

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

RECORDS_A_RUN = 8
RUNS_A_REQUEST = 64
_PLAIN = ("started", "validating", "calling", "calling", "calling", "calling", "calling", "completed")
_RETRIED = ("started", "validating", "calling", "failed", "started", "validating", "calling", "completed")
_RETRY_SHARE = 0.06
_TASKS = 20
_LONGEST_S = 8.0


def body(random: Random, name: str, now_ns: int) -> bytes:
    """Return a request of `RUNS_A_REQUEST` whole runs that ended about *now_ns*; *name* makes their ids unique."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    for key, value in (("service.name", "shop-workers"), ("deployment.environment.name", "production")):
        resource.resource.attributes.add(key=key).value.string_value = value
    records = resource.scope_logs.add().log_records
    for i in range(RUNS_A_REQUEST):
        task = random.randrange(_TASKS)
        is_retried = random.random() < _RETRY_SHARE
        began_ns = now_ns - int(random.uniform(0.5, _LONGEST_S) * 1e9)
        step_ns = (now_ns - began_ns) // RECORDS_A_RUN
        run_id, correlation = f"run_{name}_{i}", f"order-{random.randrange(10**9)}"
        for k, phase in enumerate(_RETRIED if is_retried else _PLAIN):
            at_ns = began_ns + k * step_ns
            record = records.add(time_unix_nano=at_ns, observed_time_unix_nano=at_ns)
            record.severity_number = 17 if phase == "failed" else 9
            service = f"_service-{task % 7}" if phase == "calling" else ""
            record.body.string_value = f"order_{task}_{phase}{service}"
            about: dict[str, str | int] = {
                "run_id": run_id,
                "task": f"task-{task}",
                "queue": f"queue-{task % 5}",
                "attempt": 2 if is_retried and k > 3 else 1,
                "correlation_id": correlation,
                "request_id": f"{random.getrandbits(128):032x}",
                "item_count": random.randrange(100),
                "customer_segment": "returning",
            }
            if phase in ("completed", "failed"):
                about["duration_ms"] = step_ns // 10**6 * k
            if phase == "failed":
                about |= {"error_type": "HttpError", "error_message": "the warehouse answered 503"}
            for key, value in about.items():
                attribute = record.attributes.add(key=key)
                if isinstance(value, str):
                    attribute.value.string_value = value
                else:
                    attribute.value.int_value = value
    return request.SerializeToString()


class Burst:
    """Sends *records* over so many connections, or until `stop`; counts what was acknowledged."""

    def __init__(self, port: int, *, records: int, seed: int, connections: int = 4) -> None:
        self._port = port
        self._seed = seed
        requests = max(1, records // (RECORDS_A_RUN * RUNS_A_REQUEST))
        self._left: Iterator[int] = iter(range(requests))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged = 0
        """Records that were acknowledged."""
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(connections)]

    def start(self) -> Burst:
        """Begin to send."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Send no more than what was begun."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until everything is acknowledged; raise what a connection failed for."""
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _send(self) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            while not self._stop.is_set():
                with self._lock:
                    number = next(self._left, None)
                if number is None:
                    break
                content = body(Random(f"{self._seed}/{number}"), f"{self._seed}_{number}", time.time_ns())
                while not self._post(connection, content):
                    time.sleep(0.2)
                with self._lock:
                    self.acknowledged += RECORDS_A_RUN * RUNS_A_REQUEST
            connection.close()
        except BaseException as e:
            self.failures.append(e)

    @staticmethod
    def _post(connection: http.client.HTTPConnection, content: bytes) -> bool:
        """Tell whether the request was taken; False where it is to be sent again."""
        try:
            connection.request("POST", "/v1/logs", content, {"content-type": "application/x-protobuf"})
            answer = connection.getresponse()
            said = answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            return False
        if answer.status not in (200, 503):
            raise RuntimeError(f"{answer.status} {said[:200]!r}")
        return answer.status == 200
