"""Stopping and starting: whatever is being worked out, in every order, twice on one directory, on ports that are taken.

`make faults` tries every signal with every process stopped, moments of a start by the dozen, and the other commands.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psutil
import pytest
from oracle import Oracle
from senders import Load
from stack import RUNWELL, Stack, running, until

from tests.length import SEED, longer

pytestmark = pytest.mark.faults

LIMIT_S = 5.0
"""From the first signal until nothing of the tree is left."""
ROLES = ("gate", "receive", "store")
TWICE = {"SIGTERM": (signal.SIGTERM,) * 2, "SIGINT": (signal.SIGINT,) * 2, "SIGKILL": (signal.SIGKILL,)}
WAYS: list[tuple[str, str | None]] = [("SIGTERM", "gate")]
"""What is sent to the supervisor, and which of its children cannot hear because it is stopped."""
# A stopped child of a supervisor that was killed is told by nobody.
WAYS_LONG = [("SIGKILL", None), *((n, r) for n in ("SIGTERM", "SIGINT") for r in (None, *ROLES) if (n, r) not in WAYS)]
SETTINGS = {"RUNWELL_STORE__FLUSH": "PT0.2S", "RUNWELL_STORE__STATISTICS": "PT0.5S"}


@pytest.mark.parametrize(
    ("name", "stopped"), [*WAYS, *(pytest.param(*way, marks=pytest.mark.long("faults")) for way in WAYS_LONG)]
)
def test_the_tree_ends_within_five_seconds_whatever_it_is_doing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, stopped: str | None
) -> None:
    """Once told to stop, twice over, or once its supervisor is killed, every process is gone within 5 s.

    Meanwhile records of all kinds come in, an upload and a question do not end, and a reader does not read. The exit
    code is 0, the log says what was given up, and after the next start, which needs no cleaning up, what was
    acknowledged is there, once.
    """
    oracle = Oracle(SEED)
    with running(tmp_path / "data", env=SETTINGS) as stack:
        for round in range(longer("faults", 1, 3)):
            with Load(oracle, stack.url_now, SEED, pause_s=0.0) as load:
                load.acknowledged_since(time.monotonic(), 30)
                with unending(stack):
                    time.sleep(Random(f"{SEED}/{name}/{stopped}").uniform(0.5, longer("faults", 1, 6)))
                    tree = [psutil.Process(stack.process.pid), *_children(stack.process.pid)]
                    if stopped:
                        os.kill(stack.child(stopped).pid, signal.SIGSTOP)
                    begun = time.monotonic()
                    for number in TWICE[name]:
                        stack.process.send_signal(number)
                        time.sleep(0.2)
                    code = stack.process.wait(30)
                    until(lambda: not _working(tree), seconds=30, why="the tree to end")  # noqa: B023 -- at once
                    took = time.monotonic() - begun
                    with capsys.disabled():
                        print(f"\n{name}, {stopped} stopped: down in {took:.2f} s", file=sys.stderr)
                    assert took < LIMIT_S
                    assert code == (-signal.SIGKILL if name == "SIGKILL" else 0)
                    assert name == "SIGKILL" or not (stack.data / "runwell.json").exists()
                    ended = [x for x in log_lines(stack.data) if x.get("exit_code") is not None]
                    assert {x["message"] for x in ended} <= {"process_stop_failed"}, "a process ended of itself"
                    assert [x["child"] for x in ended].count(stopped) == (round + 1 if stopped else 0)
                stack.again()
                load.acknowledged_since(time.monotonic(), 60)
            until(lambda: stack.client.status(), why="the read API")
        stack.applied()
        oracle.judge(stack.client)


@contextlib.contextmanager
def unending(stack: Stack) -> Iterator[None]:
    """Ask what takes for ever to answer, send what never ends, and do not read what comes."""
    http, api, reader = (
        socket.create_connection(("127.0.0.1", stack.ports[name]), timeout=30) for name in ("http", "api", "api")
    )
    with http, api, reader:
        http.sendall(_post("/v1/logs", "application/x-protobuf", b"\x0a", length=10_000_000))
        slow = b'{"sql": "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"}'
        api.sendall(_post("/api/v1/sql", "application/json", slow))
        many = b'{"sql": "SELECT i, repeat(chr(97), 900) AS t FROM range(9000) r(i)"}'
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(_post("/api/v1/sql", "application/json", many))
        yield


def _post(path: str, kind: str, body: bytes, *, length: int | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _working(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return which of *processes* have not ended; those that have may wait for somebody who takes their exit code."""
    working = []
    for p in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if p.is_running() and p.status() != psutil.STATUS_ZOMBIE:
                working.append(p)
    return working


def _ends(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send signal *number*, see the whole tree end in time, with 0 but where its first process was still loading."""
    tree = _children(process.pid)
    begun = time.monotonic()
    process.send_signal(number)
    code = process.wait(30)
    until(lambda: not _working(tree), seconds=30, why="the tree to end")
    assert time.monotonic() - begun < LIMIT_S
    assert code == 0 or (not tree and code in (-signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGINT))


def test_a_start_is_broken_off_at_any_moment(tmp_path: Path) -> None:
    """SIGTERM at any moment of a start ends all there is by then within 5 s, with 0 once runwell heeds signals.

    The next start needs no cleaning up.
    """
    random = Random(SEED)
    most_s = 2.5
    for _ in range(longer("faults", 1, 25)):
        data = tmp_path / "data"
        command = [
            str(RUNWELL),
            "serve",
            "--data",
            str(data),
            "--http-port",
            "0",
            "--grpc-port",
            "0",
            "--api-port",
            "0",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, most_s))
        _ends(process, signal.SIGTERM)
    with running(tmp_path / "data") as stack:
        assert stack.client.status()["journal_seq"] == 0


@pytest.mark.long("faults")
@pytest.mark.parametrize("verb", ["up", "demo", "serve --only receive", "serve --only store", "dashboard"])
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long("faults"))])
def test_every_command_that_stays_ends_when_told(tmp_path: Path, verb: str, number: signal.Signals) -> None:
    """Each command that runs until it is told to stop ends its whole tree within 5 s, at any moment, with 0."""
    random = Random(f"{SEED}/{verb}")
    ports = [] if verb == "dashboard" else ["--http-port", "0", "--grpc-port", "0", "--api-port", "0"]
    if verb in ("up", "demo", "dashboard"):
        ports += ["--dashboard-port", "0"]
    for most_s in (3.0, 8.0, 20.0):
        command = [str(RUNWELL), *verb.split(), "--data", str(tmp_path / "data"), *ports]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(2.0, most_s))
        _ends(process, number)


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
