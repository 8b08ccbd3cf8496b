"""Who makes room: over any order of events, the connection that waits longest and nobody who is being answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.receive.seats import Seats

EVENTS = st.lists(st.tuples(st.sampled_from(["come", "ask", "answered", "gone"]), st.integers(0, 999), st.floats(0, 2)))


class Guest:
    """A connection, and since when it waits; None while it is being answered."""

    def __init__(self) -> None:
        self.since: float | None = 0.0
        self.left = False

    def leave(self) -> None:
        """End."""
        self.left = True


@given(EVENTS, st.integers(1, 5))
def test_who_waits_longest_makes_room_and_who_is_answered_never(
    events: list[tuple[str, int, float]], most: int
) -> None:
    """No seat is ever taken from one that is answered or from one that waits shorter than one that stays; who has
    settled never keeps another out.
    """
    now = 0.0
    seats = Seats(most, lambda: now)
    guests: list[Guest] = []
    for event, which, pause in events * 20:
        now += pause if which % 3 == 0 else 0.0  # many come at once
        if event == "come" and not seats.full:
            seats.make_room()
            guests.append(new := Guest())
            new.since = now
            seats.wait(new)
        elif guests and event != "come":
            guest = guests[which % len(guests)]
            if event == "ask":
                seats.answer(guest)
                guest.since = None
            elif event == "answered":
                seats.wait(guest)
                guest.since = now
            else:
                seats.left(guest)
                guests.remove(guest)
        gone = [g for g in guests if g.left]
        guests = [g for g in guests if not g.left]
        waiting = [g.since for g in guests if g.since is not None]
        for g in gone:
            assert g.since is not None
            assert all(g.since <= other for other in waiting)
        assert len(guests) <= most + 64
        assert seats.crowded(Guest()) == (sum(g.since is None for g in guests) >= most)
        assert not (seats.full and waiting and now - min(waiting) > 1)


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(0, 40))
def test_what_came_ahead_is_answered_a_few_at_a_time_and_in_turn(answered: list[int], gone: int) -> None:
    """However many sent requests ahead, few are answered at once, nobody is passed over, and nobody holds a seat."""
    seats = Seats(1_000)
    guests = [Guest() for _ in range(41)]
    at_work: list[Guest] = []
    for guest in guests:
        seats.follow(guest, lambda guest=guest: at_work.append(guest))
    begun = len(at_work)
    assert 0 < begun < 41
    assert at_work == guests[:begun]
    for which in answered:
        if len(at_work) > which and not at_work[which].left:
            guest = at_work.pop(which)
            seats.follow(guest, lambda guest=guest: at_work.append(guest))
            assert len(at_work) == begun
    seats.left(guests[gone])
    left = [g for g in at_work if g is not guests[gone]]
    while left:
        done = left.pop(0)
        at_work.remove(done)
        seats.wait(done)
        left = [g for g in at_work if g is not guests[gone]]
        assert len(left) <= begun
    assert not seats.crowded(Guest())
