"""PHA, continued: an operation ends once."""

from __future__ import annotations

import polars as pl

from collector.model.words import ENDS
from collector.rules.cases import log
from collector.rules.families.phases import GROUP, by_operation, phases
from collector.rules.frames import Frames
from collector.rules.rule import Case, Options, Rule

_DURATIONS = r"^(?:processing_time_ms|.*_(?:ms|s|seconds|at|time)|duration|elapsed|took|timestamp|time)$"
_ANY_PAIR = r'"(?:[^"\\]|\\.)*":(?:"(?:[^"\\]|\\.)*"|[^,"{}\[\]]+)'


def _several_ends(frames: Frames, options: Options) -> pl.LazyFrame:
    groups = by_operation(frames)
    many = pl.col("most_alike") > pl.max_horizontal("starts", pl.lit(1))
    suspects = groups.filter(many).select(GROUP)
    ends = phases(frames).filter(pl.col("phase").is_in(ENDS)).join(suspects, on=GROUP, how="semi", nulls_equal=True)
    # The same key with another value names another item of a loop: each of them may end.
    items = (
        ends.select(*GROUP, pair=pl.col("attributes").str.extract_all(_ANY_PAIR))
        .explode("pair")
        .with_columns(key=pl.col("pair").str.extract(r'^"((?:[^"\\]|\\.)*)":'))
        .filter(~pl.col("key").str.contains(_DURATIONS))
        .group_by(*GROUP, "key")
        .agg(values=pl.col("pair").n_unique())
        .filter(pl.col("values") > 1)
        .select(GROUP)
        .unique()
    )
    return ends.join(items, on=GROUP, how="anti", nulls_equal=True).unique(GROUP, keep="last", maintain_order=True)


PHA003 = Rule(
    code="PHA003",
    slug="double-end",
    severity="warning",
    grain="run",
    doc="""An operation ended twice the same way in one attempt, having started once.

    Why: It is counted twice, and the second duration is wrong.
    How to fix: Log the end in one place; in a loop, log `_started` and `_completed` for each item with the item's id.
    Not flagged: ends that differ in another key than a duration (items of a loop).
    """,
    sentences=("28",),
    needs=("run_logs",),
    each=_several_ends,
    message="`{operation}` ends more than once in one attempt.",
    remedy="Log the end in one place; in a loop add the item's id and log a start for each.",
    bad=(
        Case(logs=(log("order_charge_started"), log("order_charge_skipped", 1), log("order_charge_skipped", 2))),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, processing_time_ms=1000),
                log("order_charge_completed", 2, processing_time_ms=2000),
            )
        ),
    ),
    good=(
        Case(
            logs=(
                log("item_pack_started"),
                log("item_pack_completed", 1, item_id="a"),
                log("item_pack_completed", 2, item_id="b"),
            ),
            say="items of a loop",
        ),
        Case(
            logs=(
                log("page_load_started"),
                log("page_load_completed", 1),
                log("page_load_started", 2),
                log("page_load_completed", 3),
            )
        ),
    ),
)


def _both_ends(frames: Frames, options: Options) -> pl.LazyFrame:
    both = by_operation(frames).filter(
        (pl.col("starts") <= 1)
        & (pl.col("ends") == 2)
        & (pl.col("kinds").list.len() == 2)
        # A try that failed may say beside that it is to be tried again.
        & (pl.col("kinds").list.join(" ") != "failed retrying")
    )
    return (
        phases(frames)
        .filter(pl.col("phase").is_in(ENDS))
        .join(both.select(*GROUP, "kinds"), on=GROUP, nulls_equal=True)
        .unique(GROUP, keep="last", maintain_order=True)
        .with_columns(detail=pl.format("`_{}` and `_{}`", *(pl.col("kinds").list.get(i) for i in (0, 1))))
        .drop("kinds")
    )


PHA004 = Rule(
    code="PHA004",
    slug="completed-and-failed",
    severity="error",
    grain="run",
    doc="""An operation logged both `_completed` and `_failed`, or two other ends, for one start.

    Why: Which one is true? The later one counts, and the other one is lost.
    How to fix: Log one terminal phase: `_failed` in `catch`, `_completed` only after everything worked.
    Not flagged: operations that start again in between (a retry inside the attempt, a loop); `_retrying` beside the
    `_failed` of the same try.
    """,
    sentences=("28",),
    needs=("run_logs",),
    each=_both_ends,
    message="`{operation}` logs both {details: or } in one attempt.",
    remedy="Log one terminal phase per start.",
    bad=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, processing_time_ms=1000),
                log("order_charge_failed", 2, level="error", error_type="E", error_message="m"),
            )
        ),
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_completed", 1, processing_time_ms=1000),
                log("order_charge_canceled", 2),
            )
        ),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started"),
                log("order_charge_failed", 1, level="error", error_type="E", error_message="m"),
                log("order_charge_retrying", 1),
            )
        ),
        Case(
            logs=(
                log("page_load_started", runner="trigger"),
                log("page_load_failed", 1, runner="trigger", level="error", error_type="E", error_message="m"),
                log("page_load_started", 2, runner="trigger"),
                log("page_load_completed", 3, runner="trigger"),
            )
        ),
    ),
)


RULES = (PHA003, PHA004)
