"""MSG: the message is `{operation}_{phase}`."""

from __future__ import annotations

import re

import polars as pl

from collector import personal
from collector.model.spelling import ascii_snake
from collector.rules.cases import log
from collector.rules.frames import Frames
from collector.rules.rule import Case, Finding, Options, Rule

PHASE_LIKE = {
    "done": "completed",
    "finished": "completed",
    "finish": "completed",
    "success": "completed",
    "succeeded": "completed",
    "successful": "completed",
    "complete": "completed",
    "ended": "completed",
    "end": "completed",
    "ok": "completed",
    "begin": "started",
    "began": "started",
    "start": "started",
    "starting": "started",
    "initiated": "started",
    "begun": "started",
    "error": "failed",
    "errored": "failed",
    "fail": "failed",
    "failure": "failed",
    "exception": "failed",
    "aborted": "failed",
    "crashed": "failed",
    "timeout": "failed",
    "timedout": "failed",
    "validate": "validating",
    "validated": "validating",
    "validation": "validating",
    "call": "calling_{service}",
    "called": "calling_{service}",
    "retrying": None,
    "retry": None,
    "retried": None,
    "cancelled": None,
    "canceled": None,
    "skipped": None,
    "progress": None,
    "warned": None,
    "warning": None,
    "processing": None,
    "running": None,
    "waiting": None,
    "paused": None,
    "resumed": None,
    "scheduled": None,
    "queued": None,
}
"""Last words that say where an operation is, and the guideline's word for it where there is one."""

_SNAKE = r"^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$"
_PHASE_ONLY = r"^(?:started|validating|completed|failed|calling_[a-z0-9_]+)$"
_NO_SERVICE = r"(?:^|_)calling_?$"
_LAST = r"_([a-z0-9]+)$"
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


def template(message: pl.Expr) -> pl.Expr:
    """Return a message with ids and numbers replaced, so that messages that differ in them alone are the same."""
    return (
        message.str.replace_all(_UUID, "{id}")
        .str.replace_all(r"\b[0-9a-f]*(?:[0-9][a-f]|[a-f][0-9])[0-9a-f]{4,}\b", "{id}")
        .str.replace_all(r"\d+", "{n}")
    )


def suggestion(message: str) -> str:
    """Return what to log instead of *message*, personal data left out."""
    words = ascii_snake(re.sub(r"\{\w*\}", "", personal.redact(message))) or "operation"
    head, _, last = words.rpartition("_")
    if last in ("started", "validating", "completed", "failed") and head:
        return words
    phase = PHASE_LIKE.get(last)
    return f"{head}_{phase}" if head and phase else f"{words}_{{phase}}"


def _judged(options: Options) -> pl.Expr:
    """Records whose message is no `{operation}_{phase}`; an OpenTelemetry event is known by its event name."""
    allowed = list(options.get("allow", ()))
    judged = pl.col("message").is_not_null() & (pl.col("body_type") == "string") & pl.col("event_name").is_null()
    return judged & ~pl.col("message").is_in(allowed)


def _kind(options: Options) -> pl.Expr:
    """Return the code of the one rule that a message breaks: each message breaks one."""
    message = pl.col("message")
    last = message.str.extract(_LAST)
    extra = list(options.get("extra_phases", ()))
    return (
        pl.when(message.str.contains(_NO_SERVICE))
        .then(pl.lit("MSG006"))
        .when(message.str.contains(_PHASE_ONLY))
        .then(pl.lit("MSG005"))
        .when(~message.str.contains(_SNAKE))
        .then(pl.lit("MSG001"))
        .when(last.is_in(extra))
        .then(None)
        .when(last.is_in(list(PHASE_LIKE)))
        .then(pl.lit("MSG003"))
        .otherwise(pl.lit("MSG002"))
    )


def _breaks(code: str):  # type: ignore[no-untyped-def]
    return lambda options: _judged(options) & (_kind(options) == code)


def _named(options: Options) -> pl.Expr:
    return pl.coalesce(template(pl.col("message")), pl.col("operation"))


def _quoted(f: Finding) -> str:
    return f"`{f['operation']}`" if f["operation"] else "several messages"


def _rename(f: Finding) -> str:
    if not f["operation"]:
        return "Name them `{operation}_{phase}` in snake_case; what varies belongs in keys."
    return f"Log `{suggestion(f['operation'])}`; what varies belongs in keys."


