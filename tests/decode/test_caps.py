"""Limits on one record: what is promoted is read first, what is cut is counted and told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.decode import Accepted
from collector.model.errors import BadInput
from collector.model.signals import LOGS
from collector.settings import Limits
from tests.decode.messages import NOW, decode
from tests.reshape import as_json


def request(attributes: int = 0, *, value: str = "v", depth: int = 0) -> Any:
    """Return a request with one Trigger.dev log: user attributes first, the run id last, as its SDK sends them."""
    message = LOGS.request()
    block = message.resource_logs.add()
    block.resource.attributes.add(key="$trigger").value.bool_value = True
    record = block.scope_logs.add().log_records.add(time_unix_nano=NOW)
    for i in range(attributes):
        record.attributes.add(key=f"k{i}").value.string_value = value
    if depth:
        at = record.attributes.add(key="deep").value
        for _ in range(depth):
            at = at.array_value.values.add()
        at.string_value = "bottom"
    record.attributes.add(key="$metadata.ctx.run.id").value.string_value = "run_last"
    return message


def both(message: Any, limits: Limits | None = None) -> tuple[dict[str, Any], Accepted]:
    """Return the row, the same from both encodings, and what is said."""
    rows, said = decode(LOGS, "protobuf", message.SerializeToString(), limits)
    again, repeated = decode(LOGS, "json", as_json(message), limits)
    assert rows == again
    assert said.message == repeated.message
    return rows["logs"][0], said


def test_a_run_id_behind_a_thousand_attributes_is_found() -> None:
    """1,024 attributes, as Trigger.dev sends at most, are all kept, and the run id behind them is promoted."""
    row, said = both(request(1024))
    assert row["run_id"] == "run_last"
    assert len(json.loads(row["attributes"])) == 1025
    assert said.message == ""


def test_attributes_beyond_the_cap_are_cut_after_promotion() -> None:
    """Beyond 2,048 attributes the rest is not kept, the columns are, and the sender is told."""
    row, said = both(request(3000))
    assert row["run_id"] == "run_last"
    assert len(json.loads(row["attributes"])) == 2048
    assert said.warnings["attributes_cut"] == 1
    assert "1 records cut to 2048 attributes" in said.message


@pytest.mark.parametrize(
    ("length", "expected", "message"), [(131_072, 131_072, ""), (300_000, 262_144, "1 values cut")]
)
def test_long_values_are_kept_up_to_the_cap(length: int, expected: int, message: str) -> None:
    """131,072 characters, as Trigger.dev sends at most, are kept; beyond 262,144 a value is cut and counted."""
    row, said = both(request(1, value="x" * length))
    assert len(json.loads(row["attributes"])["k0"]) == expected
    assert said.message.startswith(message)
    assert bool(said.message) == bool(message)


def test_values_nested_too_deeply_are_refused_by_name() -> None:
    """A value may nest 32 deep; deeper ones are refused with the path of the record and what to do."""
    row, _ = both(request(depth=32))
    assert "bottom" in row["attributes"]
    message = request(depth=33)
    for encoding, body in (("protobuf", message.SerializeToString()), ("json", as_json(message))):
        with pytest.raises(BadInput, match=r"resourceLogs\[0\]\.scopeLogs\[0\]\.logRecords\[0\].*flatten"):
            decode(LOGS, encoding, body)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [200, 5_000, 200_000])
def test_no_depth_crashes_the_decoder(depth: int) -> None:
    """However deep the nesting, the answer is a sentence."""
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":1}' + "]}}" * depth
    body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + value + "}]}]}]}"
    with pytest.raises(BadInput, match="nested"):
        decode(LOGS, "json", body.encode())
