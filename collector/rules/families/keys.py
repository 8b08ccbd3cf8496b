"""KEY: attribute keys are snake_case, typed and named as the guideline names them. A task's own keys only."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from collector.model import ids
from collector.model.spelling import snake
from collector.rules.cases import log
from collector.rules.frames import Frames
from collector.rules.records import IDS, stands_for
from collector.rules.rule import Case, Finding, Options, Rule

_CAMEL = r"^_*\p{Ll}(?:[^\p{Lu}]*[\p{Ll}\p{N}])?\p{Lu}"
_ODD = r"[^\p{L}\p{M}\p{N}_.]|[\p{Lu}\p{Lt}]"
_NESTED_ODD = r"\.[^.]*[A-Z\-\s]"
_DURATION = (
    r"(?:^|_)(?:duration|elapsed|latency|took|(?:processing|run|wait|queue|response|execution|render|load)_time)$"
)


def _names(pattern: str, *, but: str | None = None) -> Callable[[Options], pl.Expr]:
    """Return names that match, but for those that stand for an id: KEY004 renames them."""
    match = pl.element().str.contains(pattern)
    wrong = match & ~pl.element().str.contains(but) if but else match

    def names(options: Options) -> pl.Expr:
        allowed = list(options.get("allow", ()))
        return (
            pl.col("names")
            .list.eval(pl.element().filter(wrong & ~pl.element().is_in(allowed)))
            .list.set_difference(_standing_for_ids())
        )

    return names


def _standing_for_ids() -> pl.Expr:
    """Return keys that stand for one of the three ids."""
    return pl.concat_list(pl.when(stands_for(name)).then(f"alias_{name}") for name in IDS).list.drop_nulls()


def _rename(f: Finding) -> str:
    key = f["key"]
    if not key:
        return "Rename them to snake_case."
    match ids.of_key(key):
        case None:
            name = snake(key)
            return f"Rename `{key}` to `{name}`." if name else f"Rename `{key}` to words in snake_case."
        case "run_id":
            return f"Leave `{key}` out where it is `run_id` again, else say which run it is: `child_run_id`."
        case id_:
            return f"Leave `{key}` out, or name it otherwise: the record has its `{id_}` under another key."


KEY001 = Rule(
    code="KEY001",
    slug="camel-case-key",
    severity="error",
    grain="record",
    doc="""A key is camelCase.

    Why: One fact under two spellings is two columns: searches and joins miss half of the records.
    How to fix: Rename the key; the finding gives the name, and `runwell check` an OpenTelemetry Collector `transform`
    that renames it on the way in. Runs of capitals are one word: `iOSVersion` becomes `ios_version`.
    Not flagged: keys that stand for one of the three ids (KEY004 renames those), keys of the framework
    (`$metadata.ctx.run.isTest`), of OpenTelemetry's semantic conventions, of resources and scopes, a flattener's
    suffixes (`labels.[0]`), and keys listed in the option `allow`. Of a nested object only the top-level name is
    judged.
    """,
    sentences=("27", "A8"),
    options={"allow": ()},
    keys=_names(_CAMEL),
    message="The key `{key}` is camelCase.",
    remedy=_rename,
    bad=(
        Case(logs=(log("order_charge_started", orderId="o1"),), key="orderId"),
        Case(logs=(log("order_charge_started", orderItem__sku="s", runner="trigger"),), key="orderItem"),
        Case(logs=(log("order_charge_started", userID="u"),), key="userID"),
        Case(logs=(log("order_charge_started", eTag="v1"),), key="eTag"),
    ),
    good=(
        Case(logs=(log("order_charge_started", without=("request_id",), requestId="r"),), say="told by KEY004"),
        Case(logs=(log("order_charge_started", order_id="o1", source__byteCount=7, items__0="a"),)),
        Case(logs=(log("order_charge_started", runner="trigger", context={"ctx.run.isTest": False}),)),
        Case(logs=(log("order_charge_started", taskName="Task-3", otelTraceID="0", code__file__path="a.py"),)),
    ),
)

KEY002 = Rule(
    code="KEY002",
    slug="non-snake-key",
    severity="warning",
    grain="record",
    doc="""A key is neither snake_case nor camelCase: kebab-case, PascalCase, UPPER CASE or with spaces.

    Why: As KEY001; and a name with a hyphen or space has to be quoted in every query.
    How to fix: Rename the key to snake_case.
    Not flagged: as KEY001; letters of any script count as letters.
    """,
    sentences=("27",),
    options={"allow": ()},
    keys=_names(_ODD, but=_CAMEL),
    message="The key `{key}` is not snake_case.",
    remedy=_rename,
    bad=(
        Case(logs=(log("order_charge_started", keys={"order-id": "o1"}),), key="order-id"),
        Case(logs=(log("order_charge_started", keys={"Order Id": "o1"}),), key="Order Id"),
        Case(logs=(log("order_charge_started", OrderId="o1"),), key="OrderId"),
        Case(logs=(log("order_charge_started", SKU="s"),), key="SKU"),
    ),
    good=(
        Case(logs=(log("order_charge_started", order_id="o1", _private=1, größe=3, sha256="x"),)),
        Case(logs=(log("order_charge_started", keys={"k8s.pod.name": "p", "labels.[0]": "a"}),)),
    ),
)


KEY003 = Rule(
    code="KEY003",
    slug="nested-non-snake-key",
    severity="info",
    grain="record",
    doc="""A key inside a logged object is not snake_case.

    Why: A whole third-party object was logged: its keys are not yours, and change without you.
    How to fix: Log the fields that matter under names of your own.
    Not flagged: keys of OpenTelemetry's semantic conventions.
    """,
    sentences=("27",),
    on=False,
    keys=lambda options: pl.col("nested").list.eval(pl.element().filter(pl.element().str.contains(_NESTED_ODD))),
    message="The nested key `{key}` is not snake_case.",
    bad=(Case(logs=(log("order_charge_started", charge__paymentIntent="pi"),), key="charge.paymentIntent"),),
    good=(Case(logs=(log("order_charge_started", charge__amount=7, http__request__method="GET"),)),),
)


KEY004 = Rule(
    code="KEY004",
    slug="alias-of-required-key",
    severity="error",
    grain="record",
    doc="""One of the three ids goes by another name: `requestId`, `RequestID`, `X-Request-ID`, `request.id`, `req_id`.

    Why: Whoever searches for `correlation_id` does not find records that call it `correlationId`.
    How to fix: Rename the key to the id's name. Until then runwell reads the id from it, and no rule says that the id
    is missing or that the key is spelled oddly.
    Not flagged: records that have the id under its name as well; what a Trigger.dev task calls `runId`, which may be
    another run.
    """,
    sentences=("29", "27"),
    keys=lambda options: _standing_for_ids(),
    message=lambda f: f"`{f['key']}` stands for `{ids.of_key(str(f['key']))}`.",
    remedy=lambda f: f"Rename `{f['key']}` to `{ids.of_key(str(f['key']))}`.",
    bad=(
        Case(logs=(log("order_charge_started", without=("correlation_id",), correlationId="c"),), key="correlationId"),
        Case(logs=(log("order_charge_started", without=("request_id",), reqId="r"),), key="reqId"),
        Case(logs=(log("order_charge_started", without=("request_id",), keys={"request-id": "r"}),), key="request-id"),
        Case(logs=(log("order_charge_started", without=("request_id",), RequestID="r"),), key="RequestID"),
        Case(
            logs=(log("order_charge_started", without=("correlation_id",), correlation__id="c"),), key="correlation.id"
        ),
        Case(logs=(log("order_charge_started", without=("run_id",), runId="run_0b7e"),), key="runId"),
    ),
    good=(
        Case(logs=(log("order_charge_started"),)),
        Case(logs=(log("order_charge_started", requestId="same"),), say="the id is there under its name as well"),
        Case(logs=(log("child_trigger_completed", runner="trigger", runId="run_other"),), say="another run's id"),
    ),
)


def _drift(frames: Frames, options: Options) -> pl.LazyFrame:
    typed = (
        frames.cells.select("project", "task_id", "operation", "rows", "typed")
        .explode("typed")
        .unnest("typed")
        .filter(pl.col("kind").is_not_null() & ~pl.col("key").is_in(list(options["allow"])))
    )
    group = ["project", "task_id", "key"]
    kinds = typed.group_by(*group, "kind").agg(n=pl.col("rows").list.len().sum())
    ranked = kinds.sort("n", "kind", descending=[True, False]).with_columns(
        usual=pl.col("kind").first().over(group), several=(pl.len() > 1).over(group)
    )
    rare = ranked.filter(pl.col("several") & (pl.col("kind") != pl.col("usual")))
    picked = typed.join(rare.select(*group, "kind", "usual"), on=[*group, "kind"], nulls_equal=True).with_columns(
        operation=pl.lit(None, pl.String),
        detail=pl.format("{} here, {} elsewhere", "kind", "usual"),
    )
    return frames.hits(picked)


KEY005 = Rule(
    code="KEY005",
    slug="type-drift",
    severity="warning",
    grain="task",
    doc="""One key of a task holds values of different types.

    Why: A column has one type; a number that is sometimes text cannot be summed or compared.
    How to fix: Convert the value before logging it, or use another key for the other kind.
    Not flagged: integers beside decimals, null beside anything, keys listed in the option `allow`.
    """,
    sentences=("27",),
    options={"allow": ()},
    across=_drift,
    message="`{key}` holds values of different types ({details}).",
    remedy="Give `{key}` one type, or another key for the other kind.",
    bad=(
        Case(
            logs=(
                log("order_charge_started", amount=5),
                log("order_charge_started", 1, amount=6),
                log("order_charge_started", 2, amount="7"),
            ),
            key="amount",
        ),
        Case(logs=(log("order_charge_started", ok=True), log("order_charge_started", 1, ok="yes")), key="ok"),
    ),
    good=(
        Case(
            logs=(
                log("order_charge_started", amount=5),
                log("order_charge_started", 1, amount=6.5),
                log("order_charge_started", 2, amount=None),
            )
        ),
        Case(logs=(log("a_b_started", runner="trigger", n=5), log("a_b_started", 1, runner="trigger", n="$@null(("))),
    ),
)


def _unitless(options: Options) -> pl.Expr:
    struct = pl.element().struct
    number = struct.field("kind") == "number"
    named = struct.field("key").str.contains(_DURATION)
    stated = struct.field("key") == "processing_time_ms"
    wrong = stated & struct.field("kind").is_in(["string", "bool", "list", "object"])
    listed = pl.col("typed").list.eval(pl.element().filter((number & named) | wrong).struct.field("key"))
    negative = pl.when(pl.col("negative_ms").fill_null(False)).then(pl.lit("processing_time_ms"))
    return pl.concat_list(listed, pl.concat_list(negative).list.drop_nulls()).list.unique()


KEY006 = Rule(
    code="KEY006",
    slug="duration-without-unit",
    severity="info",
    grain="record",
    doc="""A duration does not say its unit, or `processing_time_ms` is no positive number.

    Why: `duration: 90` is a minute and a half or nothing at all.
    How to fix: End the key with `_ms` (or `_s`), and measure with a clock that does not run backwards.
    Not flagged: points in time (`start_time`), text values, keys that end with a unit.
    """,
    sentences=("24",),
    # Decode takes a negative number for unknown, so that only the attributes have it.
    marks={"negative_ms": pl.col("attributes").str.contains(r'"processing_time_ms":-[0.]*[1-9]')},
    keys=_unitless,
    message=lambda f: (
        "`processing_time_ms` is negative or not a number."
        if f["key"] == "processing_time_ms"
        else f"`{f['key']}` does not say its unit."
    ),
    remedy=lambda f: (
        "Log milliseconds as a number, from a monotonic clock."
        if f["key"] == "processing_time_ms"
        else f"Rename `{f['key']}` to `{f['key']}_ms`, in milliseconds."
    ),
    bad=(
        Case(logs=(log("order_charge_completed", duration=90),), key="duration"),
        Case(logs=(log("order_charge_completed", render_time=1.5),), key="render_time"),
        Case(logs=(log("order_charge_completed", processing_time_ms="12ms"),), key="processing_time_ms"),
        Case(logs=(log("order_charge_completed", processing_time_ms=-4),), key="processing_time_ms"),
    ),
    good=(
        Case(logs=(log("order_charge_completed", processing_time_ms=4, wait_s=1, duration_ms=3),)),
        Case(logs=(log("order_charge_started", start_time=1_790_000_000, duration="PT5M", event_time="12:00"),)),
    ),
)


RULES = (KEY001, KEY002, KEY003, KEY004, KEY005, KEY006)
