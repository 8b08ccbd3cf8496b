"""HOK: hooks run when they should, connections do not outlive a wait, instances are made anew after one."""

from __future__ import annotations

from typing import Any

import polars as pl

from collector.rules.cases import attempt, span
from collector.rules.frames import RUN, SECOND_NS, Frames
from collector.rules.rule import Case, Options, Rule

_LOST_CONNECTION = (
    r"(?i)connection (?:was )?(?:terminated|closed|reset|lost|ended)|server closed the connection|ECONNRESET|EPIPE|"
    r"client (?:was|has been) (?:closed|already)|not queryable|MongoNotConnected|PoolClosed|socket has been ended"
)
_STALE = r"is not a function$|is not a function[^a-z]"


def _early(frames: Frames, options: Options) -> pl.LazyFrame:
    last = frames.attempts.lazy().group_by(RUN).agg(last=pl.col("number").max())
    return (
        frames.spans.lazy()
        .filter((pl.col("name") == "onFailure()") & (pl.col("span_type") == "hook"))
        .join(last, on=RUN)
        .filter(pl.col("attempt") < pl.col("last"))
        .select(*RUN, "task_id", "version", "seq", "row", time_ns="start_ns", table=pl.lit("spans"))
    )


_HOOK = {"$style.icon": "task-hook-onFailure"}
HOK001 = Rule(
    code="HOK001",
    slug="failure-hook-early",
    severity="warning",
    grain="run",
    doc="""A failure hook ran although another attempt followed.

    Why: Somebody was told of a failure that was none.
    How to fix: Notify from `onFailure`, which runs after the last attempt; look at single attempts in `catchError`.
    Not flagged: hooks of the last attempt.
    """,
    sentences=("46",),
    needs=("spans", "attempts"),
    each=_early,
    message="A failure hook ran before the last attempt.",
    remedy="Move what must happen once into `onFailure`, single attempts into `catchError`.",
    bad=(Case(spans=(attempt(1, 0, 1, error=("E", "m")), span("onFailure()", 1, 1.1, keys=_HOOK), attempt(2, 5, 6))),),
    good=(
        Case(
            spans=(
                attempt(1, 0, 1, error=("E", "m")),
                attempt(2, 5, 6, error=("E", "m")),
                span("onFailure()", 6, 6.1, attempt=2, keys=_HOOK),
            )
        ),
    ),
)


def _after_wait(frames: Frames, pattern: str, within_s: float) -> pl.LazyFrame:
    """Return failed attempts whose error matches and that failed just after a wait of theirs had ended."""
    waits = (
        frames.waits.lazy().filter(pl.col("ended_ns").is_not_null()).select(*RUN, "attempt", wait_ended_ns="ended_ns")
    )
    return (
        frames.attempts.lazy()
        .filter((pl.col("status") == "failed") & pl.col("error_message").str.contains(pattern))
        .join(waits, left_on=[*RUN, "number"], right_on=[*RUN, "attempt"])
        .filter((pl.col("ended_ns") - pl.col("wait_ended_ns")).is_between(0, int(within_s * SECOND_NS)))
        .unique([*RUN, "number"])
        .select(*RUN, "task_id", "version", time_ns="ended_ns", key="error_type")
    )


def _waited(then: float, error: tuple[str, str]) -> tuple[dict[str, Any], ...]:
    """An attempt that fails so long after a wait."""
    return (attempt(1, 0, 8 + then, error=error), span("wait.for()", 1, 8, keys={"$style.icon": "wait"}))


HOK002 = Rule(
    code="HOK002",
    slug="connection-held-over-wait",
    severity="info",
    grain="run",
    doc="""A run lost its connection just after a wait.

    Why: During a wait the run is frozen elsewhere, and the other side hangs up.
    How to fix: Disconnect in `onWait` and connect in `onResume`.
    Not flagged: connection errors later than `within_s` seconds after a wait.
    """,
    sentences=("47",),
    needs=("attempts", "waits"),
    options={"within_s": 5},
    each=lambda frames, options: _after_wait(frames, _LOST_CONNECTION, options["within_s"]),
    message="Runs lose their connection just after a wait.",
    bad=(Case(spans=_waited(4.5, ("Error", "Connection terminated unexpectedly"))),),
    good=(Case(spans=_waited(6, ("Error", "Connection terminated unexpectedly"))),),
)


def _failed_hooks(frames: Frames, options: Options) -> pl.LazyFrame:
    return (
        frames.spans.lazy()
        .filter((pl.col("span_type") == "hook") & (pl.col("status_code") == 2))
        .select(*RUN, "task_id", "version", "seq", "row", time_ns="start_ns", key="name", table=pl.lit("spans"))
    )


HOK003 = Rule(
    code="HOK003",
    slug="hook-failed",
    severity="warning",
    grain="run",
    doc="""A hook failed.

    Why: What it should have told or cleaned up was not.
    How to fix: Catch errors inside the hook, and log them.
    Not flagged: hooks that succeeded.
    """,
    sentences=("45",),
    needs=("spans",),
    on=False,
    each=_failed_hooks,
    message="The hook `{key}` failed.",
    bad=(
        Case(
            spans=(
                attempt(1, 0, 1),
                span("onSuccess()", 1, 1.1, keys={"$style.icon": "task-hook-onSuccess"}, error=("E", "m")),
            )
        ),
    ),
    good=(Case(spans=(attempt(1, 0, 1), span("onSuccess()", 1, 1.1, keys={"$style.icon": "task-hook-onSuccess"}))),),
)

HOK005 = Rule(
    code="HOK005",
    slug="stale-instance-after-wait",
    severity="info",
    grain="run",
    doc="""A method was missing just after a wait.

    Why: What came back from the wait is data, no longer an instance of its class.
    How to fix: Make instances again after every wait.
    Not flagged: the same error later than `within_s` seconds after a wait.
    """,
    sentences=("A4",),
    needs=("attempts", "waits"),
    options={"within_s": 1},
    each=lambda frames, options: _after_wait(frames, _STALE, options["within_s"]),
    message="A method is missing just after a wait.",
    bad=(Case(spans=_waited(0.5, ("TypeError", "order.total is not a function"))),),
    good=(
        Case(spans=_waited(1.5, ("TypeError", "order.total is not a function"))),
        Case(spans=(attempt(1, 0, 8.5, error=("TypeError", "order.total is not a function")),)),
    ),
)

RULES = (HOK001, HOK002, HOK003, HOK005)
