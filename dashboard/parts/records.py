"""Logs and spans as table rows, and a record as it was received: pure functions of what the API says."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import streamlit as st

from collector.model.units import MS_NS
from dashboard import strings
from dashboard.parts import run_view
from dashboard.parts.text import visible

Record = dict[str, Any]

LEVELS = {
    "TRACE": "gray",
    "DEBUG": "gray",
    "INFO": "blue",
    "WARN": "orange",
    "ERROR": "red",
    "FATAL": "red",
    "?": "gray",
}
SPAN_STATUS = {"ok": "green", "error": "red", "unset": "gray", "?": "gray"}
SLACK_NS = MS_NS
"""Clocks write milliseconds: a log of the first or last moment of a bar may lie this far outside."""


def level(number: int | None) -> str:
    """Return the name of a severity number; a question mark when none was sent."""
    if not number:
        return "?"
    return ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")[min(5, (number - 1) // 4)]


def moment(record: Record) -> int:
    """Return when *record* says it happened, else when it was received; ns."""
    raw = record.get("time_unix_nano") or record.get("start_time_unix_nano") or record.get("observed_time_unix_nano")
    return int(raw or record["received_ns"])


def _offset(record: Record, zero_ns: int) -> float:
    """Return seconds since *zero_ns* to the millisecond, never a negative zero."""
    return round((moment(record) - zero_ns) / 1e9, 3) + 0.0


def within(logs: list[Record], start_ns: int, end_ns: int) -> list[Record]:
    """Return the logs of an interval."""
    return [r for r in logs if start_ns - SLACK_NS <= moment(r) <= end_ns + SLACK_NS]


def log_rows(logs: list[Record], zero_ns: int) -> pl.DataFrame:
    """Return one row a log, its offset in seconds from *zero_ns*."""
    return pl.DataFrame(
        {
            "Offset": [_offset(r, zero_ns) for r in logs],
            "Level": [[level(r["severity_number"])] for r in logs],
            "Attempt": [r["attempt"] for r in logs],
            "Message": [visible(r["body"] or "") for r in logs],
            "Attributes": [brief(r) for r in logs],
        },
        schema={
            "Offset": pl.Float64,
            "Level": pl.List(pl.String),
            "Attempt": pl.Int64,
            "Message": pl.String,
            "Attributes": pl.String,
        },
    )


def span_rows(spans: list[Record], zero_ns: int) -> pl.DataFrame:
    """Return one row a span, its offset in seconds, its duration in ms."""
    words = {0: "unset", 1: "ok", 2: "error"}
    return pl.DataFrame(
        {
            "Offset": [_offset(r, zero_ns) for r in spans],
            "Status": [[words.get(r["status_code"], "?")] for r in spans],
            "Attempt": [r["attempt"] for r in spans],
            "Name": [visible(r["name"]) for r in spans],
            "Type": [r["span_type"] for r in spans],
            "Duration": [None if r["duration_ns"] is None else r["duration_ns"] / 1e6 for r in spans],
        },
        schema={
            "Offset": pl.Float64,
            "Status": pl.List(pl.String),
            "Attempt": pl.Int64,
            "Name": pl.String,
            "Type": pl.String,
            "Duration": pl.Float64,
        },
    )


def level_column() -> Any:
    """Return the column configuration that draws a level as a pill."""
    return st.column_config.MultiselectColumn(options=list(LEVELS), color=list(LEVELS.values()), width=80)


def span_status_column() -> Any:
    """Return the column configuration that draws a span's status as a pill."""
    return st.column_config.MultiselectColumn(options=list(SPAN_STATUS), color=list(SPAN_STATUS.values()), width=80)


def telling(records: list[Record], failure: Record | None = None) -> tuple[Record | None, str]:
    """Return the record that tells most before anyone chose one, and why: *failure*, an error, else the first."""
    if failure:
        return failure, strings.RECORD_FAILURE
    for record in records:
        if (record.get("severity_number") or 0) >= 17 or record.get("status_code") == 2:
            return record, strings.RECORD_FIRST_ERROR
    return (records[0], strings.RECORD_FIRST) if records else (None, "")


def headline(record: Record, zero_ns: int) -> str:
    """Return in a line when a record was, which attempt it is of and how grave it is."""
    attempt = strings.UNKNOWN if record["attempt"] is None else record["attempt"]
    words = [run_view.moment(moment(record)), f"{_offset(record, zero_ns):+,.3f} s", f"attempt {attempt}"]
    return " · ".join([*words, level(record["severity_number"])] if "severity_number" in record else words)


def as_received(record: Record) -> tuple[Any, Record, Any]:
    """Return a record's attributes, all else that was sent or promoted, and its resource's attributes."""
    parsed = {k: json.loads(record[k]) for k in ("events", "links") if record.get(k)}
    left_out = {"attributes", "resource_attributes", *parsed}
    plain = {k: v for k, v in record.items() if v is not None and k not in left_out}
    resource = json.loads(record.get("resource_attributes") or "{}")
    return json.loads(record.get("attributes") or "{}"), {**plain, **parsed}, resource


def brief(record: Record) -> str:
    """Return a record's own attributes on one line, the platform's left out."""
    attributes = {k: v for k, v in json.loads(record["attributes"] or "{}").items() if not k.startswith("$")}
    return visible(" ".join(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in attributes.items()))[:400]
