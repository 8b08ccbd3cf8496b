"""Findings: violations grouped by (code, task, operation, key), with counts, share, times, samples and words.

Weaver once printed 12,256 advisories that were two facts; a finding is the fact, and counts its records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import polars as pl

from collector import personal
from collector.rules import privacy
from collector.rules.frames import RECORD, Frames
from collector.rules.rule import SEVERITIES, Rule

FLAGGED = pl.Schema(
    [
        *((name, pl.String()) for name in ("code", "severity", "project", "task_id", "operation", "key")),
        ("rows", pl.List(pl.UInt32())),
    ]
)
"""A kind of record that violates a rule, and where its records are in the prepared frame."""

SCHEMA = pl.Schema(
    {
        "project": pl.String,
        "code": pl.String,
        "slug": pl.String,
        "severity": pl.String,
        "task_id": pl.String,
        "operation": pl.String,
        "key": pl.String,
        "count": pl.Int64,
        "runs": pl.Int64,
        "share": pl.Float64,
        "first_seen_ns": pl.Int64,
        "last_seen_ns": pl.Int64,
        "state": pl.String,
        "since_version": pl.String,
        "task_file": pl.String,
        "message": pl.String,
        "remedy": pl.String,
        "samples": pl.String,
    }
)
"""`share`: runs affected, of all runs of the task that were looked at. `samples`: JSON list of records."""

_SHOWN_BY = pl.Struct({"time_ns": pl.Int64, "said": pl.UInt64, "table": pl.String, "seq": pl.Int64, "row": pl.Int64})
_TYPES: dict[str, Any] = {
    "project": pl.String,
    "run_key": pl.String,
    "code": pl.String,
    "severity": pl.String,
    "task_id": pl.String,
    "operation": pl.String,
    "key": pl.String,
    "count": pl.Int64,
    "first_seen_ns": pl.Int64,
    "last_seen_ns": pl.Int64,
    "since_version": pl.String,
    "details": pl.List(pl.String),
    "places": pl.List(_SHOWN_BY),
}
CONTRIBUTION = pl.Schema(_TYPES)
"""What one run adds to a finding, a row by service and environment of the logs that show it. `places`: up to three raw
records, the earliest first; `said` decides between those of one time, whatever their order of arrival."""

IDENTITY = ["project", "code", "severity", "task_id", "operation", "key"]
"""What makes a finding the same finding the next time."""
_SENDER = ["service", "environment"]
_SAMPLES = 3
_LONGEST = 2_000


def describe(
    grouped: pl.DataFrame, totals: pl.DataFrame, rules: Mapping[str, Rule], countries: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Return findings (`SCHEMA`) in words, the most severe and frequent first.

    *grouped*: one row per `IDENTITY` with `count`, `runs`, times, `since_version`, `details`, and `samples`, a list
    of raw records each; `state` is `new` where there is none. *totals*: `project`, `task_id`, `of_runs` (runs that
    were looked at), `task_file`. *countries*: those whose phone numbers are hidden without a `+` as well.
    """
    if grouped.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    joined = grouped.join(totals, on=["project", "task_id"], how="left", nulls_equal=True).with_columns(
        share=pl.when(pl.col("of_runs") > 0).then((pl.col("runs") / pl.col("of_runs")).clip(0, 1)),
        state=pl.col("state") if "state" in grouped.columns else pl.lit("new"),
        slug=pl.col("code").replace_strict({c: r.slug for c, r in rules.items()}),
    )
    words = [_words(f, rules[f["code"]], countries) for f in joined.iter_rows(named=True)]
    return rank(
        joined.with_columns(
            _without_values("operation", countries),
            _without_values("key", countries),
            message=pl.Series([message for message, _, _ in words], dtype=pl.String),
            remedy=pl.Series([remedy for _, remedy, _ in words], dtype=pl.String),
            samples=pl.Series([samples for _, _, samples in words], dtype=pl.String),
        )
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def rank(findings: pl.DataFrame) -> pl.DataFrame:
    """Return findings with the most severe and frequent first."""
    order = pl.col("severity").replace_strict({s: i for i, s in enumerate(SEVERITIES)}, return_dtype=pl.Int32)
    return findings.sort(
        order, pl.col("count"), *IDENTITY, descending=[False, True, *[False] * len(IDENTITY)], nulls_last=True
    )


def _words(f: dict[str, Any], rule: Rule, countries: tuple[str, ...]) -> tuple[str, str, str]:
    """Return message, remedy and samples of a finding; where the rule cannot tell this one, what it says of all."""
    try:
        f["operation"] = personal.redact(f["operation"] or "", "", countries) or f["operation"]
        message, remedy = (
            personal.redact(text, "", countries) for text in (rule.write_message(f), rule.write_remedy(f))
        )
        return message, remedy, _shown(f["samples"], countries)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return rule.summary, f"runwell rules explain {rule.code}", "[]"


def _without_values(name: str, countries: tuple[str, ...]) -> pl.Expr:
    """Return column *name* without personal data: what is logged as an operation or key may hold some."""
    return pl.col(name).map_elements(lambda text: personal.redact(text, "", countries), return_dtype=pl.String)


def sum_by_run(frames: Frames, flagged: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """Return what each run of *frames*, which are prepared, adds to findings (`CONTRIBUTION`)."""
    rows = flagged.select(*IDENTITY, at="rows").explode("at").unique([*IDENTITY, "at"], maintain_order=True)
    services = frames.resources.select("project", "resource_id", service="service_name")
    placed = frames.task_logs.join(services, on=["project", "resource_id"], how="left", maintain_order="left")
    facts = placed.select("run_key", "time_ns", "version", "seq", "row", *_SENDER)
    records = rows.drop("at").hstack(facts[rows["at"]] if rows.height else facts.clear())
    seen = pl.concat(
        [
            records.with_columns(table=pl.lit("logs"), detail=pl.lit(None, pl.String), count=pl.lit(1, pl.Int64)),
            hits.select(*IDENTITY, "run_key", "time_ns", "version", "seq", "row", "table", "detail", "count"),
        ],
        how="diagonal_relaxed",
    )
    seen = seen.join(_said(frames, seen), on=RECORD, how="left", maintain_order="left")
    record = pl.struct("time_ns", "said", "table", "seq", "row").filter(pl.col("row").is_not_null())
    return (
        seen.group_by("run_key", *IDENTITY, *_SENDER)
        .agg(
            count=pl.col("count").sum(),
            first_seen_ns=pl.col("time_ns").min(),
            last_seen_ns=pl.col("time_ns").max(),
            since_version=_earliest_version(),
            details=pl.col("detail").drop_nulls().unique().sort().head(_SAMPLES),
            places=record.unique().sort().head(_SAMPLES),
        )
        .sort("project", "run_key", *IDENTITY[1:], *_SENDER, nulls_last=True)
        .select(pl.col(name).cast(kind) for name, kind in CONTRIBUTION.items())
    )


_SAID = ("attributes", "long_hash")


def _said(frames: Frames, seen: pl.DataFrame) -> pl.DataFrame:
    """Return `table`, `seq`, `row` and `said`, a number that follows from what a record says, of the records *seen*."""
    wanted = seen.select(RECORD).drop_nulls().unique()
    parts = [
        rows.select("seq", "row", "attributes", "long_hash", what=what, table=pl.lit(table)).join(
            wanted, on=RECORD, how="semi"
        )
        for table, rows, what in (("logs", frames.logs, "body"), ("spans", frames.spans, "name"))
    ]
    return pl.concat(parts).select(*RECORD, said=pl.struct("what", *_SAID).hash()).unique(RECORD)


def _earliest_version() -> pl.Expr:
    return pl.col("version").filter(pl.col("time_ns") == pl.col("time_ns").min()).drop_nulls().min()


def _shown(records: Iterable[Mapping[str, Any]], countries: tuple[str, ...]) -> str:
    """Return records as JSON, as they were received but for personal data."""
    return json.dumps([privacy.redact_sample(_sample(r), "", countries) for r in records], ensure_ascii=False)


def _sample(row: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"time_ns": row.get("time_ns", row.get("start_ns"))}
    for name in ("run_id", "attempt", "trace_id", "span_id", "severity_text", "body", "name"):
        if row.get(name) is not None:
            shown[name] = row[name]
    text = row.get("attributes") or "{}"
    shown["attributes"] = _attributes(text)
    return shown


def _attributes(text: str) -> Any:
    """Return the attributes a sample shows: as received, long texts cut and the framework's context left out."""
    try:
        attributes = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text[:_LONGEST]
    if not isinstance(attributes, dict):
        return attributes
    return {
        k: v[:_LONGEST] + "…" if isinstance(v, str) and len(v) > _LONGEST else v
        for k, v in attributes.items()
        if not k.startswith(("$style", "$metadata."))
    }
