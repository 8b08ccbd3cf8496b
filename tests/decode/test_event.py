"""The message format `{operation}_{phase}`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode.event import NONE, event

WORD = st.from_regex(r"[a-z0-9]+", fullmatch=True)
NAME = st.lists(WORD, min_size=1, max_size=4).map("_".join)


@given(NAME, st.sampled_from(["started", "validating", "completed", "failed"]))
def test_an_operation_and_a_phase_are_told_apart(operation: str, phase: str) -> None:
    """The phase is the last word, whatever words the operation has, phases among them."""
    assert event(f"{operation}_{phase}") == (operation, phase, None)


@given(NAME, NAME)
def test_a_call_names_its_service(operation: str, service: str) -> None:
    """`_calling_{service}` splits at its first occurrence and keeps the service whole, unless a phase ends it."""
    body = f"{operation}_calling_{service}"
    parts = event(body)
    if body.rsplit("_", 1)[1] in ("started", "validating", "completed", "failed"):
        assert parts == (body.rsplit("_", 1)[0], body.rsplit("_", 1)[1], None)
    else:
        assert parts[1] == "calling"
        assert f"{parts[0]}_calling_{parts[2]}" == body
        assert "_calling_" not in str(parts[0])


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_whatever_is_read_is_what_was_written(body: str) -> None:
    """A text with nothing unseen in it is either exactly in the format or none of it."""
    operation, phase, service = event(body)
    if operation is None:
        assert (phase, service) == (None, None)
    else:
        assert body == (f"{operation}_calling_{service}" if phase == "calling" else f"{operation}_{phase}")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "started",
        "_started",
        "order_",
        "Order_started",
        "order started",
        "order__started",
        "order-process_started",
        "order_calling_",
        "_calling_stripe",
        "calling_stripe",
        "order_process_finished",
        "bestellung_größe_started",
        "order_process_started: 12",
        '{"event":"order_started"}',
    ],
)
def test_other_texts_are_in_no_phase(body: str) -> None:
    """Capitals, spaces, hyphens, empty words, unknown phases and texts around the format are ordinary messages."""
    assert event(body) == NONE


def test_a_message_of_many_calls_is_read_at_once() -> None:
    """Only the first one can be the split, however long what follows is."""
    assert event("a_calling_" * 100_000 + "b") == ("a", "calling", "a_calling_" * 99_999 + "b")
    assert event("a_calling_" * 100_000 + "!") == (None, None, None)
