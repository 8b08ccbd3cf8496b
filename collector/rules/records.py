"""Log records as record rules see them: one pass over the raw columns, then few distinct *cells*.

Enter: logs of whole runs. Leave: a frame of the records that tasks wrote themselves, and its cells: the distinct
combinations of what rules may look at, with their row numbers. A rule is evaluated on cells, so its cost does not
grow with the number of records. Attribute values are never parsed record by record: the text of the attributes with
its values taken out (the *shape*) repeats, and one record stands for all of its shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from collector.model import ids
from collector.rules import words
from collector.rules.frames import RUN

IDS = tuple(ids.NAMES)


def stands_for(id_: str) -> pl.Expr:
    """Tell whether a record has *id_* under another name alone; a `runId` that a Trigger.dev task logs may be any."""
    alone = ~pl.col(f"has_{id_}") & pl.col(f"alias_{id_}").is_not_null()
    return alone & (pl.col("dialect") != "trigger_dev") if id_ == "run_id" else alone


MOST_BODY = 200
"""Characters of a body that rules see."""

_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "list", dict: "object"}
_SHAPES = pl.Schema(
    [
        ("shape", pl.UInt32()),
        ("names", pl.List(pl.String())),
        ("nested", pl.List(pl.String())),
        ("typed", pl.List(pl.Struct({"key": pl.String, "kind": pl.String}))),
        *((f"has_{name}", pl.Boolean()) for name in IDS),
        *((f"alias_{name}", pl.String()) for name in IDS),
        ("scheduled", pl.Boolean()),
    ]
)
_SCHEDULE = frozenset({"scheduleId", "schedule_id", "schedule", "scheduledAt", "scheduled_at"})

CELL = [
    "project",
    "dialect",
    "task_id",
    "operation",
    "phase",
    "called_service",
    "message",
    "body_type",
    "event_name",
    "level",
    "shape",
    "in_run",
    "belongs",
    *(f"carries_{name}" for name in IDS),
]
"""What all record rules may look at, beside the shape's columns, the run's and their own marks."""


def select_task_logs(logs: pl.DataFrame, scopes: pl.DataFrame) -> pl.DataFrame:
    """Return the records that task authors wrote through a logger.

    Not: the platform's own, intercepted `console` output, records of library scopes, and scopes that never name a
    run, an id or a phase, which are an application's general log.
    """
    library = [scope_id for scope_id, name in scopes.select("scope_id", "name").iter_rows() if name and _library(name)]
    belongs = pl.any_horizontal(
        pl.col(c).is_not_null() for c in ("run_key", "operation", "correlation_id", "request_id")
    )
    by_hand = (pl.col("source") == "logger").fill_null(False) & ~pl.col("scope_id").is_in(library).fill_null(False)
    written = logs.select(by_hand).to_series()
    # A filter that keeps everything would still copy everything.
    mine = (logs if written.all() else logs.filter(written)).with_columns(belongs=belongs)
    if mine["belongs"].all():
        return mine
    emitter = ["project", "scope_id", "resource_id"]
    of_tasks = mine.select(*emitter, "belongs").group_by(emitter).agg(pl.col("belongs").any()).filter("belongs")
    return mine.join(of_tasks.drop("belongs"), on=emitter, how="semi", nulls_equal=True)


def _library(name: str) -> bool:
    return any(
        name == p or (name.startswith(p) and (p.endswith(("/", ".")) or not name[len(p)].isalnum()))
        for p in words.LIBRARY_SCOPES
    )


_NULL = '"$@null(("'


def shape_text(*, nulls: bool = True) -> pl.Expr:
    """Return the attributes with every value replaced by a word for its kind.

    *nulls*: some have the word with which a flattener stands for null.
    """
    text = pl.col("attributes")
    if nulls:
        text = text.str.replace_all(_NULL, "null", literal=True)
    return (
        text.str.replace_all(r':"[^"\\]*(?:\\.[^"\\]*)*"', ':"')
        .str.replace_all(r":-?[0-9][0-9.eE+-]*", ":0")
        .str.replace_all(":true", ":false", literal=True)
    )


def prepare(logs: pl.DataFrame, marks: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Add what rules look at to task *logs*: `shape`, `level`, `message`, facts of the run, and *marks*."""
    level = pl.col("severity_number")
    nulls = bool(logs.select(pl.col("attributes").str.contains(_NULL, literal=True).any()).item())
    frame = logs.with_columns(
        shape=shape_text(nulls=nulls).cast(pl.Categorical).to_physical().cast(pl.UInt32),
        # 0 is unspecified; the words of severity_text then have to do.
        level=pl.when(level.fill_null(0) > 0)
        .then(
            pl.when(level >= 17)
            .then(pl.lit("error"))
            .when(level >= 13)
            .then(pl.lit("warn"))
            .when(level >= 9)
            .then(pl.lit("info"))
            .otherwise(pl.lit("debug"))
        )
        .otherwise(pl.col("severity_text").str.to_lowercase().replace_strict(_LEVELS, default=None)),
        message=pl.when(pl.col("operation").is_null()).then(pl.col("body").str.slice(0, MOST_BODY)),
        in_run=pl.col("run_key").is_not_null(),
        carries_correlation_id=pl.col("correlation_id").is_not_null(),
        carries_request_id=pl.col("request_id").is_not_null(),
        carries_run_id=pl.col("states_run"),
        **marks,
    )
    return frame


