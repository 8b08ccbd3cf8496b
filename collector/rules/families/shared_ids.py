"""CTX, continued: correlation ids that several runs share, or should."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, log, trigger
from collector.rules.frames import RUN, Frames
from collector.rules.rule import Case, Options, Rule

_TAIL = r"([0-9a-zA-Z]{6,16})$"


def _colliding(frames: Frames, options: Options) -> pl.LazyFrame:
    runs = frames.runs.lazy().filter(
        pl.col("correlation_id").is_not_null()
        & pl.col("request_id").is_not_null()
        & ~pl.col("is_replay").fill_null(False)
    )
    group = ["project", "correlation_id"]
    several = runs.filter(
        (pl.col("root_run_id").n_unique() > 1).over(group) & (pl.col("request_id").n_unique() > 1).over(group)
    ).with_columns(tail=pl.col("correlation_id").str.extract(_TAIL))
    # Two runs may rightly share an id made from one entity. A longer id that begins alike and goes on differently
    # proves that there are two.
    said = (
        frames.task_logs.lazy()
        .filter(pl.col("run_key").is_not_null())
        .join(several.filter(pl.col("tail").is_not_null()).select(*RUN, "tail"), on=RUN)
        .with_columns(pair=pl.col("attributes").str.extract_all(r'"[a-zA-Z_]*[iI]d":"[^"\\]{8,}"'))
        .explode("pair")
        .filter(~pl.col("pair").str.contains(r'^"(?:correlation_id|request_id|run_id)"'))
        .with_columns(
            entity=pl.col("pair").str.extract(r'^"([a-zA-Z_]*)":'), value=pl.col("pair").str.extract(r':"([^"]*)"$')
        )
        .filter(
            pl.col("value").str.contains(pl.col("tail"), literal=True) & ~pl.col("value").str.ends_with(pl.col("tail"))
        )
    )
    other = [*group, "entity"]
    return (
        said.filter((pl.col("value").n_unique() > 1).over(other))
        .sort("time_ns", "run_key")
        .filter(pl.col("value") != pl.col("value").first().over(other))
        .unique(RUN, keep="first", maintain_order=True)
        .select(*RUN, "task_id", "version", "time_ns", "seq", "row", table=pl.lit("logs"), key=pl.lit("correlation_id"))
    )


def _of(run: str, order: str, request: str, at: float = 0.0, *, short: int = 8) -> dict[str, Any]:
    ids = {"correlation_id": f"order-{order[:short]}", "request_id": request}
    return log("order_charge_started", at, run=run, ids=ids, order_id=order)


CTX007 = Rule(
    code="CTX007",
    slug="correlation-collision",
    severity="warning",
    grain="task",
    doc="""Two different things got the same shortened `correlation_id`.

    Why: A search for one shows the other as well.
    How to fix: Use the whole id of the entity, or at least 12 characters of it.
    Not flagged: retries, children and replays, and runs of different requests that are about one entity; only an id of
    the entity that goes on differently after the shared part is proof.
    """,
    sentences=("23", "29"),
    needs=("runs", "logs"),
    across=_colliding,
    message="Different entities share a shortened `correlation_id`.",
    bad=(Case(logs=(_of("r1", "056da559-aaaa", "req_1"), _of("r2", "056da559-bbbb", "req_2", 1))),),
    good=(
        Case(logs=(_of("r1", "056da559-aaaa", "req_1"), _of("r2", "056da559-aaaa", "req_2", 1)), say="one entity"),
        Case(logs=(_of("r1", "056da559-aaaa", "req_1"), _of("r2", "156da559-bbbb", "req_2", 1))),
    ),
)


def _short(frames: Frames, options: Options) -> pl.LazyFrame:
    ids = (
        frames.runs.lazy()
        .filter(pl.col("correlation_id").is_not_null())
        .with_columns(
            prefix=pl.col("correlation_id").str.extract(r"^(.*?)[0-9a-fA-F]{8}$"),
            tail=pl.col("correlation_id").str.extract(r"(?:^|[^0-9a-fA-F])([0-9a-fA-F]{8})$"),
        )
        .filter(pl.col("tail").is_not_null())
    )
    group = ["project", "task_id", "prefix"]
    head = pl.col("tail").str.slice(0, 4).n_unique()
    counted = ids.group_by(group).agg(n=pl.col("tail").n_unique(), heads=head, time_ns=pl.col("first_seen_ns").max())
    in_time_order = (pl.col("n") >= options["least_ids"]) & (pl.col("heads") == 1)
    many = pl.col("n") >= options["most_ids"]
    return counted.filter(in_time_order | many).select(
        "project",
        "task_id",
        "time_ns",
        key=pl.lit("correlation_id"),
        detail=pl.when(in_time_order)
        .then(pl.lit("they begin alike: the first characters of a UUIDv7 are the time"))
        .otherwise(pl.lit("so many of 8 characters that two are the same with a chance of 1 % or more")),
    )


def _shortened(form: str, n: int) -> tuple[dict[str, Any], ...]:
    ids = [{"correlation_id": f"order-{form.format(k)}"} for k in range(n)]
    return tuple(log("order_charge_started", k, run=f"r{k}", ids=ids[k]) for k in range(n))


CTX008 = Rule(
    code="CTX008",
    slug="low-entropy-correlation",
    severity="info",
    grain="task",
    doc="""Shortened correlation ids are about to be the same for different things.

    Why: Eight hexadecimal characters collide with a chance of 1 % at 9,300 ids. The first eight of a UUIDv7 or ULID are
    the time: everything within a minute shares them.
    How to fix: Use `id.slice(-12)`, or the whole id.
    Not flagged: fewer than `most_ids` ids, unless at least `least_ids` of them all begin alike.
    """,
    sentences=("23",),
    needs=("runs",),
    options={"most_ids": 9300, "least_ids": 20},
    across=_short,
    message="Correlation ids are too short to tell things apart: {details:; }.",
    bad=(
        Case(logs=_shortened("0199{:04x}", 20)),
        Case(logs=_shortened("{:02x}990000", 20), options={"most_ids": 20}),
    ),
    good=(
        Case(logs=_shortened("0199{:04x}", 19)),
        Case(logs=_shortened("{:02x}990000", 19), options={"most_ids": 20}),
        Case(logs=_shortened("{:02x}990000", 20)),
    ),
)


def _not_passed_on(frames: Frames, options: Options) -> pl.LazyFrame:
    runs = frames.runs.lazy()
    parents = runs.filter(pl.col("correlation_id").is_not_null()).select(
        "project", "dialect", parent_run_id="run_id", parent_correlation="correlation_id"
    )
    children = runs.filter(pl.col("parent_run_id").is_not_null() & pl.col("correlation_id").is_not_null())
    siblings = ["project", "dialect", "parent_run_id"]
    own_ids = (pl.col("correlation_id").n_unique() == pl.len()).over(siblings) & (pl.len() > 1).over(siblings)
    return (
        children.with_columns(fans_out=own_ids)
        .join(parents, on=siblings)
        .filter((pl.col("correlation_id") != pl.col("parent_correlation")) & ~pl.col("fans_out"))
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns", key=pl.lit("correlation_id"))
    )


_OF_ITS_OWN = log(
    "receipt_send_started",
    2,
    runner="trigger",
    run="child",
    task="send-receipt",
    ids={"correlation_id": "receipt-1"},
)
"""A child that logs another correlation id than its parent."""

CTX009 = Rule(
    code="CTX009",
    slug="correlation-not-propagated",
    severity="warning",
    grain="run",
    doc="""A child run has another `correlation_id` than the run that triggered it.

    Why: Whoever follows one id loses the trail at the child.
    How to fix: Pass `correlation_id` in the payload of the child and log it there.
    Not flagged: parents whose children each have an id of their own (a fan-out over items); children without any id
    (CTX001).
    """,
    sentences=("29",),
    needs=("runs",),
    each=_not_passed_on,
    message="Child runs have another `correlation_id` than their parent.",
    bad=(
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                _OF_ITS_OWN,
            ),
            spans=(
                attempt(1, 0, 5),
                trigger(1, 3, "child", waits=True),
                attempt(1, 1, 2, run="child", task="send-receipt"),
            ),
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                log("receipt_send_started", 2, runner="trigger", run="child", task="send-receipt"),
            ),
            spans=(
                attempt(1, 0, 5),
                trigger(1, 3, "child", waits=True),
                attempt(1, 1, 2, run="child", task="send-receipt"),
            ),
        ),
        Case(
            logs=(
                log("order_charge_started", runner="trigger"),
                *(
                    log(
                        "receipt_send_started",
                        2 + n,
                        runner="trigger",
                        run=f"child{n}",
                        task="send-receipt",
                        ids={"correlation_id": f"receipt-{n}"},
                    )
                    for n in range(2)
                ),
            ),
            spans=(attempt(1, 0, 5), *(trigger(1 + n, 3, f"child{n}") for n in range(2))),
            say="a fan-out over items",
        ),
        Case(
            logs=(
                log("order_charge_started", 50, runner="trigger"),
                _OF_ITS_OWN,
            ),
            spans=(
                attempt(1, 49, 60),
                trigger(52, 53, "child", waits=True),
                attempt(1, 1, 3, run="child", task="send-receipt", context={"ctx.run.idempotencyKey": "receipt-1"}),
            ),
            say="another run's child, handed over by its idempotency key",
        ),
    ),
)

RULES = (CTX007, CTX008, CTX009)
