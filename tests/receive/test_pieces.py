"""Who is looked at next."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from collector.receive.pieces import _BUDGET_S, Pieces


class Sender:
    """A connection whose pieces each take so many seconds of an invented clock."""

    def __init__(self, time: list[float], pieces: int, piece_s: float, seen: list[Sender]) -> None:
        self.time, self.left, self.piece_s, self.seen = time, pieces, piece_s, seen

    def piece(self) -> bool:
        """Look at a piece."""
        if self.left:
            self.time[0] += self.piece_s
            self.left -= 1
            self.seen.append(self)
        return bool(self.left)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 0.003)), max_size=12))
def test_pieces_are_looked_at_in_turns_and_a_turn_is_short(sent: list[tuple[int, float]]) -> None:
    """Everything is looked at; between two pieces of one connection stands one of each that waits, and no turn of the
    loop takes longer than the budget and a piece.
    """
    time, seen, turns = [0.0], [], []

    async def run() -> None:
        pieces = Pieces(lambda: time[0])
        senders = [Sender(time, n, s, seen) for n, s in sent]
        for sender in senders:
            pieces.come(sender)
        in_line = [s for s in senders if s.left]
        begun = len(seen)
        while any(s.left for s in senders):
            before = time[0]
            await asyncio.sleep(0)
            turns.append(time[0] - before)
        rounds = seen[begun:]
        for i, sender in enumerate(rounds):
            since = rounds[i + 1 : next((j for j in range(i + 1, len(rounds)) if rounds[j] is sender), i)]
            waited = [s for s in in_line if s is not sender and s in rounds[i:]]
            assert not since or {*waited} <= {*since}

    asyncio.run(run())
    assert len(seen) == sum(n for n, _ in sent)
    longest = max((s for _, s in sent), default=0)
    assert all(turn <= _BUDGET_S + longest for turn in turns)