MSG001 = Rule(
    code="MSG001",
    slug="message-not-snake-case",
    severity="error",
    grain="record",
    doc="""A message is not snake_case.

    Why: `{operation}_{phase}` is what runs, phases and durations are read from; prose is read by nobody but people.
    How to fix: Rename the message to `{operation}_{phase}` and move values into keys; the finding suggests a name.
    Not flagged: `console` output, records of library loggers, OpenTelemetry events (they have an event name), and
    messages listed in the option `allow`.
    """,
    sentences=("22", "26"),
    options={"allow": (), "extra_phases": ()},
    where=_breaks("MSG001"),
    names=_named,
    message=lambda f: f"{_quoted(f)} is not snake_case.",
    remedy=_rename,
    bad=(
        Case(logs=(log("sendNewsletterStarted"),)),
        Case(logs=(log("Order 17 processed"),)),
        Case(logs=(log("order-process-started"),)),
    ),
    good=(
        Case(logs=(log("order_charge_started"), log("order_charge_completed", 1, processing_time_ms=1000))),
        Case(logs=(log("Sending to 105 recipients", level="Log", runner="trigger"),), say="console output"),
        Case(
            logs=(
                log(
                    "Starting new HTTPS connection (1)",
                    scope="urllib3.connectionpool",
                    run=None,
                    without=("correlation_id", "request_id"),
                ),
            ),
            say="a library's logger",
        ),
    ),
)

MSG002 = Rule(
    code="MSG002",
    slug="missing-phase",
    severity="error",
    grain="record",
    doc="""A message is snake_case and names no lifecycle phase.

    Why: Without a phase nobody can tell whether the operation began, ended or failed.
    How to fix: End the message with `_started`, `_validating`, `_calling_{service}`, `_completed` or `_failed`.
    Not flagged: what MSG001, MSG003, MSG005 or MSG006 tell of, messages listed in the option `allow`, last words
    listed in `extra_phases`.
    """,
    sentences=("22", "26", "28"),
    options={"allow": (), "extra_phases": ()},
    where=_breaks("MSG002"),
    names=_named,
    message=lambda f: f"{_quoted(f)} ends with no lifecycle phase.",
    remedy=_rename,
    bad=(Case(logs=(log("order_charge"),)), Case(logs=(log("heartbeat"),))),
    good=(
        Case(logs=(log("order_charge_calling_stripe"), log("order_charge_started"))),
        Case(logs=(log("order_charge_noted"),), options={"extra_phases": ("noted",)}),
    ),
)

MSG003 = Rule(
    code="MSG003",
    slug="unknown-phase",
    severity="warning",
    grain="record",
    doc="""A message ends with a word that looks like a phase and is none of the five.

    Why: `_done`, `_finished` and `_success` each mean `_completed`, and none of them closes the operation's interval.
    How to fix: Use the phase the finding names. Where the guideline has no word for it (`_retrying`, `_progress`), log
    the outcome of the step as `_completed` or `_failed`, or list the word in the option `extra_phases`.
    Not flagged: words listed in `extra_phases`; `_canceled`, `_skipped`, `_interrupted` and `_retrying` of an operation
    that logged its `_started` in the same attempt: they are read as its end.
    """,
    sentences=("28", "26"),
    options={"allow": (), "extra_phases": ()},
    where=_breaks("MSG003"),
    names=_named,
    message=lambda f: f"{_quoted(f)} ends with a word that is not one of the five phases.",
    remedy=lambda f: (
        _rename(f)
        if f["operation"] and PHASE_LIKE.get(f["operation"].rpartition("_")[2])
        else "Log `_completed` or `_failed` for the step, or add the word to the option `extra_phases`."
    ),
    bad=(Case(logs=(log("order_charge_done"),)), Case(logs=(log("order_charge_retrying", level="warn"),))),
    good=(
        Case(logs=(log("order_charge_completed", processing_time_ms=5),)),
        Case(logs=(log("order_charge_retrying"),), options={"extra_phases": ("retrying",)}),
        *(
            Case(logs=(log("order_charge_started"), log(f"order_charge_{word}", 1)))
            for word in ("canceled", "cancelled", "interrupted", "retrying", "skipped")
        ),
    ),
)


def _variable(frames: Frames, options: Options) -> pl.LazyFrame:
    cells = frames.cells.with_columns(said=pl.coalesce("message", "operation")).with_columns(
        template=template(pl.col("said"))
    )
    group = ["project", "task_id", "template"]
    many = (
        cells.filter(pl.col("template") != pl.col("said"))
        .group_by(group)
        .agg(bodies=pl.col("said").n_unique(), records=pl.col("count").sum())
        .filter((pl.col("bodies") > options["most_bodies"]) & (pl.col("records") >= options["least_records"]))
    )
    return frames.hits(cells.join(many, on=group, how="semi", nulls_equal=True), operation="template")


