"""What a burst costs in memory: `python -m bench.memory --records 60000` prints the peak of each process.

A real runwell on ports of its own, a new data directory or a copy of `--store`; the records as fast as they are taken.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.footprint import MIB, Footprint
from bench.load import Burst
from collector.client import Client


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--after", type=float, default=15.0, help="seconds to go on sampling once all is visible")
    parser.add_argument("--store", type=Path, help="a data directory to begin from; it is copied")
    parser.add_argument("options", nargs="*", help="further options of `runwell serve`, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runwell-memory-") as directory:
        data = Path(directory) / "data"
        if args.store:
            shutil.copytree(args.store, data)
        runwell = Path(sys.executable).with_name("runwell")
        ports = [part for name in ("http", "grpc", "api") for part in (f"--{name}-port", "0")]
        log = Path(directory) / "log"
        with (
            log.open("wb") as out,
            subprocess.Popen(
                [str(runwell), "serve", "--data", str(data), *ports, *args.options], stdout=out, stderr=out
            ) as process,
        ):
            try:
                _measure(process, data, args)
            finally:
                began = time.monotonic()
                process.terminate()
                process.wait(60)
                print(f"stopped after {time.monotonic() - began:.1f} s")
                print(*[line for line in log.read_text().splitlines() if '"error' in line][:20], sep="\n")


def _measure(process: subprocess.Popen[bytes], data: Path, args: argparse.Namespace) -> None:
    where = data / "runwell.json"
    began = time.monotonic()
    while not (where.exists() and json.loads(where.read_text()).get("api")):
        if process.poll() is not None or time.monotonic() - began > 120:
            raise SystemExit("it did not start")
        time.sleep(0.05)
    addresses = json.loads(where.read_text())
    client = Client(f"http://127.0.0.1:{addresses['api']['port']}")
    print(f"up after {time.monotonic() - began:.1f} s")
    with Footprint(process.pid) as footprint:
        begun = time.monotonic()
        burst = Burst(addresses["http"]["port"], records=args.records, seed=args.seed, connections=args.connections)
        burst.start().join()
        print(f"{burst.acknowledged} records acknowledged after {time.monotonic() - begun:.1f} s", flush=True)
        while not _is_settled(client):
            time.sleep(0.3)
        print(f"all visible after {time.monotonic() - begun:.1f} s", flush=True)
        time.sleep(args.after)
        left = footprint.sample()
    print("| process | peak MiB | at the tree's peak | afterwards |\n|---|---|---|---|")
    for name, size in sorted(footprint.peaks.items()):
        row = (size, footprint.at_peak.get(name, 0), left.get(name, 0))
        print(f"| {name} | " + " | ".join(f"{value / MIB:.0f}" for value in row) + " |")
    print(f"| all | {footprint.peak / MIB:.0f} | {footprint.peak / MIB:.0f} | {sum(left.values()) / MIB:.0f} |")


def _is_settled(client: Client) -> bool:
    status = client.status()
    return bool(status["journal_seq"] == status["applied_seq"] == status["runs_seq"])


if __name__ == "__main__":
    main()