_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "log": "info",
    "info": "info",
    "notice": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "fatal": "error",
    "critical": "error",
}


def read_shapes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what each shape of *frame* says: chosen top-level names, kinds of values, which ids it has."""
    firsts = frame.unique("shape", keep="first").select("shape", "attributes")
    rows = [(shape, *_read(text)) for shape, text in firsts.iter_rows()]
    return pl.DataFrame(rows, schema=_SHAPES, orient="row")


def _read(text: str | None) -> tuple[Any, ...]:
    try:
        decoded = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        decoded = {}
    attributes: dict[str, Any] = decoded if isinstance(decoded, dict) else {}
    typed: dict[str, str | None] = {}
    names: dict[str, None] = {}
    nested: dict[str, None] = {}
    others = {id_: [key for key in ids.spelled(attributes, id_) if key != id_] for id_ in IDS}
    aliases = {key for keys in others.values() for key in keys}
    for key, value in attributes.items():
        name = words.chosen_name(key)
        if name is None or words.conventional(key):
            continue
        names[key if key in aliases else name] = None
        if key == name:
            typed[key] = _kind(value)
        else:
            nested[words.SUFFIX.sub("", key)] = None
    has = [name in typed for name in IDS]
    alias = [next(iter(others[id_]), None) for id_ in IDS]
    scheduled = not _SCHEDULE.isdisjoint(names)
    pairs = [{"key": k, "kind": v} for k, v in typed.items()]
    return (list(names), list(nested), pairs, *has, *alias, scheduled)


def _kind(value: Any) -> str | None:
    """Return the kind of a value: None for null, which any kind may be."""
    if value is None or value == "$@null((":
        return None
    if isinstance(value, dict) and value.keys() == {"doubleValue"}:
        return "number"
    return _KINDS.get(type(value))


def count_cells(frame: pl.DataFrame, marks: list[str]) -> pl.DataFrame:
    """Return the distinct kinds of records: columns `CELL`, *marks*, the shape's, the run's facts, `rows`, `count`."""
    shapes = read_shapes(frame)
    keys = [*CELL, *marks, *_FACTS]
    return (
        frame.select(*CELL, *marks, pl.int_range(pl.len(), dtype=pl.UInt32).alias("at"))
        .with_columns(_facts(frame, shapes))
        .group_by(keys)
        .agg(rows=pl.col("at"), count=pl.len())
        .join(shapes, on="shape", how="left")
    )


_FACTS = ["run_has_correlation_id", "run_has_request_id", "run_has_run_id", "exempt"]


def _facts(frame: pl.DataFrame, shapes: pl.DataFrame) -> list[pl.Series]:
    """Return what other records of the run state, for records that lack an id; NULL for all others."""
    partial = shapes.filter(~pl.all_horizontal(f"has_{name}" for name in IDS))["shape"]
    lacking = (
        frame.select(*RUN, "shape")
        .with_row_index("at")
        .filter(pl.col("shape").is_in(partial.implode()) & pl.col("run_key").is_not_null())
    )
    facts = (
        frame.select(*RUN, "shape", "correlation_id", "request_id", "is_test", "is_replay")
        .join(lacking.select(RUN).unique(), on=RUN, how="semi")
        .join(shapes.select("shape", "has_run_id", "scheduled"), on="shape", how="left")
        .group_by(RUN)
        .agg(
            run_has_correlation_id=pl.col("correlation_id").is_not_null().any(),
            run_has_request_id=pl.col("request_id").is_not_null().any(),
            run_has_run_id=pl.col("has_run_id").any(),
            exempt=pl.col("scheduled").any() | pl.col("is_test").any() | pl.col("is_replay").any(),
        )
    )
    stated = lacking.join(facts, on=RUN, how="left")
    unknown = pl.repeat(None, frame.height, dtype=pl.Boolean, eager=True)
    return [unknown.clone().scatter(stated["at"], stated[name]).alias(name) for name in _FACTS]
