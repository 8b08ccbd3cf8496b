"""Keys of a run are read from a body or a map where a log's attributes name no run, and from nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.otlp.telemetry import decoded, log_request, one_log

KEYS: dict[str, Any] = {
    "run_id": "r",
    "task_id": "resize",
    "attempt": 2,
    "queue": "mail",
    "correlation_id": "c",
    "error_type": "OSError",
    "processing_time_ms": 5.5,
    "http_status": "507",
    "is_test": True,
}
READ = {
    **{k: KEYS[k] for k in ("run_id", "task_id", "attempt", "queue", "correlation_id", "error_type", "is_test")},
    "reported_ms": 5.5,
    "http_status": 507,
}
SAID = "image_resize_failed"


def value(of: Any) -> dict[str, Any]:
    """Return a value as OTLP/JSON has it."""
    match of:
        case bool():
            return {"boolValue": of}
        case int():
            return {"intValue": of}
        case float():
            return {"doubleValue": of}
        case str():
            return {"stringValue": of}
        case list():
            return {"arrayValue": {"values": [value(item) for item in of]}}
    return {"kvlistValue": {"values": [{"key": k, "value": value(v)} for k, v in of.items()]}}


def row(body: Any, attributes: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
    """Return the row of a log with this body and these attributes."""
    pairs = [{"key": k, "value": value(v)} for k, v in (attributes or {}).items()]
    return one_log({"body": value(body), "attributes": pairs}, **limits)[0]


PLACES = {
    "body map": ("body", {"message": SAID, **KEYS}, {}),
    "body text": ("body", json.dumps({"event": SAID, **KEYS}), {}),
    "body text of pino": ("body", json.dumps({"level": 50, "msg": SAID, **KEYS}) + "\n", {}),
    "extra": ("extra", SAID, {"extra": KEYS}),
    "context": ("context", SAID, {"context": KEYS}),
    "context as JSON": ("context", SAID, {"context": json.dumps(KEYS)}),
    "extra beside a body that is a map": ("extra", {"msg": SAID, "level": 50}, {"extra": KEYS}),
    "context beside a body that is a map": ("context", {"message": "", "event": SAID}, {"context": json.dumps(KEYS)}),
}


@pytest.mark.parametrize("name", PLACES)
def test_keys_are_read_where_they_stand(name: str) -> None:
    """From each of the places as if they were the record's own, and the row says from which; the body is kept."""
    place, body, attributes = PLACES[name]
    read = row(body, attributes)
    assert {k: read[k] for k in READ} == READ
    assert (read["operation"], read["phase"], read["keys_from"]) == ("image_resize", "failed", place)
    assert read["run_key"] == row(SAID, KEYS)["run_key"] is not None
    assert read["body"] == (body if isinstance(body, str) else json.dumps(body, separators=(",", ":")))


@pytest.mark.parametrize("name", PLACES)
def test_a_record_that_names_its_run_is_read_by_its_attributes_alone(name: str) -> None:
    """Not a key, not a message comes from elsewhere; and from nowhere else where the setting is off."""
    _, body, attributes = PLACES[name]
    mine = row(body, {**attributes, "run_id": "mine"})
    assert (mine["run_id"], mine["keys_from"]) == ("mine", None)
    assert [mine[k] for k in READ if k != "run_id"] == [None] * (len(READ) - 1)
    off = row(body, attributes, nested_keys=False)
    assert [off[k] for k in (*READ, "run_key", "keys_from")] == [None] * (len(READ) + 2)
    assert mine["operation"] == off["operation"] == ("image_resize" if body == SAID else None)


def test_attributes_and_the_first_place_count() -> None:
    """What attributes state stays; of two places the body counts before `extra`, and that before `context`."""
    both = row({"message": SAID, **KEYS}, {"task_id": "mine", "extra": {"run_id": "b", "batch_id": "x"}})
    assert (both["run_id"], both["task_id"], both["queue"], both["batch_id"]) == ("r", "mine", "mail", None)
    maps = row(SAID, {"context": {"run_id": "c"}, "extra": {"run_id": "e"}})
    assert (maps["run_id"], maps["keys_from"]) == ("e", "extra")
    assert row(SAID, {"context": {"run_id": "c"}, "extra": {"queue": "e"}})["keys_from"] == "context"


