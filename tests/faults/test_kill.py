"""Processes killed at random moments under load, judged by an oracle outside.

A seed is printed; RUNWELL_TEST_SEED repeats it. `make chaos` runs ten rounds of 20 kills.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import psutil
import pytest
from oracle import Oracle
from recompute import same_from_scratch
from senders import Load, Sender
from stack import Stack, running, until

from tests.length import SEED, longer

pytestmark = pytest.mark.faults

KILLS = longer("chaos", 5, 20)
TARGETS = ("receive", "store") * 7 + ("both",) * 3 + ("gate",) * 2 + ("supervisor",)
SETTINGS = {
    "RUNWELL_STORE__FLUSH": "PT0.2S",
    "RUNWELL_STORE__CHECKPOINT": "PT0.5S",
    "RUNWELL_STORE__QUERY_ROWS": "10000000",
    "RUNWELL_STORE__QUERY_SIZE": "4GiB",
    "RUNWELL_STORE__QUERY_TIME": "PT120S",
    "RUNWELL_JOURNAL__FREE_DISK": "1MiB",
}


@pytest.mark.parametrize("round", range(longer("chaos", 1, 10)))
def test_nothing_acknowledged_is_lost_or_stored_twice_whatever_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], round: int
) -> None:
    """Any process may be killed at any moment: what was acknowledged is stored once, as sent, and makes the same runs.

    Afterwards a new request is acknowledged within 5 s and can be queried within 10 s.
    """
    seed = SEED + round
    random = Random(seed)
    oracle = Oracle(seed)
    roles = [*dict.fromkeys(TARGETS)]
    more = [*(Counter(TARGETS) - Counter(roles)).elements()]
    deck = [*roles, *random.sample(more, KILLS - len(roles))]
    random.shuffle(deck)
    recovered_s: dict[str, list[float]] = {"receive": [], "store": []}
    with capsys.disabled():
        print(f"\nRUNWELL_TEST_SEED={seed}: {KILLS} kills", file=sys.stderr)

    with running(tmp_path / "data", env=SETTINGS) as stack:
        load = Load(oracle, stack.url_now, seed)
        with load:
            for target in deck:
                if random.random() < 0.8:  # else the next kill hits while the last is being recovered from
                    _settle(stack, load)
                    time.sleep(random.uniform(0, 0.6))
                killed = time.monotonic()
                kill(stack, target)
                if target not in ("store", "gate") and random.random() < 0.7:
                    recovered_s["receive"].append(load.acknowledged_since(killed, 30))
                if target not in ("receive", "gate") and random.random() < 0.7:
                    until(lambda: stack.client.status(), seconds=30, why="the store to answer")
                    recovered_s["store"].append(time.monotonic() - killed)
            _settle(stack, load)
        stack.applied()
        begun = time.monotonic()
        sender, fresh = Sender(stack.url_now, "http"), oracle.issue("http", "json", False)
        assert sender.send(fresh)
        oracle.acknowledge(fresh)
        assert time.monotonic() - begun < 5
        stack.applied(seconds=10)
        counts = oracle.judge(stack.client)
        status = stack.client.status()
    assert stack.process.returncode == 0
    assert (status["damaged_groups"], status["lost_groups"], status["set_aside"]) == (0, 0, [])
    counts |= same_from_scratch(stack.data, tmp_path / "again")
    with capsys.disabled():
        sums = {
            name: f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s"
            for name, times in recovered_s.items()
            if times
        }
        print(dict(Counter(deck)), counts, sums, file=sys.stderr)


def _settle(stack: Stack, load: Load) -> None:
    load.acknowledged_since(time.monotonic(), 30)
    until(lambda: stack.client.status(), seconds=30, why="the store to answer")


def kill(stack: Stack, target: str) -> None:
    """Kill *target*: whichever process of that role there is now."""
    if target == "supervisor":
        children = psutil.Process(stack.process.pid).children()
        stack.process.kill()
        stack.process.wait()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive, "a process outlived its supervisor"
        stack.again()
        return
    for role in ("receive", "store") if target == "both" else (target,):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may be dying already
            os.kill(stack.child(role).pid, signal.SIGKILL)
