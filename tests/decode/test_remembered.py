"""What decoding remembers of the requests before."""

from __future__ import annotations

import tracemalloc

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.decode import Batch
from collector.model.signals import BY_NAME
from collector.receive.via import via
from collector.settings import Limits

_LONG = 100_000


def _take(number: int) -> None:
    text = str(number).ljust(_LONG, "x")
    request = ExportLogsServiceRequest()
    block = request.resource_logs.add()
    block.resource.attributes.add(key="deployment.environment.name").value.string_value = text
    record = block.scope_logs.add().log_records.add()
    record.body.string_value = record.event_name = text
    record.attributes.add(key="run_id").value.string_value = text
    body = request.SerializeToString()
    taken = Batch(Limits()).add(BY_NAME["logs"], "protobuf", body, project="p", received_ns=10**18)
    assert taken.records == 1
    via("http", text)


def test_long_texts_are_not_remembered() -> None:
    """Of requests that were decoded, whatever texts they held, no more than a few of them stays in memory."""
    _take(-1)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20):
            _take(number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 3 * _LONG
