"""Findings: violations grouped by (code, task, operation, key), with counts, share, times, samples and words.

Weaver once printed 12,256 advisories that were two facts; a finding is the fact, and counts its records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from collector.rules.frames import Frames
from collector.rules.rule import SEVERITIES, Rule

FLAGGED = pl.Schema(
    [
        *((name, pl.String()) for name in ("code", "severity", "project", "task_id", "operation", "key")),
        ("rows", pl.List(pl.UInt32())),
    ]
)
"""A kind of record that violates a rule, and where its records are in the prepared frame."""

SCHEMA = pl.Schema({
    "project": pl.String, "code": pl.String, "slug": pl.String, "severity": pl.String, "task_id": pl.String,
    "operation": pl.String, "key": pl.String, "count": pl.Int64, "runs": pl.Int64, "share": pl.Float64,
    "first_seen_ns": pl.Int64, "last_seen_ns": pl.Int64, "state": pl.String, "since_version": pl.String,
    "task_file": pl.String, "message": pl.String, "remedy": pl.String, "samples": pl.String,
})  # fmt: skip
"""`share`: runs affected, of all runs of the task that were looked at. `samples`: JSON list of records."""

IDENTITY = ["project", "code", "severity", "task_id", "operation", "key"]
"""What makes a finding the same finding the next time."""
_SAMPLES = 3
_LONGEST = 2_000
_MOST_GROUPS = 50
"""Distinct operations or keys told apart per rule and task; the rest is one finding."""


def build(
    frames: Frames, prepared: pl.DataFrame, flagged: pl.DataFrame, hits: pl.DataFrame, rules: Mapping[str, Rule]
) -> pl.DataFrame:
    """Return findings (`SCHEMA`), the most severe and frequent first."""
    grouped = pl.concat([_of_records(prepared, _folded(flagged)), _of_hits(hits)], how="diagonal_relaxed")
    if grouped.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    totals = frames.runs.group_by("project", "task_id").agg(
        of_runs=pl.len().cast(pl.Int64), task_file=pl.col("task_file").drop_nulls().min()
    )
    joined = grouped.join(totals, on=["project", "task_id"], how="left", nulls_equal=True).with_columns(
        share=pl.when(pl.col("of_runs") > 0).then((pl.col("runs") / pl.col("of_runs")).clip(0, 1)),
        state=pl.lit("new"),
        slug=pl.col("code").replace_strict({c: r.slug for c, r in rules.items()}),
    )
    samples = _samples(frames, prepared, joined, rules)
    joined = joined.with_columns(samples=pl.Series(samples, dtype=pl.String))
    told = [(rules[f["code"]].message(f), rules[f["code"]].remedy(f)) for f in joined.iter_rows(named=True)]
    rank = pl.col("severity").replace_strict({s: i for i, s in enumerate(SEVERITIES)}, return_dtype=pl.Int32)
    return (
        joined.with_columns(
            message=pl.Series([m for m, _ in told], dtype=pl.String),
            remedy=pl.Series([r for _, r in told], dtype=pl.String),
        )
        .sort(rank, pl.col("count"), *IDENTITY, descending=[False, True, *[False] * len(IDENTITY)], nulls_last=True)
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )


def _folded(flagged: pl.DataFrame) -> pl.DataFrame:
    """Make one finding of the operations and keys beyond the `_MOST_GROUPS` most frequent of a rule and task."""
    group = ["project", "code", "severity", "task_id"]
    counts = (
        flagged.group_by(*group, "operation", "key")
        .agg(n=pl.col("rows").list.len().sum())
        .sort("n", "operation", "key", descending=[True, False, False], nulls_last=True)
        .with_columns(place=pl.int_range(pl.len()).over(group))
    )
    rest = counts.filter(pl.col("place") >= _MOST_GROUPS).select(*group, "operation", "key", rest=pl.lit(True))
    if rest.is_empty():
        return flagged
    return (
        flagged.join(rest, on=[*group, "operation", "key"], how="left", nulls_equal=True)
        .with_columns(
            pl.when(pl.col("rest").is_null()).then(pl.col(c)).alias(c) for c in ("operation", "key")
        )
        .drop("rest")
    )  # fmt: skip


def _of_records(prepared: pl.DataFrame, flagged: pl.DataFrame) -> pl.DataFrame:
    """Return record findings: the rows of a finding's cells, each once, summed up."""
    facts = prepared.select("run_key", "time_ns", "version")
    rows = flagged.select(*IDENTITY, at="rows").explode("at")
    if rows["at"].n_unique() < rows.height:
        rows = rows.unique([*IDENTITY, "at"])
    picked = facts[rows["at"]] if rows.height else facts.clear()
    return (
        rows.hstack(picked)
        .group_by(IDENTITY)
        .agg(
            count=pl.len().cast(pl.Int64),
            runs=pl.col("run_key").drop_nulls().n_unique().cast(pl.Int64),
            first_seen_ns=pl.col("time_ns").min(),
            last_seen_ns=pl.col("time_ns").max(),
            since_version=pl.col("version").filter(pl.col("time_ns") == pl.col("time_ns").min()).drop_nulls().min(),
            at=pl.col("at"),
        )
    )