MSG004 = Rule(
    code="MSG004",
    slug="variable-in-message",
    severity="warning",
    grain="task",
    doc="""Many messages of a task differ in a number or id alone.

    Why: Each value makes a message of its own: they cannot be counted, charted or compared.
    How to fix: Log one constant `{operation}_{phase}` and pass the value as a key.
    Not flagged: fewer than `least_records` records, or no more than `most_bodies` messages of the same form.
    """,
    sentences=("26",),
    options={"most_bodies": 5, "least_records": 20},
    across=_variable,
    message=lambda f: f"The messages {_quoted(f)} differ in a value alone.",
    bad=(
        Case(logs=tuple(log(f"order_{n}_started", n) for n in range(20))),
        Case(logs=tuple(log(f"Order {n % 7} processed", n) for n in range(21))),
    ),
    good=(
        Case(logs=tuple(log(f"order_{n}_started", n) for n in range(19))),
        Case(logs=tuple(log(f"page_{n % 5}_render_started", n) for n in range(40)), say="five names, not a value"),
        Case(logs=tuple(log("order_charge_started", n, order_id=f"o{n}") for n in range(30))),
    ),
)

MSG005 = Rule(
    code="MSG005",
    slug="missing-operation",
    severity="error",
    grain="record",
    doc="""A message is a phase and nothing else.

    Why: `started` does not say what started; operations of different tasks fall together.
    How to fix: Put the operation in front: `order_charge_started`.
    Not flagged: messages listed in the option `allow`.
    """,
    sentences=("22",),
    options={"allow": ()},
    where=_breaks("MSG005"),
    names=_named,
    message=lambda f: f"{_quoted(f)} names no operation.",
    remedy=lambda f: f"Put the operation in front: `{{operation}}_{f['operation'] or '{phase}'}`.",
    bad=(Case(logs=(log("started"),)), Case(logs=(log("calling_stripe"),))),
    good=(Case(logs=(log("charge_started"),)),),
)

MSG006 = Rule(
    code="MSG006",
    slug="calling-without-service",
    severity="warning",
    grain="record",
    doc="""A `_calling` message does not say which service is called.

    Why: Time spent in a dependency can only be shown per dependency if it has a name.
    How to fix: `{operation}_calling_{service}`.
    Not flagged: messages listed in the option `allow`.
    """,
    sentences=("28",),
    options={"allow": ()},
    where=_breaks("MSG006"),
    names=_named,
    message=lambda f: f"{_quoted(f)} does not name the service that is called.",
    remedy=lambda f: f"Log `{str(f['operation'] or 'operation_calling').rstrip('_')}_{{service}}`.",
    bad=(Case(logs=(log("order_charge_calling"),)), Case(logs=(log("order_charge_calling_"),))),
    good=(Case(logs=(log("order_charge_calling_stripe"),)),),
)


def _level_clash(options: Options) -> pl.Expr:
    failed_low = (pl.col("phase") == "failed") & pl.col("level").is_in(["debug", "info", "warn"])
    other_high = pl.col("phase").is_in(["started", "validating", "calling", "completed"]) & (pl.col("level") == "error")
    return failed_low | other_high


MSG007 = Rule(
    code="MSG007",
    slug="phase-level-mismatch",
    severity="warning",
    grain="record",
    doc="""The level of a record contradicts its phase.

    Why: Alerts and searches go by level: a `_failed` at info is missed, a `_completed` at error wakes somebody up.
    How to fix: Log `_failed` at error and the other phases below error.
    Not flagged: records that state no severity. For failures that are expected business, switch the rule off for
    their operation (`[[rules.overrides]]`).
    """,
    sentences=("25",),
    where=_level_clash,
    message="Records of `{operation}` have a level that contradicts their phase.",
    bad=(
        Case(logs=(log("order_charge_failed", level="warn", error_type="E", error_message="m"),)),
        Case(logs=(log("order_charge_completed", level="error", processing_time_ms=5),)),
    ),
    good=(
        Case(logs=(log("order_charge_failed", level="error", error_type="E", error_message="m"),)),
        Case(logs=(log("order_charge_started", level="debug"), log("order_charge_validating", level="warn"))),
    ),
)

MSG008 = Rule(
    code="MSG008",
    slug="no-attributes",
    severity="info",
    grain="record",
    doc="""A message carries no key at all.

    Why: A message without data can be counted but not searched or joined.
    How to fix: Pass at least the ids: `logger.info("order_charge_started", ids)`.
    Not flagged: `console` output.
    """,
    sentences=("23",),
    on=False,
    where=lambda options: pl.col("names").list.len() == 0,
    names=_named,
    message=lambda f: f"{_quoted(f)} carries no data.",
    remedy="Pass the three ids and what the message is about as keys.",
    bad=(
        Case(logs=(log("order_charge_started", runner="trigger", without=("correlation_id", "request_id", "run_id")),)),
    ),
    good=(Case(logs=(log("order_charge_started"),)),),
)

RULES = (MSG001, MSG002, MSG003, MSG004, MSG005, MSG006, MSG007, MSG008)
