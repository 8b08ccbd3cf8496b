"""What decoding costs is counted before it is done, whatever a request has much of."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import Batch, Beyond, rows
from collector.journal.entries import Packer, unpack
from collector.model.errors import OtherSignal, TooLarge
from collector.model.signals import LOGS, METRICS, TRACES, Encoding, Signal
from collector.settings import Limits
from tests.decode.messages import NOW, requests
from tests.reshape import as_json

MUCH = 200_000
IDS = {"trace_id": b"t" * 16, "span_id": b"s" * 8}


def of_logs(fill: Callable[..., object]) -> Callable[[], tuple[Signal, object]]:
    """Return what makes a request of one log record that *fill* has filled."""

    def make() -> tuple[Signal, object]:
        message = LOGS.request()
        fill(message.resource_logs.add().scope_logs.add().log_records.add())
        return LOGS, message

    return make


def of_span(fill: Callable[..., object]) -> Callable[[], tuple[Signal, object]]:
    """Return what makes a request of one span that *fill* has filled."""

    def make() -> tuple[Signal, object]:
        message = TRACES.request()
        fill(message.resource_spans.add().scope_spans.add().spans.add(**IDS))
        return TRACES, message

    return make


def of_metric(fill: Callable[..., object]) -> Callable[[], tuple[Signal, object]]:
    """Return what makes a request of one metric that *fill* has filled."""

    def make() -> tuple[Signal, object]:
        message = METRICS.request()
        fill(message.resource_metrics.add().scope_metrics.add().metrics.add())
        return METRICS, message

    return make


def many(field: str, count: int) -> Callable[..., object]:
    """Return what adds *count* empty messages to the field that a dotted path names."""

    def fill(message: object) -> None:
        *path, last = field.split(".")
        for name in path:
            at = getattr(message, name)
            message = at.add() if hasattr(at, "add") else at
        for _ in range(count):
            getattr(message, last).add()

    return fill


def whole(signal: Signal, field: str, count: int) -> Callable[[], tuple[Signal, object]]:
    """Return what makes a request with *count* of *field*."""

    def make() -> tuple[Signal, object]:
        message = signal.request()
        many(field, count)(message)
        return signal, message

    return make


def numbers(metric: object) -> None:
    """Fill a histogram with more buckets than anything has."""
    metric.histogram.data_points.add().bucket_counts.extend([1] * 8 * MUCH)  # type: ignore[attr-defined]


def of_environment() -> tuple[Signal, object]:
    """Return a request of few records that each take a long text from their resource."""
    message = LOGS.request()
    block = message.resource_logs.add()
    block.resource.attributes.add(key="deployment.environment.name").value.string_value = "e" * 2**16
    many("scope_logs.log_records", 50)(block)
    return LOGS, message


KINDS: dict[str, Callable[[], tuple[Signal, object]]] = {
    "records": whole(LOGS, "resource_logs.scope_logs.log_records", 60_000),
    "spans": whole(TRACES, "resource_spans.scope_spans.spans", 60_000),
    "resources": whole(LOGS, "resource_logs", 60_000),
    "scopes": whole(METRICS, "resource_metrics.scope_metrics", 60_000),
    "metrics": whole(METRICS, "resource_metrics.scope_metrics.metrics", 60_000),
    "points": of_metric(many("gauge.data_points", 60_000)),
    "attributes": of_logs(many("attributes", MUCH)),
    "elements": of_logs(many("body.array_value.values", MUCH)),
    "pairs": of_logs(many("body.kvlist_value.values", MUCH)),
    "events": of_span(many("events", 50_000)),
    "links": of_span(many("links", 50_000)),
    "exemplars": of_metric(many("sum.data_points.exemplars", 50_000)),
    "quantiles": of_metric(many("summary.data_points.quantile_values", MUCH)),
    "buckets": of_metric(numbers),
    "attributes of a resource": whole(TRACES, "resource_spans.resource.attributes", MUCH),
    "attributes of a scope": whole(LOGS, "resource_logs.scope_logs.scope.attributes", MUCH),
    "entities": whole(LOGS, "resource_logs.resource.entity_refs", 50_000),
    "attributes of an event": of_span(many("events.attributes", MUCH)),
    "records of a resource with long texts": of_environment,
    "points of a metric with a long name": of_metric(
        lambda m: (setattr(m, "name", "n" * 2**16), many("gauge.data_points", 50)(m))
    ),
    "metadata": of_metric(lambda m: (many("gauge.data_points", 1)(m), many("metadata", MUCH)(m))),
}


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_request_has_much_of_is_given_up_before_it_is_read(kind: str, encoding: Encoding) -> None:
    """Nothing of it is kept; who has time for it has all of it, and its rows do not depend on that."""
    signal, message = KINDS[kind]()
    body = message.SerializeToString() if encoding == "protobuf" else as_json(message)  # type: ignore[attr-defined]
    hasty = Batch(Limits(nodes=2 * MUCH), most_work=10_000)
    with pytest.raises(Beyond):
        hasty.add(signal, encoding, body, project="p", received_ns=NOW)
    assert hasty.tables() == {}
    assert hasty.spent > 10_000


def test_numbers_that_are_slow_to_convert_count() -> None:
    """Those next to the least and the greatest double, in JSON; ordinary ones and ids do not."""
    for number, slow in ((b"1e-320", True), (b"1.7976931348623157081E+308", True), (b"17e2", False), (b"0.25", False)):
        points = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"bucketCounts":['
        body = points + b",".join([number] * 5_000) + b"]}]}}]}]}]}"
        hasty = Batch(Limits(), most_work=10_000)
        if slow:
            with pytest.raises(Beyond):
                hasty.add(METRICS, "json", body, project="p", received_ns=NOW)
        else:
            assert hasty.add(METRICS, "json", body, project="p", received_ns=NOW).records == 1


@settings(max_examples=50)
@given(requests(LOGS) | requests(TRACES) | requests(METRICS))
def test_rows_do_not_depend_on_how_much_they_may_cost(message: object) -> None:
    """A request is decoded as without a bound, or given up."""
    signal = next(s for s in (LOGS, TRACES, METRICS) if isinstance(message, type(s.request())))
    body = message.SerializeToString()  # type: ignore[attr-defined]
    bounded, free = Batch(Limits(), most_work=60), Batch(Limits())
    try:
        said = bounded.add(signal, "protobuf", body, project="p", received_ns=NOW)
    except Beyond:
        assert bounded.tables() == {}
        return
    except Exception as e:
        with pytest.raises(type(e)):
            free.add(signal, "protobuf", body, project="p", received_ns=NOW)
        return
    assert said == free.add(signal, "protobuf", body, project="p", received_ns=NOW)
    assert bounded.tables() == free.tables()
    assert bounded.spent == free.spent <= 60


def test_unknown_fields_are_bounded_and_cost_next_to_nothing() -> None:
    """A body over 4 MiB may have four fields for each of limits.parts; of a smaller one few are looked at."""
    one = LOGS.request()
    one.resource_logs.add().scope_logs.add().log_records.add()
    known = one.SerializeToString()
    body = b"\x78\x01" * 2**20 + known
    began = time.process_time()
    assert Batch(Limits()).add(LOGS, "protobuf", body, project="p", received_ns=NOW).records == 1
    assert time.process_time() - began < 0.5  # 0.003 s; at 1 us each it would be a second
    with pytest.raises(TooLarge, match=r"limits\.parts"):
        Batch(Limits(parts=500_000)).add(LOGS, "protobuf", body * 3, project="p", received_ns=NOW)


def test_a_known_field_of_another_type_is_found_between_unknown_ones() -> None:
    """In the request and in its first record, groups and repeated numbers beside it."""
    record = b"\x7b\x08\x01\x7c" + b"\x12\x01x"  # a group, then severity_number as bytes
    scope = b"\x12" + bytes([len(record)]) + record
    resource = b"\x12" + bytes([len(scope)]) + scope
    for body in (b"\x78\x01" * 100 + b"\x08\x01", b"\x0a" + bytes([len(resource)]) + resource):
        with pytest.raises(OtherSignal):
            Batch(Limits()).add(LOGS, "protobuf", body, project="p", received_ns=NOW)
    fine = LOGS.request()
    fine.resource_logs.add().scope_logs.add().log_records.add(severity_number=9)
    body = b"\x7b\x08\x01\x7c" + fine.SerializeToString()
    assert Batch(Limits()).add(LOGS, "protobuf", body, project="p", received_ns=NOW).records == 1


@settings(max_examples=30)
@given(requests(LOGS) | requests(TRACES) | requests(METRICS), st.integers(1, 3))
def test_rows_and_answers_are_the_same_when_they_are_put_away_in_parts(message: object, size: int) -> None:
    """However many records are kept as objects before they become columns, and whoever keeps those."""
    signal = next(s for s in (LOGS, TRACES, METRICS) if isinstance(message, type(s.request())))
    body = message.SerializeToString()  # type: ignore[attr-defined]

    def outcome(batch: Batch) -> object:
        try:
            return batch.add(signal, "protobuf", body, project="p", received_ns=NOW)
        except Exception as e:
            return repr(e)

    whole = Batch(Limits())
    said = outcome(whole)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(rows, "_CHUNK", size)
        parts, packer = Batch(Limits()), Packer()
        elsewhere = Batch(Limits(), away=packer.add)
        assert outcome(parts) == outcome(elsewhere) == said
    assert parts.tables() == whole.tables()
    if whole.tables():
        for name, table in elsewhere.tables().items():
            packer.add(name, table)
        assert unpack(b"".join(packer.end())) == whole.tables()
