"""The same telemetry in another form: other encoding, one record a request, other names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from collector.cli.recordings import Recorded

_IDS = ("traceId", "spanId", "parentSpanId")
_BLOCKS = {
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


def as_json(message: Any) -> bytes:
    """Return a protobuf request as OTLP/JSON: ids in hex, enums as numbers, 64-bit integers as strings."""
    tree = json_format.MessageToDict(message, use_integers_for_enums=True)
    _change_ids(tree, lambda text: base64.b64decode(text).hex())
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def to_json(r: Recorded) -> Recorded:
    """Return the request as OTLP/JSON."""
    if r.encoding == "json":
        return r
    return replace(r, encoding="json", body=as_json(_message(r)))


def to_protobuf(r: Recorded) -> Recorded:
    """Return the request as protobuf."""
    if r.encoding == "protobuf":
        return r
    return replace(r, encoding="protobuf", body=_message(r).SerializeToString())


def single(r: Recorded) -> Iterator[Recorded]:
    """Yield the records of a request, each as a request of its own in the same encoding."""
    outer, middle, inner = _BLOCKS[r.signal.name]
    tree = json.loads(to_json(r).body)
    for block in tree.get(outer) or []:
        for group in block.get(middle) or []:
            for record in group.get(inner) or []:
                alone = {outer: [{**block, middle: [{**group, inner: [record]}]}]}
                one = replace(r, encoding="json", body=json.dumps(alone, ensure_ascii=False).encode())
                yield one if r.encoding == "json" else to_protobuf(one)


def renamed(r: Recorded, change: Callable[[str], str]) -> Recorded:
    """Return the request with every string value put through *change*, keys left alone."""
    tree = json.loads(to_json(r).body)
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            if isinstance(item.get("stringValue"), str):
                item["stringValue"] = change(item["stringValue"])
            stack.extend(item.values())
    changed = replace(r, encoding="json", body=json.dumps(tree, ensure_ascii=False).encode())
    return changed if r.encoding == "json" else to_protobuf(changed)


def _message(r: Recorded) -> Any:
    message = r.signal.request()
    if r.encoding == "protobuf":
        message.ParseFromString(r.body)
        return message
    tree = json.loads(r.body)
    _change_ids(tree, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    _large_integers(tree)
    return json_format.ParseDict(tree, message, ignore_unknown_fields=True)


def _change_ids(tree: Any, change: Callable[[str], str]) -> None:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in _IDS and isinstance(value, str):
                    item[key] = change(value)
                else:
                    stack.append(value)


def _large_integers(tree: Any) -> None:
    """Make doubles of integers that JavaScript wrote and 64 bits do not hold, as its protobuf encoder does."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            value = item.get("intValue")
            if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 2**63):
                item["doubleValue"] = float(item.pop("intValue"))
            stack.extend(item.values())
