"""Recordings that are replayed as if they were of now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from collector.cli import recordings
from collector.cli.recordings import Recorded

SETS = sorted((Path(__file__).resolve().parents[2] / "sample_data" / "trigger-dev-4.8.3").glob("*.jsonl.gz"))
BY_NS = 86_400_123_456_789
MOVED = ("timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano")


def tree(request: Recorded) -> Any:
    """Return a request as JSON, whatever it is encoded in."""
    if request.encoding == "json":
        return json.loads(request.body)
    message = request.signal.request()
    message.ParseFromString(request.body)
    return MessageToDict(message)


def values(item: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with its key, that of a whole number in an attribute with the attribute's own."""
    if isinstance(item, list):
        for part in item:
            yield from values(part, name)
    elif isinstance(item, dict):
        for key, value in item.items():
            name_ = name if key == "intValue" else item.get("key", key) if key == "value" else key
            yield from values(value, name_)
    else:
        yield name, item


@pytest.mark.parametrize("path", SETS, ids=lambda p: p.name.split(".")[0])
def test_all_times_of_a_recording_are_moved_alike(path: Path) -> None:
    """Moving a recording moves times of records and those that the platform writes into attributes, nothing else."""
    moved = 0
    for request in recordings.read(str(path)):
        before, after = tree(request), tree(recordings.shift(request, BY_NS))
        for (key, old), (same, new) in zip(values(before), values(after), strict=True):
            assert key == same
            if key in MOVED and int(old):
                assert int(new) == int(old) + BY_NS
                moved += 1
            elif key.startswith("$metrics.events.") and key.endswith(".timestamp"):
                assert int(new) == (int(old) * 1_000_000 + BY_NS) // 1_000_000
                moved += 1
            else:
                assert new == old, key
    assert moved
