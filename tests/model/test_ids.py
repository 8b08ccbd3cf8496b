"""The three ids under whatever name, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import ids

JOINTS = ("_", "-", ".", " ", "")
CASES = (str.lower, str.title, str.upper)


@given(st.sampled_from([(id_, name) for id_, names in ids.NAMES.items() for name in names]), st.data())
def test_an_id_is_known_in_any_spelling(of: tuple[str, str], data: st.DataObject) -> None:
    """Whatever case its words have and whatever joins them, a key is the id that its name is of."""
    id_, name = of
    case = st.sampled_from(CASES)
    first, *others = name.split("_")
    joint = data.draw(st.sampled_from(JOINTS))
    rest = [data.draw(case if joint else st.just(str.title))(word) for word in others]
    key = joint.join([data.draw(case if joint else st.sampled_from(CASES[:2]))(first), *rest])
    assert ids.of_key(key) == id_
    assert ids.spelled([key, "order_id"], id_) == [key]


def test_other_keys_are_none_of_the_ids() -> None:
    """An id of something else, a part of the name or more than it is another key."""
    for key in (
        "parent_run_id", "childRunId", "request_ids", "requestIdle", "aws_request_id", "correlation", "id", "trace_id",
        "http.request.header.x-request-id", "cid", "req", "order_id", "ctx.run.id", "runIdx",
    ):  # fmt: skip
        assert ids.of_key(key) is None, key


def test_the_name_itself_counts_first_then_the_order_of_the_table() -> None:
    """Of several spellings the same one counts whatever the order of the attributes."""
    keys = ["x-request-id", "requestId", "x_request_id", "req_id", "request_id", "request.id"]
    first = ["request_id", "req_id", "x_request_id", "request.id", "requestId", "x-request-id"]
    assert ids.spelled(keys, "request_id") == ids.spelled(reversed(keys), "request_id") == first


# fmt: off
NONE = (
    "", "  ", "undefined", "null", "None", "nil", "NaN", "N/A", "n/a", "NA", "-", "--", "?", "unknown", "<nil>",
    "(null)", "0", "000", "00000000-0000-0000-0000-000000000000", "order-undefined", "order-None", "order_null",
    "order:nan", "order-00000000-0000-0000-0000-000000000000", "[object Object]", "order-[object Object]", "TODO",
    "xxxx-xx", "order-", "${id}", "order-${id}", "order-{id}", "{{ id }}", "%s", "order-%(id)s", "order-%!s(<nil>)",
    "true", 0, 0.0, True, None, {"doubleValue": "NaN"}, [],
)
SOME = (
    "null-island-42aa", "order-annulled-7", "test", "x", "7", "0x1f", "order-81f2c0aa", "V1StGXR8_Z5jdHi6B-",
    "banana", "none-such", "unknown-7", "orderundefined", "nil-4", "0001", "8f14e45f-ceea-467f-9b1a-0242ac120002",
    "a/b", "-1", "NAV-1", "true-north", "undefined" * 20,
)
# fmt: on


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_a_placeholder_is_no_id(value: object) -> None:
    """A word for nothing, signs and zeros, a name without its value, and what was to be filled in."""
    assert ids.stated(value) is None


def test_what_merely_contains_such_a_word_is_an_id() -> None:
    """An id is kept as it is, a number as its digits."""
    assert [ids.stated(value) for value in SOME] == list(SOME)
    assert (ids.stated(17), ids.stated(1.5)) == ("17", "1.5")
