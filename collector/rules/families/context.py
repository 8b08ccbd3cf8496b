"""CTX: every record carries `correlation_id`, `request_id` and `run_id`, and they mean what they say."""

from __future__ import annotations

import polars as pl

from collector.rules.cases import log
from collector.rules.frames import RUN, Frames
from collector.rules.records import IDS, stands_for
from collector.rules.rule import Case, Finding, Options, Rule


def _absent(name: str) -> pl.Expr:
    """Records without the id, under its name or another; of records that are no task's nothing is asked."""
    known_otherwise = stands_for(name)
    if name != "run_id":
        known_otherwise |= pl.col(f"carries_{name}")
    return pl.col("belongs") & ~pl.col(f"has_{name}") & ~known_otherwise.fill_null(False)


def _missing(name: str):  # type: ignore[no-untyped-def]
    def where(options: Options) -> pl.Expr:
        absent = _absent(name)
        if options["strict"]:
            return absent
        # Another record of the same run states it: whoever reads the run knows it.
        resolvable = pl.col("in_run") & pl.col(f"run_has_{name}").fill_null(False)
        if name == "request_id":
            resolvable |= pl.col("exempt").fill_null(False)
        if name == "run_id":
            absent &= ~((pl.col("dialect") != "trigger_dev") & pl.col("in_run"))
        return absent & ~resolvable

    return where


def _run_level(options: Options) -> pl.Expr:
    return pl.when(pl.col("in_run") & ~pl.lit(bool(options["strict"]))).then(pl.lit("info"))


def _ids_object(name: str, source: str) -> str:
    return f"Put `{name}: {source}` into one `ids` object, or a child logger, and spread it into every call."


def _says(f: Finding, name: str) -> str:
    if f["severity"] == "info":
        return f"Records do not carry `{name}`; it is known from the run context."
    return f"Records carry no `{name}`, and nothing else tells it."


CTX001 = Rule(
    code="CTX001",
    slug="missing-correlation-id",
    severity="error",
    grain="record",
    doc="""A record has no `correlation_id`, and no other record of its run states one.

    Why: The correlation id ties together what different tasks do for one thing.
    How to fix: Compute it once per run and pass it to every call, best through a child logger.
    Not flagged: records whose run states it elsewhere (the guideline's own `_completed` example); `strict` asks for
    the key on every record. Records that have it under another name: KEY004 tells of those.
    """,
    sentences=("23", "29"),
    options={"strict": False},
    where=_missing("correlation_id"),
    message=lambda f: _says(f, "correlation_id"),
    remedy=_ids_object("correlation_id", "correlationId"),
    bad=(
        Case(logs=(log("order_charge_started", without=("correlation_id",)),)),
        Case(
            logs=(log("order_charge_started"), log("order_charge_completed", 1, without=("correlation_id",))),
            options={"strict": True},
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, without=("correlation_id",), processing_time_ms=1000),
            )
        ),
    ),
)

CTX002 = Rule(
    code="CTX002",
    slug="missing-request-id",
    severity="warning",
    grain="record",
    doc="""A record has no `request_id`, and no other record of its run states one.

    Why: The request id leads from a run back to the request that caused it.
    How to fix: Pass it in the payload of the trigger and log it.
    Not flagged: runs that nobody requested (scheduled, test and replayed runs); records whose run states it elsewhere,
    or that have it under another name (KEY004).
    """,
    sentences=("23", "29"),
    options={"strict": False},
    where=_missing("request_id"),
    message=lambda f: _says(f, "request_id"),
    remedy=_ids_object("request_id", "payload.requestId"),
    bad=(Case(logs=(log("order_charge_started", without=("request_id",)),)),),
    good=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, without=("request_id",), processing_time_ms=1000),
            )
        ),
        Case(logs=(log("cleanup_run_started", without=("request_id",), schedule_id="sched_1"),), say="scheduled"),
        Case(
            logs=(log("a_b_started", runner="trigger", without=("request_id",), context={"ctx.run.isTest": True}),),
            say="a test run",
        ),
    ),
)

CTX003 = Rule(
    code="CTX003",
    slug="missing-run-id",
    severity="error",
    grain="record",
    doc="""A record has no `run_id`.

    Why: A record of an unknown run is in no run's timeline, and its phases end nothing.
    How to fix: Log `run_id: ctx.run.id`.
    Not flagged: records of a run that states it elsewhere. Where the run context tells the run and no record of it has
    the key, that is worth a hint (info): other tools than this one see no context.
    """,
    sentences=("23", "29"),
    options={"strict": False},
    where=_missing("run_id"),
    level=_run_level,
    message=lambda f: _says(f, "run_id"),
    remedy=_ids_object("run_id", "ctx.run.id"),
    bad=(
        Case(logs=(log("order_charge_started", run=None, ids={"correlation_id": "order-x"}),)),
        Case(logs=(log("order_charge_started", runner="trigger", without=("run_id",)),), severity="info"),
        Case(
            logs=(log("order_charge_started", runner="trigger", without=("run_id",)),),
            options={"strict": True},
            severity="error",
        ),
    ),
    good=(
        Case(
            logs=(log("order_charge_started"), log("order_charge_completed", 1, run=None, processing_time_ms=1000)),
            say="the correlation id leads to the run",
        ),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("order_charge_completed", 1, runner="trigger", without=("run_id",)),
            )
        ),
    ),
)


