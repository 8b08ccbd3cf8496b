"""Everything at once: strangers of every kind, bombs, hostile SQL and kills, beside those who only do their work.

`make chaos` runs twelve rounds of five minutes; RUNWELL_TEST_SEED repeats one.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import httpx
import pytest
from healthy import Team, judge
from hostile import DEEDS, Stranger
from oracle import Oracle
from senders import Load
from stack import running, until
from test_kill import SETTINGS, kill

from bench.footprint import MIB, Footprint
from collector.settings import Settings
from tests.length import ASKED, SEED, longer, tally

pytestmark = pytest.mark.faults

SECONDS = longer("chaos", 6, 300)
QUICK = {
    name: SETTINGS[name] for name in ("RUNWELL_STORE__FLUSH", "RUNWELL_STORE__CHECKPOINT", "RUNWELL_JOURNAL__FREE_DISK")
}
DEFECTS = ("500", "INTERNAL", "UNKNOWN")
"""Answers that nobody may get, whatever was sent."""
ROLES = ("receive", "receive", "store", "store", "gate", "both")


@pytest.mark.parametrize("round", range(longer("chaos", 1, 12)))
def test_whatever_strangers_do_and_whatever_dies_those_who_do_their_work_notice_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], round: int
) -> None:
    """Every acknowledged record is stored once, every healthy run is right, `readyz` is green, memory stays within its
    promise, no statement had to be ended for its memory, and nobody was told of a defect."""
    seed = SEED + round
    random = Random(f"{seed}/kills")
    done = {kind: Counter[str]() for kind in DEEDS}
    kills: Counter[str] = Counter()
    with capsys.disabled():
        print(f"\nRUNWELL_TEST_SEED={seed}: {SECONDS} s of chaos", file=sys.stderr)
    with running(tmp_path / "data", env=QUICK) as stack, Footprint(stack.process.pid) as footprint:
        strangers = [Stranger(kind, stack.url_now, seed, done[kind]) for kind in DEEDS]
        team, oracle = Team(stack.url_now, seed), Oracle(seed)
        with Load(oracle, stack.url_now, seed, pause_s=0.2):
            for one in (*strangers, team):
                one.start()
            until_s = time.monotonic() + SECONDS
            while time.monotonic() < until_s:
                time.sleep(random.uniform(2, 12) if ASKED else random.uniform(2, 6))
                role = random.choice(ROLES)
                kill(stack, role)
                kills[role] += 1
            for one in (*strangers, team):
                one.stopped.set()
            for one in (*strangers, team):
                one.join(timeout=120)
                assert not one.is_alive(), f"{one.name} never came back"
                if one.failure:
                    raise one.failure
        stack.applied(seconds=300)
        until(lambda: httpx.get(f"{stack.url('api')}/readyz").is_success, seconds=60, why="readyz")
        status = stack.client.status()
        assert (status["damaged_groups"], status["lost_groups"], status["set_aside"]) == (0, 0, [])
        assert (status["writer"], status["failing_jobs"]) == ("", {})
        assert (status["ended_statements_count"], status["ended_statements"]) == (0, [])
        assert footprint.peak <= Settings().parts.promise, footprint.at_peak
    assert not [(k, o) for k, outcomes in done.items() for o in outcomes if o in DEFECTS], done
    # A look at all rows at once is more than anybody may ask for by default.
    with running(tmp_path / "data", env=SETTINGS) as stack:
        counts = oracle.judge(stack.client)
        judge(stack.client, team.kept)
    told = {
        "kills": dict(kills),
        "deeds": {kind: dict(outcomes) for kind, outcomes in done.items()},
        "records": counts["records"],
        "runs": len(team.kept),
        "peak_mib": footprint.peak // MIB,
    }
    tally(told)
    with capsys.disabled():
        print(json.dumps(told), {role: size // MIB for role, size in footprint.peaks.items()}, file=sys.stderr)
