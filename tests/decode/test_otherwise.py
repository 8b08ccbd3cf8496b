"""What a record says is read where loggers put it: numbers as text, space around a message, an error as an object."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.event import NONE, event
from tests.otlp.telemetry import SPAN, decoded, one_log, span_request

BLANKS = " \t\r\n\v\f\0\x1f\x7f\x85\xa0\xad\u1680\u2003\u2028\u2029\u202f\u3000"
BLANKS += "\u200b\u200d\u200f\u202e\u2060\u2066\ufe0f\ufeff"
COLOURS = ("\x1b[32m", "\x1b[0m", "\x1b[m", "\x1b[1;38:5:196m", "\x1b[K", "\x9b31m")
SPACE = st.lists(st.sampled_from([*BLANKS, *COLOURS]), max_size=4).map("".join)
NUMBERS = ("processing_time_ms", "queue_wait_ms", "attempt", "http_status")
COLUMNS = {"processing_time_ms": "reported_ms"}


def one(attributes: dict[str, Any], **record: Any) -> dict[str, Any]:
    """Return the row of a record with *attributes*, and other fields."""
    return one_log({"attributes": [{"key": k, "value": v} for k, v in attributes.items()], **record})[0]


def text(value: object) -> dict[str, Any]:
    """Return a text value."""
    return {"stringValue": value}


@given(st.sampled_from(["order_charge_started", "order_calling_stripe", "a_failed"]), SPACE, SPACE)
def test_space_around_a_message_hides_nothing(message: str, before: str, after: str) -> None:
    """Blanks of any script, what has no width, and colours; message and name of a span are kept as they were sent."""
    row = one({}, body=text(before + message + after))
    assert (row["operation"], row["phase"], row["called_service"]) == event(message)
    assert row["body"] == before + message + after
    (row,) = decoded("traces", "json", span_request({**SPAN, "name": before + message + after}))[0]["spans"]
    assert (row["operation"], row["phase"], row["name"]) == (*event(message)[:2], before + message + after)


@pytest.mark.parametrize(
    "body", ["a_\xa0started", "a\0_started", "a_started\\n", "\x1b[32a_started", "[32ma_started[0m"]
)
def test_what_stands_within_a_message_is_part_of_it(body: str) -> None:
    """Nothing but colours is taken out of the middle, and half a colour is none."""
    assert event(body) == NONE
    assert event("order_\x1b[1mcharge\x1b[0m_started") == ("order_charge", "started", None)


@pytest.mark.parametrize("piece", ["\0", "\x1b", "\x1b[", "\x1b[1", "\x1b[0m", "\x1b[1;", "\ufeff", " \0"])
def test_a_megabyte_around_a_message_takes_no_time(piece: str) -> None:
    """However it is put together."""
    began = time.process_time()
    for body in (piece * 500_000 + "a_started", "a_started" + piece * 500_000, (piece * 500 + "a") * 1_000):
        event(body)
    assert time.process_time() - began < 2


@given(st.sampled_from(NUMBERS), st.integers(100, 599))
def test_a_number_may_be_text(key: str, value: int) -> None:
    """In every column of numbers, as if it was one."""
    column = COLUMNS.get(key, key)
    assert one({key: text(str(value))})[column] == one({key: {"intValue": value}})[column] == value


@pytest.mark.parametrize("said", ["true", "True", "TRUE", " true\n"])
def test_a_boolean_may_be_text(said: str) -> None:
    """In any case; what is neither is none."""
    assert [one({k: text(said)})[k] for k in ("is_test", "is_replay")] == [True, True]
    assert one({"is_test": text(said.upper().replace("TRUE", "FALSE"))})["is_test"] is False
    assert [one({"is_test": text(w)})["is_test"] for w in ("yes", "1", "", "truely")] == [None] * 4


@pytest.mark.parametrize("where", ["body", "eventName", "event.name", "list"])
def test_a_message_is_read_where_it_stands(where: str) -> None:
    """The body's text or the first text of its list, else the event's name, else that of older conventions."""
    said = "order_charge_failed"
    attributes = {"event.name": text(said)} if where == "event.name" else {}
    several = {"arrayValue": {"values": [text(said), {"intValue": 1}]}}
    record = {"body": {"body": text(said), "list": several}.get(where, text("hello"))}
    row = one(attributes, **record, **({"eventName": said} if where == "eventName" else {}))
    assert (row["operation"], row["phase"]) == ("order_charge", "failed")


def test_the_body_counts_before_names() -> None:
    """And the event's name before the attribute."""
    row = one({"event.name": text("c_started")}, body=text("a_started"), eventName="b_started")
    assert row["operation"] == "a"
    assert one({"event.name": text("c_started")}, eventName="b_started")["operation"] == "b"


@pytest.mark.parametrize("key", ["err", "error", "exception"])
@pytest.mark.parametrize("kind", ["type", "name"])
def test_an_error_object_says_type_and_message(key: str, kind: str) -> None:
    """Of a log or a span, where nothing else says them."""
    inside = [{"key": kind, "value": text("TypeError")}, {"key": "message", "value": text("no route")}]
    attribute = {key: {"kvlistValue": {"values": inside}}}
    row = one(attribute)
    assert (row["error_type"], row["error_message"]) == ("TypeError", "no route")
    row = one({**attribute, "error_type": text("Mine")})
    assert (row["error_type"], row["error_message"]) == ("Mine", "no route")
    spans, _ = decoded("traces", "json", span_request({**SPAN, "attributes": [{"key": key, "value": attribute[key]}]}))
    assert spans["spans"][0]["error_type"] == "TypeError"
    assert one({key: text("boom")})["error_type"] is None
