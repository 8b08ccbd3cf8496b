"""Room for messages: what is read and held never exceeds what there is, and who sends small ones waits for no large."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.errors import NotNow
from collector.receive import room as rooms
from collector.receive.room import Place, Room

MOST, LARGEST = 1_200, 300
CALLS = st.lists(
    st.tuples(
        st.sampled_from("abcd"), st.sampled_from([0, 1, 10, 37, 38, 100, 299, 300]), st.integers(0, 3), st.booleans()
    ),
    max_size=60,
)


def gives(size: int, pauses: int = 0) -> Callable[[], Awaitable[bytes]]:
    """Return what reads a message of *size* bytes after so many turns of the loop."""

    async def read() -> bytes:
        for _ in range(pauses):
            await asyncio.sleep(0)
        return bytes(size)

    return read


async def never() -> bytes:
    """Read a message that does not come."""
    await asyncio.sleep(60)
    return b""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* in a loop of its own."""
    asyncio.run(main)


@given(CALLS)
def test_no_more_is_read_and_held_than_there_is_room_for(calls: list[tuple[str, int, int, bool]]) -> None:
    """Whatever comes in whatever order, given up or not: places and messages never exceed the room, none holds another
    message than its own, and in the end all of it is free again.
    """

    async def main() -> None:
        room = Room(MOST, LARGEST)
        assert room.largest == LARGEST
        taken: dict[Place, int] = {}

        async def call(sender: str, size: int, pauses: int) -> None:
            place = await room.enter(sender, 5)
            taken[place] = room.largest
            assert sum(taken.values()) <= MOST
            try:
                taken[place] = len(await place.read(gives(size, pauses), 5))
                assert taken[place] == size
                await gives(0, pauses)()
            except NotNow:
                assert size > room.small
            finally:
                del taken[place]
                place.leave()

        tasks = []
        for sender, size, pauses, give_up in calls:
            tasks.append(asyncio.create_task(call(sender, size, pauses)))
            await gives(0, pauses)()
            if give_up:
                tasks[len(tasks) // 2].cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), ended
        for _ in range(2):
            places = [await room.enter(sender, 0) for sender in ("new", "other")]
            for place in places:
                place.leave()

    run(main())


def test_who_sends_small_messages_waits_for_no_large_ones() -> None:
    """However many large ones are read, held and waited for, by one sender or by many."""

    async def main() -> None:
        room = Room(MOST, LARGEST)

        async def small() -> None:
            place = await room.enter("small", 0)
            await place.read(gives(room.small), 1)
            place.leave()

        async def large(sender: str) -> None:
            place = await room.enter(sender, 5)
            try:
                await place.read(gives(LARGEST, 3), 5)
                await asyncio.sleep(0.01)
            finally:
                place.leave()

        await small()
        for sender in "abcd":
            await large(sender)
        tasks = [asyncio.create_task(large(sender)) for sender in "aaaaaaaabbbbcccd"]
        while not all(task.done() for task in tasks):
            await small()
            await asyncio.sleep(0)

    run(main())


def test_who_is_not_known_yet_may_use_the_place_for_small_ones() -> None:
    """Where all the rest is taken; a large message read there stays in that place until it is answered, and its sender
    waits for room from then on.
    """

    async def main() -> None:
        room = Room(MOST, LARGEST)
        held = [await room.enter(sender, 0) for sender in "ab"]
        new = await room.enter("new", 0)
        assert len(await new.read(gives(LARGEST), 1)) == LARGEST
        for other in ("new", "newer"):
            with pytest.raises(NotNow, match="in flight"):
                await room.enter(other, 0)
        new.leave()
        with pytest.raises(NotNow, match="in flight"):
            await room.enter("new", 0)
        (await room.enter("newer", 0)).leave()
        held[0].leave()
        (await room.enter("new", 0)).leave()

    run(main())


def test_senders_have_their_turn_one_after_the_other() -> None:
    """Who comes with one message waits for one of each other sender, however many those have waiting."""

    async def main() -> None:
        room = Room(MOST, LARGEST)
        for sender in ("many", "few"):
            place = await room.enter(sender, 0)
            await place.read(gives(LARGEST), 1)
            place.leave()
        served: list[str] = []
        holding = [await room.enter("many", 0) for _ in range(1)]

        async def call(sender: str) -> None:
            place = await room.enter(sender, 5)
            served.append(sender)
            await asyncio.sleep(0)
            place.leave()

        tasks = [asyncio.create_task(call(sender)) for sender in ["many"] * 9 + ["few"]]
        await asyncio.sleep(0)
        for place in holding:
            place.leave()
        await asyncio.gather(*tasks)
        assert served.index("few") <= 2
        assert served.count("many") == 9

    run(main())


def test_a_message_may_take_its_time_until_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then who has read for longest is told to come back, and the place goes on to who waits."""
    monkeypatch.setattr(rooms, "_PATIENCE_S", dict.fromkeys(rooms._PATIENCE_S, 0.05))
    monkeypatch.setattr(rooms, "_PATIENCE_APART_S", dict.fromkeys(rooms._PATIENCE_APART_S, 0.05))

    async def main() -> None:
        room = Room(MOST, LARGEST)
        slow = [asyncio.create_task((await room.enter(f"slow {i}", 0)).read(never, 60)) for i in range(2)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in slow)
        apart = await room.enter("third", 0)
        slow.append(asyncio.create_task(apart.read(never, 60)))
        await asyncio.sleep(0)
        waits = asyncio.create_task(room.enter("new", 5))
        with pytest.raises(NotNow, match="slowly"):
            await slow[2]
        apart.leave()
        (await waits).leave()
        for task in slow[:2]:
            with pytest.raises(NotNow, match="slowly"):
                await task

    run(main())


def test_a_message_has_only_so_long() -> None:
    """Waited for or not, reading and waiting end with NotNow."""

    async def main() -> None:
        room = Room(MOST, LARGEST)
        places = [await room.enter("a", 0) for _ in range(3)]
        with pytest.raises(NotNow, match="in flight"):
            await room.enter("b", 0.01)
        with pytest.raises(NotNow, match="slowly"):
            await places[0].read(never, 0.01)
        places[0].leave()
        (await room.enter("b", 0)).leave()

    run(main())


def test_the_line_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all turns are given, who has most loses its last one to who has fewer; who has most itself is refused."""
    monkeypatch.setattr(rooms, "_WAITING", dict.fromkeys(rooms._WAITING, 4))

    async def main() -> None:
        room = Room(MOST, LARGEST)
        places = [await room.enter("a", 0) for _ in range(3)]
        many = [asyncio.create_task(room.enter("many", 5)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(NotNow, match="in flight"):
            await room.enter("many", 5)
        few = asyncio.create_task(room.enter("few", 5))
        await asyncio.sleep(0)
        with pytest.raises(NotNow, match="in flight"):
            await many[3]
        for place in places:
            place.leave()
        for waited in (*many[:3], few):
            (await waited).leave()

    run(main())
