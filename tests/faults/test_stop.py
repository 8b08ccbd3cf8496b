"""Stopping and starting: under load, twice on one directory, on ports that are taken."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from oracle import Oracle
from senders import Load
from stack import RUNWELL, running, until

pytestmark = pytest.mark.faults


def test_stopping_under_load_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGTERM under load: requests under way are finished, others refused with a delay, and all processes end with 0.

    The next start on the same directory and ports needs no cleaning up.
    """
    oracle = Oracle(7)
    with running(tmp_path / "data") as stack:
        with Load(oracle, stack.url_now, 7, pause_s=0.0) as load:
            load.acknowledged_since(time.monotonic(), 30)
            begun = time.monotonic()
            stack.process.send_signal(signal.SIGTERM)
            assert stack.process.wait(30) == 0
            took = time.monotonic() - begun
            assert not (stack.data / "runwell.json").exists()
            stack.again()
            load.acknowledged_since(time.monotonic(), 60)
        until(lambda: stack.client.status(), why="the read API")
        stack.applied()
        counts = oracle.judge(stack.client)
        ends = [line for line in log_lines(stack.data) if line.get("exit_code") is not None]
        assert not ends, "a process did not end by itself"
    with capsys.disabled():
        print(f"\nSIGTERM under load: down in {took:.2f} s, {counts}", file=sys.stderr)


def test_a_second_instance_gives_way(tmp_path: Path) -> None:
    """A second runwell on a directory or port that is taken says so in one sentence, exits with 2 and harms nothing."""
    with running(tmp_path / "data") as stack:
        before = stack.addresses

        def second(*options: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(RUNWELL), "serve", "--api-port", "0", *options],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        same = second("--data", str(stack.data), "--http-port", "0", "--grpc-port", "0")
        assert same.returncode == 2
        assert f"--data {stack.data}: another runwell (receive) is using it" in same.stderr
        assert len(same.stderr.strip().splitlines()) == 1
        other = ("--data", str(tmp_path / "other"))
        taken = second(*other, "--http-port", str(stack.ports["http"]), "--grpc-port", "0")
        assert taken.returncode == 2
        assert f"--http-port {stack.ports['http']}: already in use" in taken.stderr
        taken = second(*other, "--http-port", "0", "--grpc-port", str(stack.ports["grpc"]))
        assert taken.returncode == 2
        assert f"--grpc-port {stack.ports['grpc']}: already in use" in taken.stderr
        assert stack.addresses == before
        assert stack.client.status()["journal_seq"] >= 0


def log_lines(data: Path) -> list[dict[str, object]]:
    """Return the product's own log."""
    text = data.with_name(f"{data.name}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
