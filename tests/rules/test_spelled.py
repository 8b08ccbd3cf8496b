"""One fact, one finding: ids under other names, keys in other spellings, and values that were printed."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tell import findings, frames

from collector.model import ids
from collector.model.spelling import snake
from collector.rules import catalogue
from collector.rules.cases import log
from collector.rules.families.keys import KEY001, KEY002
from collector.rules.families.unwritten import KEY007
from collector.rules.profiles import choose
from collector.rules.remedies import renames, transform
from collector.settings import Rules
from tests.length import longer

DEFAULT = choose(catalogue.RULES, Rules())


def told(*logs: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return findings by task; what has to do with the ends of runs is left to other tests."""
    found: dict[str, list[dict[str, Any]]] = {r["task"]: [] for r in logs}
    for f in findings(frames(logs), DEFAULT).to_dicts():
        found[f["task_id"]].append(f)
    return found


def each(body: str, variants: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a record of a task and run of its own for each of *variants*."""
    return [log(body, n, task=f"task-{n}", run=f"run_{n}x", **how) for n, how in enumerate(variants)]


def codes(found: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Return the codes told of each task, in the order of the tasks."""
    return [sorted(f["code"] for f in some) for some in found.values()]


# Field cases of November 2026: (key, value, the id that it stands in for, rule, what is said of it).
FIELD = (
    ("order", "[Circular]", None, "KEY007", "a circular reference"),
    ("order", "Promise { <pending> }", None, "KEY007", "a promise that nobody awaited"),
    ("order", "[object Map]", None, "KEY007", "an object without its fields"),
    ("RequestID", "r9", "request_id", "KEY004", "`request_id`"),
    ("reqID", "r9", "request_id", "KEY004", "`request_id`"),
    ("X-Request-ID", "r9", "request_id", "KEY004", "`request_id`"),
    ("eTag", "v1", None, "KEY001", "`etag`"),
    ("correlation_id", "N/A", "correlation_id", "CTX004", "placeholder"),
)


def test_cases_from_the_field_are_told_once_by_their_rule() -> None:
    """Each has one finding, of the stated rule, which says what it is or how to rename it."""
    variants = [{"keys": {key: value}, "without": (id_,) if id_ else ()} for key, value, id_, _, _ in FIELD]
    found = told(*each("order_check_started", variants))
    assert codes(found) == [[code] for *_, code, _ in FIELD]
    for (f,), (*_, says) in zip(found.values(), FIELD, strict=True):
        assert says in f["message"] + f["remedy"]


ALIASES = [
    (id_, key)
    for id_, names in ids.NAMES.items()
    for name in names
    for key in (
        name, name.replace("_", "-"), name.replace("_", "."), name.title().replace("_", ""), name.title(), name.upper(),
        re.sub("_(.)", lambda m: m[1].upper(), name), re.sub("Id$", "ID", name.title().replace("_", "-")),
    )
    if key != id_
]  # fmt: skip


@pytest.mark.parametrize("runner", ["generic", "trigger"])
def test_an_id_under_another_name_is_told_as_such_and_as_nothing_else(runner: str) -> None:
    """Whatever the spelling: one rename, to the id's name, and nobody says that the id is missing; beside the id it is
    an odd key at most."""
    mine = [(id_, key) for id_, key in ALIASES if runner == "generic" or id_ != "run_id"]
    alone = [{"keys": {key: f"v-{n}x"}, "without": (id_,), "runner": runner} for n, (id_, key) in enumerate(mine)]
    found = told(*each("order_check_started", alone))
    assert codes(found) == [["KEY004"]] * len(mine)
    assert [f["remedy"] for (f,) in found.values()] == [f"Rename `{key}` to `{id_}`." for id_, key in mine]
    beside = [{"keys": {key: "v"}, "runner": runner} for _, key in mine]
    rest = [f for some in told(*each("order_check_started", beside)).values() for f in some]
    assert {f["code"] for f in rest} == {"KEY001", "KEY002"}
    assert not any(f["remedy"].startswith("Rename") for f in rest)


def test_what_a_trigger_dev_task_calls_run_id_may_be_another_run() -> None:
    """Its `runId` is an odd key that is not renamed to `run_id`, and stands for no id."""
    (found,) = told(
        *each("order_check_started", [{"runner": "trigger", "without": ("run_id",), "keys": {"runId": "r2"}}])
    ).values()
    assert sorted((f["code"], f["severity"]) for f in found) == [("CTX003", "info"), ("KEY001", "error")]
    assert renames(findings(frames([log("order_check_started", runner="trigger", runId="r")]), DEFAULT)) == {}


def test_a_record_of_the_run_knows_an_id_by_any_spelling() -> None:
    """Where one record of a run has the id, under whatever name, another lacks nothing."""
    keys = ("requestId", "RequestID", "X-Request-ID", "request.id")
    starts = each("order_check_started", ({"without": ("request_id",), "keys": {key: "r9"}} for key in keys))
    ends = [
        {**r, "body": "order_check_completed", "at": r["at"] + 0.5, "attributes": {"processing_time_ms": 500}}
        for r in each("", ({} for _ in keys))
    ]
    for start, end in zip(starts, ends, strict=True):
        end["attributes"] |= {name: start["attributes"][name] for name in ("correlation_id", "run_id")}
    assert codes(told(*starts, *ends)) == [["KEY004"]] * len(keys)


WORDS = st.sampled_from(["order", "id", "http", "url", "größe", "имя", "v2", "sha256", "x"])
STYLES: tuple[tuple[Callable[[list[str]], str], str | None], ...] = (
    (lambda w: w[0] + "".join(map(str.capitalize, w[1:])), "KEY001"),
    (lambda w: "".join(map(str.capitalize, w)), "KEY002"),
    ("-".join, "KEY002"),
    (lambda w: "_".join(w).upper(), "KEY002"),
    ("_".join, None),
    (lambda w: snake("".join(map(str.capitalize, w))), None),
)


@settings(max_examples=longer("properties", 2, 60), deadline=None)
@given(st.lists(st.lists(WORDS, min_size=2, max_size=4), min_size=10, max_size=10))
def test_a_key_in_camel_case_is_an_error_and_any_other_oddity_a_warning(names: list[list[str]]) -> None:
    """A key that begins small and goes on with capitals is camelCase, whatever its first word; PascalCase, hyphens and
    capitals alone are not; what is suggested is silent, and so are keys in snake_case."""
    keys = [(join(words), code) for words in names for join, code in STYLES]
    odd = choose(catalogue.RULES, Rules(select=(KEY001.code, KEY002.code)))
    seen = findings(frames(each("order_check_started", ({"keys": {key: "v"}} for key, _ in keys))), odd)
    assert dict(seen.select("task_id", "code").rows()) == {
        f"task-{n}": code for n, (_, code) in enumerate(keys) if code
    }


class Order:
    """A class of somebody's."""

    def pay(self) -> None:
        """Do nothing."""


async def charge() -> None:
    """Do nothing."""


def _python() -> dict[str, Any]:
    coroutine = charge()
    coroutine.close()
    return {
        "a promise that nobody awaited": [coroutine, Future(), asyncio.Future(loop=asyncio.new_event_loop())],
        "a function": [charge, Order().pay, len, [].append, lambda: None, str.join, object.__str__],
        "a class or module": [Order, int, re],
        "an object without its fields": [
            Order(),
            object(),
            iter([]),
            io.StringIO(),
            threading.Event(),
            (n for n in "a"),
        ],
    }


_NODE = """
const { inspect } = require('util');
class Order { constructor() { this.a = { b: { c: { d: 1 } } } } }
const ring = {}; ring.self = ring;
console.log(JSON.stringify({
  'a promise that nobody awaited': [
    inspect(new Promise(() => {})), inspect(Promise.resolve(5)), String(Promise.resolve()),
    inspect({ of: Promise.resolve(5) }),
  ],
  'a circular reference': [inspect(ring)],
  'a function': [
    inspect(() => 1), inspect(async function f() {}), inspect(function* g() {}), inspect(process.memoryUsage),
    String(function f() { return 1 }),
  ],
  'a class or module': [inspect(Order), inspect(class extends Order {})],
  'an object without its fields': [
    String(new Order()), inspect(new Order()), String(new Map()), inspect([[[[1]]]]), inspect(new WeakMap()),
    inspect({ get x() { return 1 } }),
    String(new Set().values()), String(new Response('')),
  ],
}))
"""


def _node() -> dict[str, list[str]]:
    node = Path(sys.executable).with_name("node")
    done = subprocess.run([node, "-e", _NODE], capture_output=True, text=True, check=True)
    printed: dict[str, list[str]] = json.loads(done.stdout)
    return printed


@pytest.mark.parametrize("language", [_python, _node])
def test_what_a_language_prints_instead_of_a_value_is_told(language: Any) -> None:
    """What Python and Node print for what they cannot write down is found, alone, in a list and in a map, and named."""
    only = choose(catalogue.RULES, Rules(select=(KEY007.code,)))
    printed = [(kind, str(value)) for kind, values in language().items() for value in values]
    shapes = [(kind, shape) for kind, text in printed for shape in (text, ["o1", text], {"of": text})]
    seen = findings(frames(each("order_check_started", ({"keys": {"order": shape}} for _, shape in shapes))), only)
    messages = dict(seen.select("task_id", "message").rows())
    for n, (kind, shape) in enumerate(shapes):
        assert kind in messages[f"task-{n}"], shape


def test_prose_and_values_that_look_a_little_like_it_are_not() -> None:
    """Brackets, hashes, versions, types and addresses are values like others."""
    # fmt: off
    values = (
        # What requests, of Python, says in its errors.
        "HTTPSConnectionPool(host='a', port=443): Max retries exceeded with url: / (Caused by NewConnectionError("
        "'<urllib3.connection.HTTPSConnection object at 0x7f25ee428b20>: Failed to establish a new connection'))",
        "[urgent] ship it", "[Object storage]", "Function: billing", "Promise", "[...]", "{}", "<redacted>",
        "<ops@acme.io>", "0xdeadbeef", "0x7f25ee428b20", "com.acme.Order", "git@github.com:acme/Repo.git",
        "System.InvalidOperationException", "50%!", "[Circular economy] report", "map[a:1]", "Map(1) { 1 => 2 }",
        "dict_keys(['a'])", "{ a: 1, b: [ 2 ] }", "the function f() { } is", "#<5", "npm i @acme/Order@1b6d3586",
        "class A", "Array", "<b>bold</b>", "A.B.C@1.2.3",
    )
    # fmt: on
    only = choose(catalogue.RULES, Rules(select=(KEY007.code,)))
    assert findings(frames(each("order_check_started", ({"keys": {"note": v}} for v in values))), only).is_empty()


def test_the_end_of_a_call_is_told_as_the_outcome_of_its_operation() -> None:
    """No rule asks for the start of a call, and all of them name the operation that called."""
    for end in ("completed", "failed"):
        said = {"processing_time_ms": 5} if end == "completed" else {"error_type": "E", "error_message": "m"}
        level = "error" if end == "failed" else "info"
        logs = (
            log("order_started"),
            log("order_calling_stripe", 1),
            log(f"order_calling_stripe_{end}", 2, level=level, **said),
            log("order_completed", 3, processing_time_ms=3000),
        )
        (found,) = told(*logs).values()
        assert [f["code"] for f in found] == ["PHA002"]
        assert "no end of its own" in found[0]["message"] and "`order_failed`" in found[0]["remedy"]
        assert "calling_stripe_started" not in found[0]["message"] + found[0]["remedy"]


def test_the_collector_renames_an_id_to_its_name() -> None:
    """The transform has one statement for an alias, to the id, and none for a key that is there under its name too."""
    logs = each(
        "order_check_started", ({"keys": {"X-Request-ID": "r"}, "without": ("request_id",)}, {"keys": {"runId": "r"}})
    )
    found = findings(frames(logs), DEFAULT)
    assert renames(found) == {"X-Request-ID": "request_id"}
    assert transform(found).count("set(") == 1
