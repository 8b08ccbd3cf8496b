"""What inferring the limit of a queue costs as its runs grow in number: `python -m bench.inferring`.

One process with one polars thread. A queue of 40 slots that is nearly full for a day, 10,000 and 100,000 runs of it,
with the wait of each: CPU ms and bytes that the inference takes beyond its input. Promised: ten times the runs take at
most twelve times the CPU and the memory.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time

import polars as pl

from collector.analyse import inference
from collector.analyse.slots import QUEUE
from collector.model.units import HOUR_NS

FEW, MANY = 10_000, 100_000
MOST = 12
SLOTS = 40
DAY_NS = 24 * HOUR_NS
T0 = 497_222 * HOUR_NS


def day(runs: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return slots and waits of *runs* runs in one day: each slot is taken over a moment after its last run ended."""
    dice = random.Random(runs)
    rows = []
    for slot in range(SLOTS):
        at = T0 + dice.randrange(DAY_NS // runs * SLOTS)
        for _ in range(runs // SLOTS):
            lasts = int(dice.expovariate(1 / (0.9 * DAY_NS * SLOTS / runs)))
            rows.append((f"r{slot}", at, at + lasts))
            at += lasts + dice.choice([50_000_000, int(0.2 * DAY_NS * SLOTS / runs)])
    taken = pl.DataFrame(rows, schema=["run_key", "from_ns", "to_ns"], orient="row").with_columns(
        project=pl.lit("default"), queue=pl.lit("q"), **dict.fromkeys(QUEUE[2:], pl.lit(None, pl.String))
    )
    waits = taken.with_columns(from_ns=pl.col("from_ns") - 40_000_000, to_ns="from_ns", is_sure=pl.lit(True))
    return taken.with_columns(is_open=pl.lit(False)), waits


def once(runs: int) -> tuple[float, int]:
    """Return CPU seconds and bytes of the highest memory beyond its input that one inference takes."""
    held, waits = day(runs)
    inference.infer(held.head(100), waits.head(100), from_ns=T0, to_ns=T0 + DAY_NS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    inference.infer(held, waits, from_ns=T0, to_ns=T0 + DAY_NS)
    return time.process_time() - began, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def apart(runs: int) -> tuple[float, int]:
    """Return what `once` does, in a process of its own, the least of three."""
    command = [sys.executable, "-m", "bench.inferring", str(runs)]
    alone = {**os.environ, "POLARS_MAX_THREADS": "1"}
    asked = (subprocess.run(command, env=alone, capture_output=True, text=True, check=True) for _ in range(3))
    told = [done.stdout.split() for done in asked]
    return min(float(cpu) for cpu, _ in told), min(int(size) for _, size in told)


def main(runs: list[str]) -> int:
    """Print what few and many runs take, or what so many *runs* do; return 1 where it is more than is promised."""
    if runs:
        print(*once(int(runs[0])))
        return 0
    (few, few_bytes), (many, many_bytes) = apart(FEW), apart(MANY)
    ratios = many / few, many_bytes / max(few_bytes, 1)
    print(f"{FEW:,} runs: {few * 1e3:.0f} ms of CPU, {few_bytes / 2**20:.0f} MiB")
    print(
        f"{MANY:,} runs: {many * 1e3:.0f} ms of CPU, {many_bytes / 2**20:.0f} MiB, {many_bytes / MANY:.0f} bytes a run"
    )
    print(f"ratio: {ratios[0]:.1f} of CPU, {ratios[1]:.1f} of memory (promised: {MOST})")
    return int(max(ratios) > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