def _placeholders(options: Options) -> pl.Expr:
    """Return keys of ids that decode took for none."""
    return pl.concat_list(
        pl.when(~pl.col(f"carries_{name}")).then(
            pl.when(f"has_{name}").then(pl.lit(name)).when(stands_for(name)).then(f"alias_{name}")
        )
        for name in IDS
    ).list.drop_nulls()


CTX004 = Rule(
    code="CTX004",
    slug="placeholder-id",
    severity="error",
    grain="record",
    doc="""An id is empty or a placeholder: `undefined`, `None`, `N/A`, zeros, `order-undefined`, `order-${id}`.

    Why: All records with the same placeholder look like one, and lead nowhere. runwell takes it for no id: it neither
    joins records by it nor makes a run of it.
    How to fix: Log after the id is known, or fail early where it is not.
    Not flagged: ids that merely contain such a word (`null-island-42aa`), `test`, numbers other than 0.
    """,
    sentences=("29",),
    keys=_placeholders,
    message="`{key}` is empty or a placeholder.",
    remedy="Set `{key}` from a value that is known by then; fail early where it is missing.",
    bad=(
        Case(logs=(log("order_charge_started", ids={"correlation_id": ""}),), key="correlation_id"),
        Case(logs=(log("order_charge_started", ids={"correlation_id": "N/A"}),), key="correlation_id"),
        Case(logs=(log("order_charge_started", ids={"correlation_id": "order-undefined"}),), key="correlation_id"),
        Case(logs=(log("order_charge_started", ids={"correlation_id": "order-${id}"}),), key="correlation_id"),
        Case(logs=(log("order_charge_started", ids={"request_id": "null"}),), key="request_id"),
        Case(logs=(log("order_charge_started", without=("request_id",), requestId="None"),), key="requestId"),
        Case(logs=(log("order_charge_started", run="00000000-0000-0000-0000-000000000000"),), key="run_id"),
        Case(
            logs=(log("order_charge_started"), log("order_charge_completed", 1, run="-", processing_time_ms=1000)),
            key="run_id",
            say="though the correlation id leads to the run",
        ),
    ),
    good=(
        Case(logs=(log("order_charge_started", ids={"correlation_id": "order-annulled-7", "request_id": "req_100"}),)),
        Case(logs=(log("order_charge_started", ids={"correlation_id": "null-island-42aa", "request_id": "7"}),)),
    ),
)


def _mismatch(options: Options) -> pl.Expr:
    return (pl.col("dialect") == "trigger_dev") & pl.col("has_run_id") & ~pl.col("says_own_run").fill_null(True)


CTX005 = Rule(
    code="CTX005",
    slug="run-id-mismatch",
    severity="error",
    grain="record",
    doc="""The `run_id` a record states is not the run it was logged in.

    Why: The record is searched for under the wrong run.
    How to fix: Log `run_id: ctx.run.id`; name another run `parent_run_id` or `child_run_id`.
    Not flagged: runners whose only run id is the stated one; replays.
    """,
    sentences=("23",),
    needs=("run_logs",),
    marks={
        "says_own_run": pl.when((pl.col("dialect") == "trigger_dev") & ~pl.col("is_replay").fill_null(False)).then(
            pl.col("attributes").str.contains(pl.format('"run_id":"{}"', "run_id"), literal=True)
        )
    },
    where=_mismatch,
    names=lambda options: pl.col("operation"),
    message="`run_id` is not the run the record was logged in.",
    bad=(Case(logs=(log("rows_import_started", runner="trigger", ids={"run_id": "x"}, run_id="user-supplied"),)),),
    good=(
        Case(logs=(log("rows_import_started", runner="trigger"),)),
        Case(logs=(log("rows_import_started", runner="trigger", child_run_id="run_other"),)),
        Case(
            logs=(
                log("rows_import_started", runner="trigger", run_id="run_before", context={"ctx.run.isReplay": True}),
            ),
            say="a replay",
        ),
    ),
)


def _changes(frames: Frames, options: Options) -> pl.LazyFrame:
    stated = frames.task_logs.lazy().filter(pl.col("run_key").is_not_null() & pl.col("correlation_id").is_not_null())
    return (
        stated.select(*RUN, "task_id", "correlation_id", "time_ns", "version", "seq", "row")
        .sort("time_ns", "correlation_id", "seq", "row")
        .unique([*RUN, "correlation_id"], keep="first", maintain_order=True)
        .filter(pl.col("correlation_id") != pl.col("correlation_id").first().over(RUN))
        .unique(RUN, keep="first", maintain_order=True)
        .with_columns(key=pl.lit("correlation_id"), table=pl.lit("logs"))
    )


CTX006 = Rule(
    code="CTX006",
    slug="correlation-changes-in-run",
    severity="warning",
    grain="run",
    doc="""One run logs more than one `correlation_id`.

    Why: A search by one of them shows half of the run.
    How to fix: Compute `correlation_id` once at the start of the run; name an item's id `item_id`.
    Not flagged: switch the rule off for tasks that handle many items in one run (`[[rules.overrides]]`).
    """,
    sentences=("29",),
    needs=("run_logs",),
    each=_changes,
    message="Runs log more than one `correlation_id`.",
    bad=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 1, ids={"correlation_id": "order-2"}))),
    ),
    good=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 1, processing_time_ms=1000))),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_started", 1, run="run_2", ids={"correlation_id": "order-2"}),
            )
        ),
    ),
)

RULES = (CTX001, CTX002, CTX003, CTX004, CTX005, CTX006)
