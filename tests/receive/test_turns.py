"""Whoever has had least is next: by address, and by connection within it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.receive.turns import Turns, Who

LIGHT, HEAVY = Who("a", "light"), Who("a", "heavy")


def served(turns: Turns[Who], cost: dict[Who, float], count: int) -> list[Who]:
    """Return whose turn it was, *count* times; each turn costs what it does for whose it is."""
    order = []
    for _ in range(count):
        who = turns.take()
        turns.charge(who, cost[who])
        order.append(who)
    return order


def test_who_sends_little_waits_for_one_other_at_most() -> None:
    """However much another has waiting and over however many connections, once it has been served at all."""
    turns: Turns[Who] = Turns()
    flood = [Who("a", f"flood{n}") for n in range(50)]
    cost = {LIGHT: 1.0, **dict.fromkeys(flood, 100.0)}
    for who in flood * 4:
        turns.put(who, who)
    served(turns, cost, 50)
    for _ in range(20):
        turns.put(LIGHT, LIGHT)
        assert LIGHT in served(turns, cost, 2)
        turns.put(flood[0], flood[0])


def test_addresses_share_alike_however_many_connections_each_has() -> None:
    """Ten connections of one address together have as much as the one of another."""
    turns: Turns[Who] = Turns()
    alone, many = Who("b", "only"), [Who("a", f"{n}") for n in range(10)]
    for who in [alone] * 200 + many * 20:
        turns.put(who, who)
    had = Counter(who.address for who in served(turns, dict.fromkeys([alone, *many], 7.0), 100))
    assert had == {"a": 50, "b": 50}


def test_cost_counts_and_not_the_number_of_requests() -> None:
    """Who sends what costs ten times as much has a tenth as many turns; a pause gives nobody much more than that."""
    turns: Turns[Who] = Turns()
    for who in [LIGHT] * 1_000 + [HEAVY] * 1_000:
        turns.put(who, who)
    cost = {LIGHT: 10_000.0, HEAVY: 100_000.0, Who("a", "late"): 10_000.0}
    assert 98 <= Counter(served(turns, cost, 110))[LIGHT] <= 102
    late = Who("a", "late")
    for _ in range(500):
        turns.put(late, late)
    assert 50 <= Counter(served(turns, cost, 100))[late] <= 65


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(-5, 1e6)), max_size=60))
def test_everything_is_served_once_and_of_each_in_order(puts: list[tuple[int, int, float]]) -> None:
    """Whatever the costs, and whatever comes in between."""
    turns: Turns[tuple[Who, int]] = Turns()
    taken: list[tuple[Who, int]] = []
    for number, (address, connection, cost) in enumerate(puts):
        who = Who(str(address), str(connection))
        turns.put(who, (who, number))
        if number % 3 == 2:
            taken.append(turns.take())
            turns.charge(taken[-1][0], cost)
    taken += turns.clear()
    assert sorted(number for _, number in taken) == list(range(len(puts)))
    for who in {who for who, _ in taken}:
        numbers = [number for whose, number in taken if whose == who]
        assert numbers == sorted(numbers)
    assert len(turns) == 0
    with pytest.raises(IndexError):
        turns.take()
