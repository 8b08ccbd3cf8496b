"""How long a kill and a stop take under load: `python -m bench.restart DIRECTORY --kills 10 --pause 0.5`.

DIRECTORY is a store, such as `bench.generate` writes; a copy of it is used. Prints Markdown: ratios against the limits
first (receive answers 1 s after a kill, the store 3 s after one, SIGTERM ends everything within 5 s), then seconds, and
where the time of the store goes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.ordinary import RECORDS, Senders

LIMITS_S = {"receive acknowledges after a kill": 1.0, "store answers after a kill": 3.0, "all ended after SIGTERM": 5.0}


class Serve:
    """`runwell serve` on the copy of a store."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._log = data.with_name("log")
        self.start()

    def start(self) -> None:
        """Start it and wait until all ports are known."""
        command = [str(Path(sys.executable).with_name("runwell")), "serve", "--data", str(self.data)]
        ports = [part for name in ("http", "grpc", "api") for part in (f"--{name}-port", "0")]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([*command, *ports], stdout=log, stderr=log)
        where = self.data / "runwell.json"
        _until(lambda: "api" in (addresses := json.loads(where.read_text())) and "http" in addresses)
        addresses = json.loads(where.read_text())
        self.urls = {name: f"http://127.0.0.1:{addresses[name]['port']}" for name in ("http", "api")}

    def child(self, role: str) -> psutil.Process:
        """Return the process of *role* that works; a younger one may stand by."""
        children = psutil.Process(self.process.pid).children()
        return min((p for p in children if f"collector.app.{role}" in p.cmdline()), key=psutil.Process.create_time)

    def told(self, message: str, after: float) -> dict[str, Any]:
        """Return the newest line of the log with *message* since the time *after*; its `at` is in seconds."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if f'"{message}"' in line]
        line = lines[-1] if lines else {"timestamp": "1970-01-01T00:00:00Z"}
        line["at"] = datetime.fromisoformat(line["timestamp"]).timestamp()
        return line if line["at"] >= after else {"at": float("nan")}


def _until(what: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if what():
                return
        except (OSError, ValueError, httpx.TransportError):
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s")
        time.sleep(0.01)


def _answers(url: str) -> bool:
    return httpx.get(f"{url}/api/v1/status", timeout=30, trust_env=False).status_code == 200


def killed(serve: Serve, load: Senders, times: dict[str, list[float]], parts: dict[str, list[float]]) -> None:
    """Kill receive, then the store, and add how long each was away."""
    at = time.monotonic()
    serve.child("receive").kill()
    times["receive acknowledges after a kill"].append(load.since(at))
    time.sleep(2)
    wal = serve.data / "runwell.duckdb.wal"
    parts["write-ahead log, MiB"].append(wal.stat().st_size / 2**20 if wal.exists() else 0.0)
    wall, at = time.time(), time.monotonic()
    serve.child("store").kill()
    _until(lambda: _answers(serve.urls["api"]))
    times["store answers after a kill"].append(time.monotonic() - at)
    began, up = serve.told("store_start_started", wall)["at"], serve.told("store_start_completed", wall)["at"]
    parts["until its modules are imported"].append(began - wall)
    parts["until it is open and listens"].append(up - began)
    parts["until the first answer"].append(wall + times["store answers after a kill"][-1] - up)
    time.sleep(2)


def stopped(serve: Serve, times: dict[str, list[float]]) -> list[str]:
    """Stop everything, add how long that took, and return what was given up."""
    wall, at = time.time(), time.monotonic()
    serve.process.send_signal(signal.SIGTERM)
    if code := serve.process.wait(60):
        raise SystemExit(f"runwell ended with {code}")
    times["all ended after SIGTERM"].append(time.monotonic() - at)
    gone = serve.told("process_stop_failed", wall).get("child")
    return [*serve.told("store_stop_completed", wall).get("unfinished", []), *([f"all of {gone}"] if gone else [])]


def main() -> None:
    """Kill and stop what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds a client waits between two requests")
    args = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in LIMITS_S}
    names = ("until its modules are imported", "until it is open and listens", "until the first answer")
    parts: dict[str, list[float]] = {name: [] for name in (*names, "write-ahead log, MiB")}
    given_up: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="restart-", dir=args.directory.resolve().parent) as temporary:
        data = Path(temporary) / "data"
        shutil.copytree(args.directory, data)
        serve = Serve(data)
        began, sent = time.monotonic(), 0
        try:
            with Senders(serve.urls["http"], clients=args.clients, pause_s=args.pause) as load:
                time.sleep(5)
                for _ in range(args.kills):
                    killed(serve, load, times, parts)
                sent, seconds = load.answered * RECORDS, time.monotonic() - began
            for _ in range(args.stops):
                with Senders(serve.urls["http"], clients=args.clients):
                    time.sleep(8)
                given_up.append(stopped(serve, times))
                serve.start()
        finally:
            if serve.process.poll() is None:
                serve.process.terminate()
                serve.process.wait(60)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}; ", end="")
    print(f"{sent / seconds:,.0f} records/s meanwhile; stops after 8 s of as much as is taken\n")
    print("| what | limit s | median / limit | worst / limit | median s | worst s |\n|---|---|---|---|---|---|")
    for name, took in times.items():
        median, worst, limit = statistics.median(took), max(took), LIMITS_S[name]
        print(f"| {name} | {limit:g} | {median / limit:.2f} | {worst / limit:.2f} | {median:.2f} | {worst:.2f} |")
    print("\n| of the store's start | median | worst |\n|---|---|---|")
    for name, took in parts.items():
        print(f"| {name} | {statistics.median(took):.2f} | {max(took):.2f} |")
    print(f"\ngiven up at the stops: {given_up}")


if __name__ == "__main__":
    main()
