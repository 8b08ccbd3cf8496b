"""Run the rules: record rules on cells in one pass, frame rules one by one.

Enter: `Frames` of whole runs and the chosen rules. Leave: what each run adds to findings (`findings.CONTRIBUTION`), the
same whatever the order of the records; `store.findings.grouped` sums it up. Reads no clock and no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any, Literal

import polars as pl

from collector.rules import findings, privacy, records
from collector.rules.frames import RECORD, RUN, Frames
from collector.rules.profiles import Chosen
from collector.rules.rule import HITS

Part = Literal["each", "across"]
_CODE = "code"


def evaluate(frames: Frames, chosen: Iterable[Chosen]) -> pl.DataFrame:
    """Return all that runs, each by itself and together, add to the findings of the *chosen* rules."""
    frames, flagged, hits = _judge(frames, list(chosen))
    return findings.sum_by_run(frames, flagged, hits)


def judge_each(frames: Frames, chosen: Iterable[Chosen]) -> pl.DataFrame:
    """Return what each run by itself adds to the findings of the *chosen* rules (`findings.CONTRIBUTION`).

    Contributions of different runs may be merged later, so what was judged once need not be again.
    """
    frames, flagged, hits = _judge(frames, list(chosen), ("each",))
    return findings.sum_by_run(frames, flagged, hits)


def judge_across(frames: Frames, chosen: Iterable[Chosen]) -> pl.DataFrame:
    """Return what runs add to the findings of the *chosen* rules that no run shows by itself."""
    frames, flagged, hits = _judge(frames, [c for c in chosen if c.rule.across], ("across",))
    return findings.sum_by_run(frames, flagged.clear(), hits)


def _judge(
    frames: Frames, chosen: list[Chosen], parts: tuple[Part, ...] = ("each", "across")
) -> tuple[Frames, pl.DataFrame, pl.DataFrame]:
    """Return *frames* with the logs of tasks, the kinds of records that violate, and the hits of frame rules."""
    frames = replace(frames, logs=adopt(frames.logs))
    logs = records.select_task_logs(frames.logs, frames.scopes)
    marks = {name: expr for c in chosen if c.rule.marks for name, expr in c.rule.marks.items()}
    prepared = records.prepare(logs, marks)
    cells = records.count_cells(prepared, list(marks))
    frames = replace(frames, task_logs=prepared, cells=cells)
    if any("personal" in c.rule.needs for c in chosen):
        asked = {c for one in chosen for v in one.variants for c in v.options.get("phone_countries", ())}
        frames = replace(frames, personal=privacy.scan(prepared, cells, tuple(sorted(asked))))
    flagged = _flag(cells, [c for c in chosen if c.rule.grain == "record"])
    return frames, flagged, _frame_hits(frames, chosen, parts, list(marks))


def adopt(logs: pl.DataFrame) -> pl.DataFrame:
    """Give logs that name no run the only run that has their correlation id, in their platform project if they say one.

    The guideline's own `_completed` example carries `correlation_id` alone: it is resolvable, and no orphan. Whether a
    log itself states a run is kept in `states_run`.
    """
    if "states_run" not in logs.columns:
        logs = logs.with_columns(states_run=pl.col("run_id").is_not_null())
    orphan = pl.col("run_key").is_null() & pl.col("correlation_id").is_not_null()
    if not logs.select(orphan.any()).item():
        return logs
    wanted = logs.filter(orphan).select("project", "correlation_id", said="platform_project").unique()
    only = (
        logs.filter(pl.col("run_key").is_not_null() & pl.col("correlation_id").is_not_null())
        .join(wanted, on=["project", "correlation_id"])
        .filter((pl.col("platform_project") == pl.col("said")).fill_null(True))
        .group_by("project", "correlation_id", platform_project="said")
        .agg(
            pl.col("run_key").n_unique().alias("n"),
            adopted=pl.col("run_key").min(),
            adopted_id=pl.col("run_id").min(),
            adopted_task=pl.col("task_id").drop_nulls().min(),
        )
        .filter(pl.col("n") == 1)
        .drop("n")
    )
    return (
        logs.join(
            only,
            on=["project", "correlation_id", "platform_project"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        .with_columns(
            run_key=pl.coalesce("run_key", "adopted"),
            run_id=pl.coalesce("run_id", "adopted_id"),
            task_id=pl.coalesce("task_id", "adopted_task"),
        )
        .drop("adopted", "adopted_id", "adopted_task")
    )


def _flag(cells: pl.DataFrame, chosen: list[Chosen]) -> pl.DataFrame:
    """Return (rule, operation, key, severity, cell) of every violating kind of record."""
    numbered = cells.with_row_index("cell")
    exprs: list[pl.Expr] = []
    for c in chosen:
        pick = c.pick()
        keys: pl.Expr = pl.lit(None, pl.List(pl.String))
        level: pl.Expr = pl.lit(None, pl.String)
        for i, variant in reversed(list(enumerate(c.variants))):
            if variant.severity is None:
                offending, weaker = pl.lit(None, pl.List(pl.String)), pl.lit(None, pl.String)
            else:
                offending = _keys(c, variant.options)
                weaker = (
                    c.rule.level(variant.options)
                    if c.rule.level and variant.severity == c.rule.severity
                    else (pl.lit(None, pl.String))
                )
                weaker = pl.coalesce(weaker, pl.lit(variant.severity))
            keys = pl.when(pick == i).then(offending).otherwise(keys)
            level = pl.when(pick == i).then(weaker).otherwise(level)
        operation = c.rule.names(c.variants[-1].options) if c.rule.names else pl.col("operation")
        exprs.append(
            pl.struct(
                pl.lit(c.rule.code).alias("code"),
                operation.alias("operation"),
                level.alias("severity"),
                keys.alias("keys"),
            ).alias(c.rule.code)
        )
    if not exprs:
        return pl.DataFrame(schema=findings.FLAGGED)
    judged = numbered.select("cell", "project", "task_id", "rows", "count", *exprs)
    parts = [
        judged.lazy()
        .select("cell", "project", "task_id", "rows", pl.col(c.rule.code).struct.unnest())
        .filter(pl.col("keys").list.len() > 0)
        .explode("keys")
        .rename({"keys": "key"})
        for c in chosen
    ]
    flagged = pl.concat(pl.collect_all(parts))
    return flagged.select(list(findings.FLAGGED)).cast(findings.FLAGGED)


def _keys(c: Chosen, options: Mapping[str, Any]) -> pl.Expr:
    if c.rule.keys is not None:
        return c.rule.keys(options).cast(pl.List(pl.String))
    assert c.rule.where is not None
    one = pl.lit(pl.Series([[None]], dtype=pl.List(pl.String)))
    return pl.when(c.rule.where(options).fill_null(False)).then(one)


def _apart(frames: Frames, marks: list[str]) -> list[Frames]:
    """Return *frames* by the platform project of their runs, and of records of no run: none proves another's violation.

    Logs of tasks and their kinds too; *marks*: as `count_cells` takes them.
    """
    whose = frames.runs.select(*RUN, of="platform_project", is_run=pl.lit(True))

    def of(rows: pl.DataFrame) -> pl.DataFrame:
        own = pl.when("is_run").then("of").otherwise("platform_project" if "platform_project" in rows.columns else None)
        told = rows.select(*RUN, *(c for c in ("platform_project",) if c in rows.columns))
        return told.join(whose, on=RUN, how="left", maintain_order="left").select(of=own)

    names = ("logs", "spans", "runs", "attempts", "phases", "waits", "repeats", "from_zero", "task_logs")
    tables = {name: getattr(frames, name) for name in names}
    projects = {name: of(tables[name])["of"] for name in ("runs", "logs", "spans")}
    there = pl.concat([*projects.values()]).unique().sort()
    if len(there) < 2:
        return [frames]
    projects |= {name: of(rows)["of"] for name, rows in tables.items() if name not in projects}
    each = []
    for project in there:
        some = {name: rows.filter(projects[name].eq_missing(project)) for name, rows in tables.items()}
        each.append(replace(frames, **some, cells=records.count_cells(some["task_logs"], marks)))
    return each


def _frame_hits(frames: Frames, chosen: list[Chosen], parts: tuple[Part, ...], marks: list[str]) -> pl.DataFrame:
    """Return rows of `HITS` with `code`, of *parts* of all frame rules.

    Each is collected by itself: most find nothing, and what is not there need not be shaped.
    """
    shaped: list[pl.DataFrame] = []
    apart = _apart(frames, marks) if "across" in parts and any(c.rule.across for c in chosen) else []
    seen = {"each": [frames], "across": apart}
    for c in chosen:
        finders = {"each": c.rule.each, "across": c.rule.across}
        for part, (i, variant) in product(parts, enumerate(c.variants)):
            find = finders[part]
            if find is None or variant.severity is None:
                continue
            found = [hits for some in seen[part] if not (hits := find(some, variant.options).collect()).is_empty()]
            if not found:
                continue
            weaker = variant.severity == c.rule.severity
            shaped.append(
                pl.concat(map(_shaped, found))
                .filter(c.pick() == i)
                .with_columns(
                    pl.lit(c.rule.code).alias(_CODE),
                    severity=pl.coalesce("severity", pl.lit(variant.severity)) if weaker else pl.lit(variant.severity),
                )
            )
    if not shaped:
        return pl.DataFrame(schema={**HITS, _CODE: pl.String()})
    return _with_records(frames, pl.concat(shaped))


def _with_records(frames: Frames, hits: pl.DataFrame) -> pl.DataFrame:
    """Give hits of whole runs, which no record shows, the first record of the run to show it by."""
    bare = hits.filter(pl.col("row").is_null() & pl.col("run_key").is_not_null()).select(RUN).unique()
    if bare.is_empty():
        return hits
    firsts = (
        pl.concat(
            [
                frames.spans.select(
                    *RUN, "seq", "row", "attributes", at="start_ns", what="name", table=pl.lit("spans")
                ),
                frames.logs.select(*RUN, "seq", "row", "attributes", at="time_ns", what="body", table=pl.lit("logs")),
            ]
        )
        .join(bare, on=RUN, how="semi")
        .sort("at", "table", "what", "attributes", *RECORD[1:], nulls_last=True)
        .unique(RUN, keep="first", maintain_order=True)
        .select(*RUN, *(pl.col(c).alias(f"first_{c}") for c in RECORD))
    )
    bare_hit = pl.col("row").is_null()
    return (
        hits.join(firsts, on=RUN, how="left", maintain_order="left")
        .with_columns(pl.when(bare_hit).then(f"first_{c}").otherwise(c).cast(HITS[c]).alias(c) for c in RECORD)
        .select(hits.columns)
    )


def _shaped(hits: pl.DataFrame) -> pl.DataFrame:
    """Return *hits* with all columns of `HITS`, what is absent NULL."""
    return hits.select(
        (pl.col(name) if name in hits.columns else pl.lit(1 if name == "count" else None)).cast(kind).alias(name)
        for name, kind in HITS.items()
    )
