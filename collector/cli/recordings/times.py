"""All times of a request moved by one constant; everything else keeps its meaning."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from google.protobuf.message import DecodeError

from collector.cli.recordings.requests import Recorded
from collector.model.units import MS_NS

_TIME_KEY = re.compile(r"\$metrics\.events\..+\.timestamp")
"""Attributes in which Trigger.dev writes times, ms since 1970."""
_JSON_TIMES = frozenset({"timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano", "endTimeUnixNano"})
_MESSAGE_TIMES = frozenset({"time_unix_nano", "observed_time_unix_nano", "start_time_unix_nano", "end_time_unix_nano"})


def newest_ns(request: Recorded) -> int:
    """Return the latest time in a request, 0 when it has none."""
    newest = 0

    def look(ns: int) -> int:
        nonlocal newest
        newest = max(newest, ns)
        return ns

    _map_times(request, look)
    return newest


def shift(request: Recorded, by_ns: int) -> Recorded:
    """Return the request with every time moved by *by_ns*; a time of 0 means unknown and stays."""
    return _map_times(request, lambda ns: ns + by_ns if ns else 0)


def _map_times(request: Recorded, change: Any) -> Recorded:
    """Return the request with its times changed; as it is where it cannot be read, for the collector to refuse."""
    try:
        return _mapped(request, change)
    except (ValueError, RecursionError, OverflowError, DecodeError):
        return request


def _mapped(request: Recorded, change: Any) -> Recorded:
    if request.encoding == "json":
        tree = json.loads(request.body.decode("utf-8", "replace"))
        _map_json(tree, change)
        return replace(request, body=json.dumps(tree, separators=(",", ":")).encode())  # ASCII: lone surrogates too
    message = request.signal.request()
    message.ParseFromString(request.body)
    _map_message(message, change)
    return replace(request, body=message.SerializeToString())


def _map_json(tree: Any, change: Any) -> None:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if key in _JSON_TIMES and isinstance(value, (str, int)) and str(value).isdigit():
                    changed = change(int(value))
                    item[key] = str(changed) if isinstance(value, str) else changed
                elif key == "attributes" and isinstance(value, list):
                    _map_attributes(value, change)
                elif key not in ("body", "filteredAttributes"):
                    stack.append(value)


def _map_attributes(attributes: list[Any], change: Any) -> None:
    """Change the times that a platform writes into attributes, such as when an attempt was taken from its queue."""
    for item in attributes:
        if not isinstance(item, dict) or not _TIME_KEY.fullmatch(str(item.get("key"))):
            continue
        value = item.get("value")
        number = value.get("intValue") if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(number, (str, int)) and str(number).isdigit():
            changed = change(int(number) * MS_NS) // MS_NS
            value["intValue"] = str(changed) if isinstance(number, str) else changed


def _map_message(message: Any, change: Any) -> None:
    for field, value in message.ListFields():
        if field.name in _MESSAGE_TIMES:
            setattr(message, field.name, change(value))
        elif field.name == "attributes":
            for item in value:
                if _TIME_KEY.fullmatch(item.key) and item.value.WhichOneof("value") == "int_value":
                    item.value.int_value = change(item.value.int_value * MS_NS) // MS_NS
        elif field.message_type is not None and field.name not in ("body", "filtered_attributes"):
            for part in value if field.is_repeated else [value]:
                _map_message(part, change)
