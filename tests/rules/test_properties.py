"""What holds of all rules together, whatever the telemetry."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.semconv import attributes as semconv_attributes
from tell import findings, frames

from collector.rules import catalogue, words
from collector.rules.cases import attempt, log, span, trigger
from collector.rules.findings import SCHEMA
from collector.rules.frames import Frames
from collector.rules.guideline import SENTENCES, UNOBSERVABLE
from collector.rules.profiles import PROFILES, choose
from collector.settings import Rules
from tests.length import longer

ALL = tuple(catalogue.RULES)
EVERY = choose(catalogue.RULES, Rules(select=ALL))
DEFAULT = choose(catalogue.RULES, Rules())
FEW = settings(max_examples=longer("properties", 2, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

BODIES = st.one_of(
    st.sampled_from(
        [
            "order_charge_started",
            "order_charge_completed",
            "order_charge_failed",
            "order_charge_calling_stripe",
            "order_charge_validating",
            "heartbeat",
            "started",
            "Order 17 sent",
            "a_b_calling_",
            "",
        ]
    ),
    st.text(max_size=30),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            "orderId",
            "order_id",
            "correlationId",
            "error_type",
            "processing_time_ms",
            "duration",
            "http_status",
            "schedule_id",
            "payload_bytes",
            "progress",
            "$style.icon",
            "labels.[0]",
        ]
    ),
    st.text(max_size=12),
)


@st.composite
def records(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return log records and spans of a few runs."""
    runs = st.sampled_from(["run_1", "run_2", "run_3", None])
    logs = [
        log(
            draw(BODIES),
            draw(st.integers(0, 50)),
            run=draw(runs),
            attempt=draw(st.integers(1, 3)),
            runner=draw(st.sampled_from(["generic", "trigger"])),
            level=draw(st.sampled_from(["debug", "info", "warn", "error", "Log"])),
            task=draw(st.sampled_from(["charge-order", "sendMail"])),
            without=tuple(draw(st.sets(st.sampled_from(["correlation_id", "request_id", "run_id"])))),
            keys=draw(st.dictionaries(KEYS, VALUES, max_size=4)),
        )
        for _ in range(draw(st.integers(0, 12)))
    ]
    spans = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, 40))
        end = start + draw(st.integers(0, 20))
        run = draw(st.sampled_from(["run_1", "run_2"]))
        number = draw(st.integers(1, 3))
        error = draw(st.sampled_from([None, ("Error", "HTTP 401"), ("AbortTaskRunError", "429")]))
        spans.append(
            draw(
                st.sampled_from(
                    [
                        attempt(number, start, end, run=run, error=error),
                        trigger(start, end, "run_3", run=run, attempt=number, waits=True),
                        span("wait.for()", start, end, run=run, attempt=number, keys={"$style.icon": "wait"}),
                    ]
                )
            )
        )
    unique = {(s["trace_id"], s["span_id"]): s for s in spans}
    return logs, list(unique.values())


def judged(seen: Frames, chosen: Any = EVERY) -> list[dict[str, Any]]:
    """Return findings, samples and all."""
    return findings(seen, chosen).to_dicts()


@FEW
@given(records(), st.randoms(use_true_random=False))
def test_any_telemetry_is_judged_the_same_in_any_order_and_twice(
    given_: tuple[list[dict[str, Any]], list[dict[str, Any]]], dice: Any
) -> None:
    """No rule raises, the order of the records is irrelevant, and judging twice says the same."""
    logs, spans = given_
    seen = frames(logs, spans)
    first = judged(seen)
    assert judged(seen) == first
    shuffled = list(logs)
    dice.shuffle(shuffled)
    turned = list(spans)
    dice.shuffle(turned)
    assert judged(frames(shuffled, turned)) == first


def test_nothing_gives_nothing() -> None:
    """Without records there are no findings, in the shape that findings have."""
    empty = findings(frames(), EVERY)
    assert empty.is_empty()
    assert empty.schema == SCHEMA


def _conventional() -> list[str]:
    import importlib
    import pkgutil

    names: set[str] = set()
    for module in pkgutil.iter_modules(semconv_attributes.__path__):
        constants = importlib.import_module(f"{semconv_attributes.__name__}.{module.name}")
        names |= {v for k, v in vars(constants).items() if k.isupper() and isinstance(v, str)}
    return sorted(names)


def test_framework_and_convention_keys_are_never_flagged() -> None:
    """A clean record stays clean with every key of the semantic conventions and of the frameworks on it."""
    keys = [
        *_conventional(),
        *words.FRAMEWORK_KEYS,
        "$metadata.ctx.run.isTest",
        "ctx.run.isTest",
        "$style.icon",
        "labels.[0]",
        "rows.[1].v",
    ]
    assert len(keys) > 100
    names = [k for k in keys if k not in ("task", "attempt")]
    clean = [
        log("order_charge_started", n, run=f"run_{n}", runner=runner, task="sync-ledger", keys=dict.fromkeys(part, "x"))
        for n, (part, runner) in enumerate(
            (names[i : i + 40], runner) for i in range(0, len(names), 40) for runner in ("generic", "trigger")
        )
    ]
    ends = [
        {
            **r,
            "body": "order_charge_completed",
            "at": r["at"] + 0.5,
            "attributes": {**r["attributes"], "processing_time_ms": 500},
        }
        for r in clean
    ]
    assert judged(frames([*clean, *ends]), DEFAULT) == []


def test_records_are_apart_by_platform_project_whether_they_are_of_runs_or_of_none() -> None:
    """Twelve messages of one project and twelve of another are not twenty of one form; twenty-four of one are."""
    for run in (None, "r"):
        for projects, found in (("ab", False), ("aa", True)):
            logs = [
                log(f"order_{n}_started", n, run=run and run + project, context={"platform_project": project})
                for n, project in enumerate(12 * projects)
            ]
            assert ("MSG004" in findings(frames(logs), EVERY)["code"]) == found, (run, projects)


def test_every_sentence_of_the_guideline_is_listed_with_its_rules_or_what_it_wants() -> None:
    """68 sentences; each has a rule, or says what would make it observable; no code is given twice."""
    assert len({s.number for s in SENTENCES}) == len(SENTENCES) == 68
    for sentence in SENTENCES:
        assert catalogue.of_sentence(sentence) or sentence.wanting, sentence.number
        assert sentence.observable == "full" or sentence.wanting, sentence.number
        if sentence.observable == "full":
            assert catalogue.of_sentence(sentence), sentence.number
    codes = [*catalogue.RULES, *(u.code for u in UNOBSERVABLE)]
    assert len(codes) == len(set(codes))


def test_profiles_name_rules_and_options_that_exist() -> None:
    """A profile changes options of rules, and none that a rule does not have."""
    for changes in PROFILES.values():
        for code, options in changes.items():
            assert set(options) <= set(catalogue.RULES[code].options)


def test_findings_are_the_same_frame_whatever_rules_are_chosen() -> None:
    """Choosing one rule gives its part of what all give."""
    logs = [log("orderStarted", orderId="o", without=("request_id",)), log("x_y_started", 1, reqId="r")]
    everything = findings(frames(logs), DEFAULT)
    assert {"KEY001", "MSG001"} <= set(everything["code"])
    for code in set(everything["code"]):
        alone = findings(frames(logs), choose(catalogue.RULES, Rules(select=(code,))))
        assert alone.equals(everything.filter(pl.col("code") == code))
