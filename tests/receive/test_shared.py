"""What all ask for, under a crowd."""

from __future__ import annotations

import asyncio

from collector.receive.shared import Shared


def test_a_crowd_costs_no_more_than_a_few_and_everybody_reads_what_is_true_after_asking() -> None:
    """However many ask, and even if some give up, it is written a few times; nobody reads what was true before."""
    now = written = 0

    async def make() -> int:
        nonlocal written
        written += 1
        at = now
        await asyncio.sleep(0)
        return at

    async def crowd() -> None:
        nonlocal now
        shared = Shared(make, 0.05)

        async def ask(turns: int) -> None:
            for _ in range(turns):
                asked = now
                assert await shared.get() >= asked

        asking = [asyncio.create_task(ask(3)) for _ in range(300)]
        for gone in asking[::7]:
            await asyncio.sleep(0)
            now += 1
            gone.cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert sum(isinstance(r, asyncio.CancelledError) for r in results) == len(asking[::7])
        assert not [r for r in results if isinstance(r, AssertionError)]

    asyncio.run(crowd())
    assert written <= 5