def _of_hits(hits: pl.DataFrame) -> pl.DataFrame:
    """Return frame findings: hits summed up."""
    return hits.group_by(IDENTITY).agg(
        count=pl.col("count").sum().cast(pl.Int64),
        runs=pl.col("run_key").drop_nulls().n_unique().cast(pl.Int64),
        first_seen_ns=pl.col("time_ns").min(),
        last_seen_ns=pl.col("time_ns").max(),
        since_version=pl.col("version").filter(pl.col("time_ns") == pl.col("time_ns").min()).drop_nulls().min(),
        details=pl.col("detail").drop_nulls().unique().sort().head(_SAMPLES),
        places=pl.struct("table", "seq", "row", "time_ns").filter(pl.col("row").is_not_null()).unique(),
    )


def _samples(frames: Frames, prepared: pl.DataFrame, grouped: pl.DataFrame, rules: Mapping[str, Rule]) -> list[str]:
    """Return up to three records of each finding as JSON, as they were received, the earliest first."""
    lookup = {"logs": frames.logs, "spans": frames.spans}
    order = prepared.select("time_ns", "body", "attributes").with_row_index("i") if prepared.height else None
    found: list[str] = []
    for f in grouped.iter_rows(named=True):
        chosen: list[dict[str, Any]] = []
        at = f.get("at")
        if at is not None and order is not None:
            firsts = (
                order[at] if len(at) <= _SAMPLES else order[at].bottom_k(_SAMPLES, by=["time_ns", "body", "attributes"])
            )
            firsts = firsts.sort("time_ns", "body", "attributes", nulls_last=True)
            chosen = prepared[firsts["i"]].to_dicts()
        elif f.get("places"):
            places = sorted(f["places"], key=lambda p: (p["time_ns"] or 0, p["seq"], p["row"]))[:_SAMPLES]
            for place in places:
                source = lookup[place["table"]]
                chosen += source.filter((pl.col("seq") == place["seq"]) & (pl.col("row") == place["row"])).to_dicts()
        redact = rules[f["code"]].redact
        found.append(json.dumps([_sample(r, redact) for r in chosen], ensure_ascii=False))
    return found


def _sample(row: Mapping[str, Any], redact: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"time_ns": row.get("time_ns", row.get("start_ns"))}
    for name in ("run_id", "attempt", "trace_id", "span_id", "severity_text", "body", "name"):
        if row.get(name) is not None:
            shown[name] = row[name]
    text = row.get("attributes") or "{}"
    shown["attributes"] = _attributes(text)
    if redact is not None:
        shown = json.loads(redact(json.dumps(shown, ensure_ascii=False)))
    return shown


def _attributes(text: str) -> Any:
    """Return the attributes a sample shows: as received, long texts cut and the framework's context left out."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text[:_LONGEST]
    if not isinstance(found, dict):
        return found
    return {
        k: v[:_LONGEST] + "…" if isinstance(v, str) and len(v) > _LONGEST else v
        for k, v in found.items()
        if not k.startswith(("$style", "$metadata."))
    }
