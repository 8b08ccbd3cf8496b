"""PAY and META: data is passed by reference, is JSON, and metadata stays small."""

from __future__ import annotations

import polars as pl

from collector.model.cut import MARK
from collector.rules.cases import attempt, log
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule

_STRINGS = r'"(?:[^"\\]|\\.)*":"(?:[^"\\]|\\.)*"'
_NAMED = r'^"((?:[^"\\]|\\.)*)":"'
_TEXTS = r"(?i)(?:stack|stacktrace|trace)$"


def _sized(frames: Frames, low: int, high: int) -> pl.LazyFrame:
    size = pl.col("attributes").str.extract(r'"payload_bytes":([0-9]+)').cast(pl.Int64, strict=False)
    return (
        frames.task_logs.lazy()
        .filter(pl.col("attributes").str.contains('"payload_bytes":', literal=True))
        .filter((size > low) & (size <= high))
        .select(*RUN, "task_id", "version", "time_ns", "seq", "row", table=pl.lit("logs"), key=pl.lit("payload_bytes"))
    )


_ANY = 2**62
PAY001 = Rule(
    code="PAY001",
    slug="payload-over-limit",
    severity="error",
    grain="run",
    doc="""A payload is larger than the platform takes.

    Why: The trigger is refused.
    How to fix: Store the data and pass its id or URL.
    Not flagged: payloads whose size nobody logs (`payload_bytes`); up to `most_bytes`.
    """,
    sentences=("8",),
    options={"most_bytes": 3 * 2**20},
    each=lambda frames, options: _sized(frames, options["most_bytes"], _ANY),
    message="Payloads are larger than the platform takes.",
    bad=(Case(logs=(log("order_charge_started", payload_bytes=3_200_000),)),),
    good=(Case(logs=(log("order_charge_started", payload_bytes=3_000_000),)),),
)

PAY002 = Rule(
    code="PAY002",
    slug="payload-large",
    severity="warning",
    grain="run",
    doc="""A payload is large.

    Why: It is stored, sent and parsed at every attempt.
    How to fix: Store the data and pass its id or URL.
    Not flagged: payloads whose size nobody logs (`payload_bytes`); up to `most_bytes`; over PAY001's limit.
    """,
    sentences=("8", "A1"),
    options={"most_bytes": 128 * 2**10, "limit_bytes": 3 * 2**20},
    each=lambda frames, options: _sized(frames, options["most_bytes"], options["limit_bytes"]),
    message="Payloads are large.",
    bad=(
        Case(logs=(log("order_charge_started", payload_bytes=140_000),)),
        Case(logs=(log("order_charge_started", payload_bytes=3_000_000),)),
    ),
    good=(
        Case(logs=(log("order_charge_started", payload_bytes=120_000),)),
        Case(logs=(log("order_charge_started", payload_bytes=3_200_000),), say="over PAY001's limit"),
    ),
)


def failed_with(frames: Frames, matches: pl.Expr) -> pl.LazyFrame:
    return (
        frames.attempts.lazy()
        .filter((pl.col("status") == "failed") & matches.fill_null(False))
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


PAY003 = Rule(
    code="PAY003",
    slug="payload-not-json",
    severity="error",
    grain="run",
    doc="""A payload or output could not be written as JSON.

    Why: The run fails, or its result is lost.
    How to fix: Pass plain objects; ISO strings for dates, strings for big integers, no cycles.
    Not flagged: logged values (KEY007).
    """,
    sentences=("7", "A3"),
    needs=("attempts",),
    each=lambda frames, options: failed_with(
        frames,
        pl.concat_str("error_type", pl.lit(" "), "error_message", ignore_nulls=True).str.contains(
            r"TASK_(?:INPUT|OUTPUT)_ERROR|Converting circular structure to JSON|Do not know how to serialize a BigInt"
        ),
    ),
    message="A payload or output cannot be written as JSON.",
    bad=(Case(spans=(attempt(1, 0, 1, error=("TypeError", "Converting circular structure to JSON")),)),),
    good=(Case(spans=(attempt(1, 0, 1, error=("TypeError", "Unexpected token in JSON")),)),),
)


def _blobs(frames: Frames, options: Options) -> pl.LazyFrame:
    most = int(options["most_bytes"])
    whole = pl.col("pair").str.extract(MARK + '"$').str.replace_all(",", "").cast(pl.Int64, strict=False)
    return (
        frames.task_logs.lazy()
        .filter(pl.max_horizontal(pl.col("attributes").str.len_bytes(), "long_bytes") > most)
        .select(
            *RUN,
            "task_id",
            "operation",
            "version",
            "time_ns",
            "seq",
            "row",
            table=pl.lit("logs"),
            pair=pl.col("attributes").str.extract_all(_STRINGS),
        )
        .explode("pair")
        .filter(pl.max_horizontal(pl.col("pair").str.len_bytes(), whole) > most)
        .with_columns(key=pl.col("pair").str.extract(_NAMED).str.replace_all(r"\.?\[\d+\]", ""))
        .filter(~pl.col("key").str.contains(_TEXTS) & ~pl.col("key").str.contains(r"^[$@]"))
        .drop("pair")
        .unique(["seq", "row", "key"])
    )


PAY004 = Rule(
    code="PAY004",
    slug="blob-in-log",
    severity="warning",
    grain="run",
    doc="""A record carries a whole document.

    Why: It is sent, stored and cut; and nobody searches in it.
    How to fix: Store the document and log its URL or id.
    Not flagged: values up to `most_bytes`, stack traces.
    """,
    sentences=("53", "A1"),
    options={"most_bytes": 8192},
    each=_blobs,
    message="`{key}` carries a whole document.",
    remedy="Store it elsewhere and log its URL instead of `{key}`.",
    bad=(
        Case(logs=(log("order_charge_started", document="QUJD" * 2500),), key="document"),
        Case(logs=(log("order_charge_started", document="QUJD" * 2500, picture="QUJD" * 1800),), key="document"),
    ),
    good=(
        Case(logs=(log("order_charge_failed", level="error", error_stack="at x\n" * 3000),)),
        Case(logs=(log("order_charge_started", document="QUJD" * 1800),)),
    ),
)

RULES = (PAY001, PAY002, PAY003, PAY004)