PAYLOADS: dict[str, tuple[Any, dict[str, Any]]] = {
    "another attribute": (SAID, {"payload": KEYS}),
    "another attribute as JSON": (SAID, {"payload": json.dumps(KEYS)}),
    "attributes of other names": (SAID, {"Extra": KEYS, "contexts": KEYS, "extra.run_id": "r", "body": KEYS}),
    "deeper in a body": ({"message": SAID, "payload": KEYS}, {}),
    "deeper in a map": (SAID, {"extra": {"extra": KEYS}, "context": {"payload": KEYS}}),
    "JSON in a map": (SAID, {"extra": {"payload": json.dumps(KEYS)}}),
    "extra in a body": ({"message": SAID, "extra": KEYS, "context": KEYS}, {}),
    "a run id that is a map": ({"message": SAID, "run_id": KEYS}, {}),
    "JSON without a message": (json.dumps(KEYS), {}),
    "JSON with another message": (json.dumps({"message": "webhook received", **KEYS}), {}),
    "JSON with a message that is no text": (json.dumps({"message": {"event": SAID}, **KEYS}), {}),
    "JSON with text before": ("got " + json.dumps({"event": SAID, **KEYS}), {}),
    "JSON with text behind": (json.dumps({"event": SAID, **KEYS}) + " done", {}),
    "two objects": (json.dumps({"event": SAID, **KEYS}) * 2, {}),
    "JSON in JSON": (json.dumps(json.dumps({"event": SAID, **KEYS})), {}),
    "deeper in JSON": (json.dumps({"event": SAID, "data": KEYS}), {}),
    "a list": ([{"message": SAID, **KEYS}], {}),
    "JSON of a list": (json.dumps([{"event": SAID, **KEYS}]), {}),
    "a list of maps": (SAID, {"extra": [KEYS], "context": json.dumps([KEYS])}),
    "nothing but an id's name": ({"message": SAID, "run_id": ""}, {}),
    "JSON cut off": (json.dumps({"event": SAID, **KEYS})[:-1], {}),
    "JSON of a depth": (json.dumps({"event": SAID, **KEYS})[:-1] + ',"x":' + "[" * 5000 + "]" * 5000 + "}", {}),
    "JSON beyond 64 KiB": (json.dumps({"event": SAID, **KEYS, "x": "y" * 65_536}), {}),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_never_read(name: str) -> None:
    """What somebody else sent and a task logged names no run."""
    read = row(*PAYLOADS[name])
    assert [read[k] for k in (*READ, "run_key", "keys_from")] == [None] * (len(READ) + 2)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from([*KEYS]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_json_in_a_body_loses_a_record(inner: Any) -> None:
    """Whatever an object beside a message holds, the record is kept and the run id is text or none."""
    body = json.dumps({"event": SAID, "run_id": "r", "x": inner, **(inner if isinstance(inner, dict) else {})})
    read = row(body)
    assert read["body"] == body
    assert read["run_id"] is None or isinstance(read["run_id"], str)


def test_half_a_pair_in_json_hides_no_key() -> None:
    """JavaScript writes one where it cuts a text inside an emoji; the body stays as it was sent."""
    body = json.dumps({"event": SAID, **KEYS, "queue": "mail \ud83d", "note": "\udc00"})
    read = row(body)
    assert (read["run_id"], read["queue"], read["body"]) == ("r", "mail \ufffd", body)


@pytest.mark.parametrize("other", ['"x":NaN', '"x":-Infinity', '"x":1e999', '"x":' + "9" * 5000])
def test_json_that_only_loggers_write_is_read(other: str) -> None:
    """Python writes numbers that JSON does not have; a byte order mark may stand before it."""
    body = f'\ufeff{{"event":"{SAID}",{other},"run_id":"r"}}'
    assert (row(body)["run_id"], row(SAID, {"context": body})["run_id"]) == ("r", "r")


@pytest.mark.parametrize("of_map", [True, False])
def test_the_message_is_the_first_text_that_has_the_form(of_map: bool) -> None:
    """Of `message`, `msg` and `event`; a body that is a map may have none."""

    def said(**keys: Any) -> dict[str, Any]:
        body = {"run_id": "r", **keys}
        return row(body if of_map else json.dumps(body))

    for keys in (
        {"message": "handled", "event": SAID},
        {"message": "", "msg": SAID},
        {"msg": SAID, "event": "a_started"},
    ):
        assert (said(**keys)["operation"], said(**keys)["phase"]) == ("image_resize", "failed")
    assert said(message="hello")["run_id"] == ("r" if of_map else None)


@pytest.mark.parametrize("digits", [18, 30, 399, 4000, 5000])
def test_a_number_of_any_length_in_json_is_one_of_ours_or_none(digits: int) -> None:
    """As the same digits in an attribute."""
    nines = "9" * digits
    body = f'{{"event":"a_failed","run_id":"r","attempt":{nines},"processing_time_ms":{nines}}}'
    read = row(body)
    assert read["attempt"] is None and read["reported_ms"] is None


def test_a_trigger_dev_record_names_its_run_itself() -> None:
    """What stands in its body or a map is a payload."""
    request = log_request({"body": value({"message": SAID, **KEYS}), "attributes": []})
    request["resourceLogs"][0]["resource"] = {"attributes": [{"key": "$trigger", "value": {"boolValue": True}}]}
    (read,) = decoded("logs", "json", request)[0]["logs"]
    assert (read["dialect"], read["run_id"], read["keys_from"]) == ("trigger_dev", None, None)
