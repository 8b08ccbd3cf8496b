"""IDM: what matters carries an idempotency key that names the entity, and happens once."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules import words
from collector.rules.cases import attempt, log, trigger
from collector.rules.frames import MS_NS, RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

_DAY_S = 86_400
_DAY_NS = _DAY_S * SECOND_NS
_PAIR = r'"(?:[^"\\]|\\.)*":(?:"(?:[^"\\]|\\.)*"|[^,"{}\[\]]+)'
_NO_ENTITY = (
    r"^(?:correlation_id|request_id|run_id|parent_run_id|task_id|task|queue|attempt|.*_(?:ms|s|seconds|at|time|ns)|"
    r"duration|timestamp|time|environment|version|\$.*|ctx\..*)$"
)
_ENTITY = r"(?:_id|[a-z]Id|_number|_key|_ref)$"
_OWNER = (
    r"(?i)(?:tenant|account|user|customer|client|org|organi[sz]ation|workspace|project|team|shop|store|company)_?id$"
)
_EPOCH_MS = r"(?:^|[^0-9])(1[4-9][0-9]{11})(?:[^0-9]|$)"


def live_runs(frames: Frames) -> pl.LazyFrame:
    """Return runs that are neither tests nor replays and that somebody triggered, not a schedule."""
    scheduled = frames.cells.filter(pl.col("scheduled")).select("rows").explode("rows")["rows"]
    keys = frames.task_logs[scheduled].select(RUN).unique().lazy() if len(scheduled) else None
    runs = frames.runs.lazy().filter(
        ~pl.col("is_test").fill_null(False) & ~pl.col("is_replay").fill_null(False) & (pl.col("coverage") != "link")
    )
    return runs if keys is None else runs.join(keys, on=RUN, how="anti")


_IMPORTANT = r"(?i)(?:^|[-_/])(?:charge|pay|payment|payout|refund|transfer|send|bill)(?:[-_/A-Z]|$)"


def _keyless(frames: Frames, options: Options) -> pl.LazyFrame:
    # That a task matters is a guess until the project says so.
    guessed = options["important"] == _IMPORTANT
    return (
        live_runs(frames)
        .filter(
            (pl.col("dialect") == "trigger_dev")
            & pl.col("idempotency_key").is_null()
            & pl.col("batch_id").is_null()
            & pl.col("task_id").str.contains(options["important"])
        )
        .select(
            *RUN,
            "task_id",
            "version",
            time_ns="first_seen_ns",
            severity=pl.lit("info" if guessed else None, pl.String),
        )
    )


IDM001 = Rule(
    code="IDM001",
    slug="no-idempotency-key",
    severity="warning",
    grain="run",
    doc="""Runs of a task that must not happen twice have no idempotency key.

    Why: A request that is sent again charges, pays or mails again.
    How to fix: `task.trigger(payload, { idempotencyKey: "order-" + orderId })`. Say in the option `important` which
    tasks must not happen twice: a pattern of their ids, such as `^(?:charge-order|send-.*)$`.
    Not flagged: tasks whose id does not match `important`; scheduled, test and replayed runs; items of a batch
    (BAT002). As long as the option is not set, a name that sounds like paying or sending is a guess, and the finding
    a hint: sending twice may be what a task is for, and its own code may guard against it.
    """,
    sentences=("9", "30", "A5"),
    needs=("runs",),
    options={"important": _IMPORTANT},
    each=_keyless,
    message=lambda f: (
        "Runs of a task that must not happen twice have no idempotency key."
        if f["severity"] != "info"
        else f"Runs of `{f['task_id']}`, whose name sounds as if it must not happen twice, have no idempotency key."
    ),
    remedy=lambda f: (
        "Pass `idempotencyKey` when triggering, made from the entity's id."
        if f["severity"] != "info"
        else "If it must not, pass `idempotencyKey` when triggering, made from the entity's id; say which tasks matter "
        "in the option `important` of IDM001."
    ),
    bad=(
        Case(spans=(attempt(1, 0, 1),), options={"important": "^charge-order$"}, say="the project says so"),
        Case(spans=(attempt(1, 0, 1),), severity="info", say="its name sounds so"),
    ),
    good=(
        Case(spans=(attempt(1, 0, 1, context={"ctx.run.idempotencyKey": "order-17"}),)),
        Case(spans=(attempt(1, 0, 1, task="create-thumbnail"),)),
        Case(spans=(attempt(1, 0, 1, context={"ctx.run.isTest": True}),)),
    ),
)


def _entities(frames: Frames) -> pl.LazyFrame:
    """Return per run what its start says it is about: all its values but ids of the run, times and durations, as one
    text; only where one of them is the id of an entity, not just of an owner, who has many."""
    key = pl.col("pair").str.extract(r'^"((?:[^"\\]|\\.)*)":')
    return (
        frames.task_logs.lazy()
        .filter(pl.col("run_key").is_not_null() & (pl.col("phase") == "started"))
        .select(*RUN, pair=pl.col("attributes").str.extract_all(_PAIR))
        .explode("pair")
        .with_columns(key=key)
        .filter(~pl.col("key").str.contains(_NO_ENTITY) & ~pl.col("key").str.contains(r"^[$@{]|\."))
        .filter(~pl.col("key").is_in(list(words.FRAMEWORK_KEYS)))
        .group_by(RUN)
        .agg(
            about=pl.col("pair").unique().sort().str.join("\n"),
            named=(pl.col("key").str.contains(_ENTITY) & ~pl.col("key").str.contains(_OWNER)).any(),
        )
        .filter("named")
        .drop("named")
    )


def _succeeded_twice(frames: Frames, options: Options) -> pl.LazyFrame:
    done = live_runs(frames).filter(
        (pl.col("status") == "completed")
        & pl.col("request_id").is_not_null()
        & pl.col("parent_run_id").is_null()
        & pl.col("batch_id").is_null()
    )
    group = ["project", "task_id", "request_id", "about"]
    several = done.filter((pl.len() > 1).over("project", "task_id", "request_id"))
    return (
        several.join(_entities(frames), on=RUN)
        .filter((pl.len() > 1).over(group))
        .sort("started_ns", "run_key")
        .with_columns(gap_ns=pl.col("started_ns") - pl.col("started_ns").shift(1).over(group))
        .filter(pl.col("gap_ns") <= options["ttl_days"] * _DAY_NS)
        .select(*RUN, "task_id", "version", time_ns="started_ns", key=pl.lit("request_id"))
    )


def _charged_twice(order: str, later: float) -> tuple[dict[str, Any], ...]:
    return (
        log("order_charge_started", order_id="o1"),
        log("order_charge_completed", 1, processing_time_ms=1000),
        log("order_charge_started", later, run="run_2", order_id=order),
        log("order_charge_completed", later + 1, run="run_2", processing_time_ms=1000),
    )


IDM002 = Rule(
    code="IDM002",
    slug="duplicate-success",
    severity="error",
    grain="task",
    doc="""One request did the same thing to the same entity twice, and both runs succeeded.

    Why: It was charged, mailed or created twice.
    How to fix: Trigger with an idempotency key of global scope, made from the entity.
    Not flagged: runs that log no entity, or another one, at their start; children and items of a batch; tests and
    replays; more than `ttl_days` apart.
    """,
    sentences=("9", "32"),
    needs=("runs", "logs"),
    options={"ttl_days": 30},
    across=_succeeded_twice,
    message="Runs of one request did the same to the same entity, and succeeded twice.",
    remedy='Use `idempotencyKeys.create(`order-${{orderId}}`, {{ scope: "global" }})`.',
    bad=(Case(logs=_charged_twice("o1", 5)), Case(logs=_charged_twice("o1", 29 * _DAY_S))),
    good=(
        Case(logs=_charged_twice("o2", 5), say="another order"),
        Case(logs=_charged_twice("o1", 31 * _DAY_S), say="a month apart"),
        Case(
            logs=(
                log("order_charge_started", tenant_id="t1", code__function__name="main"),
                log("order_charge_completed", 1, processing_time_ms=1000),
                log("order_charge_started", 5, run="run_2", tenant_id="t1", code__function__name="main"),
                log("order_charge_completed", 6, run="run_2", processing_time_ms=1000),
            ),
            say="nobody knows what they were about",
        ),
    ),
)


def _children_again(frames: Frames, options: Options) -> pl.LazyFrame:
    triggers = (
        frames.spans.lazy()
        .filter(pl.all_horizontal(pl.col(c).is_not_null() for c in ("child_run_id", "attempt", "run_key")))
        .sort("start_ns", "child_run_id")
        .with_columns(nth=pl.int_range(pl.len()).over(*RUN, "attempt", "child_task_id"))
        .select(
            *RUN,
            "task_id",
            "version",
            "attempt",
            "child_task_id",
            "nth",
            "child_run_id",
            "dialect",
            "seq",
            "row",
            time_ns="start_ns",
        )
    )
    children = frames.runs.lazy().select("project", "dialect", child_run_id="run_id", child_status="status")
    earlier = triggers.join(children, on=["project", "dialect", "child_run_id"]).filter(
        # A failed run gives its key free: making it again is what a retry is for.
        pl.col("child_status") == "completed"
    )
    child = [*RUN, "child_task_id", "nth"]
    return (
        triggers.join(
            earlier.select(*child, "child_run_id", earlier_attempt="attempt"),
            on=child,
            suffix="_before",
            nulls_equal=True,
        )
        .filter(
            (pl.col("attempt") > pl.col("earlier_attempt")) & (pl.col("child_run_id") != pl.col("child_run_id_before"))
        )
        .unique([*child, "attempt"])
        .select(*RUN, "task_id", "version", "time_ns", "seq", "row", key="child_task_id", table=pl.lit("spans"))
    )


IDM003 = Rule(
    code="IDM003",
    slug="retry-duplicates-children",
    severity="error",
    grain="run",
    doc="""A retry triggered a child again that had already succeeded in an earlier attempt.

    Why: The child's work is done once per attempt: mailed twice, charged twice, or paid for twice.
    How to fix: Pass `await idempotencyKeys.create("name")` to the child: run-scoped, the retry gets the first result.
    Not flagged: children that had failed (their key is free again). Switch the rule off where a child per attempt is
    wanted (`scope: "attempt"`).
    """,
    sentences=("31",),
    needs=("spans", "runs"),
    each=_children_again,
    message=lambda f: f"Retries trigger `{f['key'] or 'a child'}` again although it had succeeded.",
    remedy="Give the child a run-scoped key: `await idempotencyKeys.create(`step-${{id}}`)`.",
    bad=(
        Case(
            spans=(
                attempt(1, 0, 5, error=("E", "m")),
                attempt(2, 10, 15),
                trigger(1, 3, "child_a", attempt=1, waits=True),
                trigger(11, 13, "child_b", attempt=2, waits=True),
                attempt(1, 1, 2, run="child_a", task="send-receipt"),
                attempt(1, 11, 12, run="child_b", task="send-receipt"),
            )
        ),
    ),
    good=(
        Case(
            spans=(
                attempt(1, 0, 5, error=("E", "m")),
                attempt(2, 10, 15),
                trigger(1, 3, "child_a", attempt=1, waits=True),
                trigger(11, 13, "child_a", attempt=2, waits=True),
                attempt(1, 1, 2, run="child_a", task="send-receipt"),
            ),
            say="the key gave the first result",
        ),
        Case(
            spans=(
                attempt(1, 0, 5, error=("E", "m")),
                attempt(2, 10, 15),
                trigger(1, 3, "child_a", attempt=1, waits=True),
                trigger(11, 13, "child_b", attempt=2, waits=True),
                attempt(1, 1, 2, run="child_a", task="send-receipt", error=("AbortTaskRunError", "m")),
                attempt(1, 11, 12, run="child_b", task="send-receipt"),
            ),
            say="the first child had failed",
        ),
    ),
)


def _reused(frames: Frames, options: Options) -> pl.LazyFrame:
    group = ["project", "task_id", "idempotency_key"]
    return (
        live_runs(frames)
        .filter(pl.col("idempotency_key").is_not_null() & pl.col("started_ns").is_not_null())
        .sort("started_ns", "run_key")
        .with_columns(gap_ns=pl.col("started_ns") - pl.col("started_ns").shift(1).over(group))
        .filter(pl.col("gap_ns") > options["ttl_days"] * _DAY_NS)
        .select(*RUN, "task_id", "version", time_ns="started_ns")
    )


def _same_key(later: float) -> tuple[dict[str, Any], ...]:
    key = {"ctx.run.idempotencyKey": "order-17"}
    return (attempt(1, 0, 1, context=key), attempt(1, later, later + 1, run="run_2", context=key))


IDM005 = Rule(
    code="IDM005",
    slug="key-reused-after-ttl",
    severity="warning",
    grain="task",
    doc="""The same idempotency key made a second run after its time to live.

    Why: The platform forgets a key after 30 days: what must never happen twice then does.
    How to fix: Look in the database whether it was done before doing it.
    Not flagged: repetitions within `ttl_days`.
    """,
    sentences=("33",),
    needs=("runs",),
    options={"ttl_days": 30},
    across=_reused,
    message="An idempotency key made another run after it had expired.",
    bad=(Case(spans=_same_key(31 * _DAY_S)),),
    good=(Case(spans=_same_key(29 * _DAY_S)),),
)


def _volatile(frames: Frames, options: Options) -> pl.LazyFrame:
    stamp_ns = pl.col("idempotency_key").str.extract(_EPOCH_MS).cast(pl.Int64, strict=False) * MS_NS
    near = (stamp_ns - pl.col("first_seen_ns")).abs() <= options["near_s"] * SECOND_NS
    return (
        live_runs(frames)
        .filter(near.fill_null(False))
        .filter((pl.len() >= options["least_runs"]).over("project", "task_id"))
        .select(*RUN, "task_id", "version", time_ns="first_seen_ns")
    )


def _stamped(n: int, off_s: int) -> tuple[dict[str, Any], ...]:
    keys = [{"ctx.run.idempotencyKey": f"order-{(1_790_000_000 + k - off_s) * 1000}"} for k in range(n)]
    return tuple(attempt(1, k, k + 1, run=f"run_{k}", context=keys[k]) for k in range(n))


IDM006 = Rule(
    code="IDM006",
    slug="volatile-key",
    severity="warning",
    grain="task",
    doc="""Idempotency keys contain the time at which they were made.

    Why: Such a key is new every time: it protects from nothing.
    How to fix: Derive the key from the entity: `order-${orderId}`.
    Not flagged: times further than `near_s` seconds from the run; fewer than `least_runs` runs.
    """,
    sentences=("34",),
    needs=("runs",),
    options={"near_s": 300, "least_runs": 3},
    across=_volatile,
    message="Idempotency keys contain the time at which they were made.",
    bad=(Case(spans=_stamped(3, 290)),),
    good=(
        Case(spans=_stamped(3, 310), say="a number that is no time of the run"),
        Case(spans=_stamped(2, 290), say="too few to tell"),
    ),
)

RULES = (IDM001, IDM002, IDM003, IDM005, IDM006)
