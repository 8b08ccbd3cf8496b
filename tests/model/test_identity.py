"""Keys of runs, resources and scopes: different parts never give one key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.model.identity import content_id, run_key

part = st.sampled_from(["", "a", "aa", "1:"])
parts = st.tuples(part, part, part, part, part)
told = st.lists(st.none() | part, max_size=3)


@given(parts, parts)
def test_a_run_is_known_by_every_part_of_its_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Project, dialect, environment, scope and run id, wherever the text of one ends and of the next begins."""
    assert (run_key(*one) == run_key(*other)) == (one == other)


@given(told, told)
def test_what_says_something_else_has_another_id(one: list[str | None], other: list[str | None]) -> None:
    """None is no empty text, and the order of parts counts."""
    assert (content_id(*one) == content_id(*other)) == (one == other)
