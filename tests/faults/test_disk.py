"""A full disk: refused with a delay, nothing lost, and everything goes on by itself when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from oracle import Oracle
from senders import Sender
from stack import Stack, running, until

from collector.cli import root
from collector.control import refusals

pytestmark = pytest.mark.faults

SETTINGS = {
    "RUNWELL_STORE__CHECKPOINT": "PT0.5S",
    "RUNWELL_STORE__QUERY_ROWS": "10000000",
    "RUNWELL_STORE__QUERY_SIZE": "4GiB",
}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 48 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def fill(directory: Path, leave: int) -> Path:
    """Write a file so large that *leave* bytes stay free."""
    ballast = directory / "ballast"
    with ballast.open("wb") as file:
        while (free := free_bytes(directory)) > leave:
            file.write(bytes(min(65_536, free - leave)))
            file.flush()
    return ballast


def free_bytes(directory: Path) -> int:
    """Return the bytes free in a file system."""
    import shutil

    return shutil.disk_usage(directory).free


def deliver(stack: Stack, sender: Sender, oracle: Oracle, count: int) -> int:
    """Send *count* requests once each; return how many were acknowledged."""
    acknowledged = 0
    for _ in range(count):
        request = oracle.issue("http", "protobuf", False)
        if sender.send(request):
            oracle.acknowledge(request)
            acknowledged += 1
    return acknowledged


def answer(stack: Stack) -> int:
    """Return what a request gets, 503 with a delay if it is refused."""
    said = httpx.post(f"{stack.url('http')}/v1/logs", json={}, trust_env=False)
    if said.status_code == 503:
        assert 1 <= int(said.headers["retry-after"]) <= 5
    return said.status_code


def test_below_the_free_space_that_is_asked_for_requests_are_refused(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With less than journal.free_disk free, requests get 503 and a delay, doctor says why; later they are taken."""
    oracle = Oracle(11)
    with running(small / "data", env={**SETTINGS, "RUNWELL_JOURNAL__FREE_DISK": "8MiB"}) as stack:
        sender = Sender(stack.url_now, "http")
        assert deliver(stack, sender, oracle, 20) == 20
        ballast = fill(small, 4 * 2**20)
        until(lambda: answer(stack) == 503, why="a refusal")
        assert deliver(stack, sender, oracle, 3) == 0
        capsys.readouterr()
        assert root.run(["doctor", "--data", str(stack.data)]) == 1
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "receive refuses" in line]
        assert "503 at /readyz: disk is nearly full" in line
        assert "make room on the disk" in line
        # A checkpoint that found no room ended the store; the next one answers.
        assert until(lambda: stack.client.status()["rows"], why="questions to be answered")["logs"] >= 0
        ballast.unlink()
        until(lambda: answer(stack) == 200, why="requests to be taken again")
        assert deliver(stack, sender, oracle, 20) == 20
        stack.applied()
        remembered = until(lambda: refusals.read(stack.data / "control.sqlite")[0], why="the refusals to be kept")
        assert {(r.reason, r.look) for r in remembered} == {("unavailable", "exporter")}
        assert sum(r.count for r in remembered) >= 3
        oracle.judge(stack.client)


def test_a_journal_that_was_full_takes_requests_again_once_all_is_stored(tmp_path: Path) -> None:
    """It waits for the store, and not for the time at which the store would have made its file safe anyhow."""
    full = {"RUNWELL_JOURNAL__FULL_SIZE": "1MiB", "RUNWELL_JOURNAL__KEEP_SIZE": "1MiB"}
    with running(tmp_path / "data", env={**full, "RUNWELL_STORE__CHECKPOINT": "PT1H"}) as stack:
        store = stack.child("store")
        store.suspend()
        try:

            def fill_up() -> bool:
                text = os.urandom(60_000).hex()
                record = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": text}}]}]}]}
                return httpx.post(f"{stack.url('http')}/v1/logs", json=record, trust_env=False).status_code == 503

            until(fill_up, why="a journal that is full")
        finally:
            store.resume()
        until(lambda: answer(stack) == 200, seconds=20, why="requests to be taken again")


def test_a_disk_that_is_full_to_the_last_byte_costs_nothing(small: Path) -> None:
    """Full during journal writes, applying, checkpoints: what was acknowledged is kept once, and it goes on after."""
    oracle = Oracle(12)
    with running(small / "data", env={**SETTINGS, "RUNWELL_JOURNAL__FREE_DISK": "1B"}) as stack:
        sender = Sender(stack.url_now, "http")
        assert deliver(stack, sender, oracle, 20) == 20
        ballast = fill(small, 0)
        until(lambda: deliver(stack, sender, oracle, 5) < 5, why="a full disk")
        ballast.unlink()
        until(lambda: answer(stack) == 200, why="requests to be taken again")
        assert deliver(stack, sender, oracle, 20) == 20
        ballast = fill(small, 300_000)  # room for the journal, not for a checkpoint
        deliver(stack, sender, oracle, 60)
        ballast.unlink()
        until(lambda: answer(stack) == 200, why="requests to be taken again")
        assert deliver(stack, sender, oracle, 5) == 5
        stack.applied()
        oracle.judge(stack.client)
        status = stack.client.status()
        assert (status["damaged_groups"], status["lost_groups"], status["set_aside"]) == (0, 0, [])
