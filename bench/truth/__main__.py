"""Print truth beside product: `python -m bench.truth [--seed N ...] [--runs 8000] [--brief]`.

A world of its own kind (SimPy: queues with slots, retries, delays, children, waits that give slots back, crashes, lost
runs, clocks that are off, two platform projects, environments with different limits) writes telemetry; the product
takes it the way of all telemetry, and every statistic of the API is put beside what truly happened. What telemetry
proves has to be equal, levels and shares within 1 %, estimates from histograms within 2.2 % or what they note; what it
cannot prove has to be marked inferred or unknown. Ends with 1 where a figure is off.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.truth.asked import Asked
from bench.truth.compare import EQUAL, MARKED, WITHIN, WRONG, Verdict
from bench.truth.plan import HOUR
from bench.truth.product import opened
from bench.truth.records import requests
from bench.truth.world import World

_BEGIN, _END = "<!-- counts: python -m bench.truth --write -->", "<!-- end -->"
_PAGE = Path(__file__).parent.parent.parent / "docs" / "truth.md"


def judged(runs: int, seed: int, directory: Path, *, every_ns: int = HOUR) -> list[Verdict]:
    """Return the verdicts of all figures of a world, whose telemetry goes through a store in *directory*.

    *every_ns*: how often, by the world's clock, the jobs run.
    """
    world = World(runs, seed).run()
    with opened(directory) as product:
        product.take(requests(world), world.as_of_ns, every_ns=every_ns)
        return list(Asked(world, product).verdicts())


def table(verdicts: list[Verdict]) -> str:
    """Return by statistic how many figures are what."""
    counts = {name: Counter(v.kind for v in verdicts if v.statistic == name) for name in _names(verdicts)}
    head = "| statistic | figures | equal | within | not provable and marked | wrong |\n|---|---|---|---|---|---|"
    lines = [
        f"| {name} | {c.total()} | {c[EQUAL]} | {c[WITHIN]} | {c[MARKED]} | {c[WRONG]} |" for name, c in counts.items()
    ]
    return "\n".join([head, *lines])


def write(page: Path, text: str) -> None:
    """Put *text* between the marks of *page*."""
    before, _, rest = page.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}", "utf-8")


def _names(verdicts: list[Verdict]) -> list[str]:
    return list(dict.fromkeys(v.statistic for v in verdicts))


def summary(verdicts: list[Verdict]) -> str:
    """Return how many figures are what, in a line."""
    c = Counter(v.kind for v in verdicts)
    return (
        f"{c.total()} figures: {c[EQUAL]} equal, {c[WITHIN]} within 1 % (levels, shares) or 2.2 % (estimates), "
        f"{c[MARKED]} not provable and marked, {c[WRONG]} WRONG"
    )


def main() -> None:
    """Compare the worlds that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[17])
    parser.add_argument("--runs", type=int, default=8_000)
    parser.add_argument("--brief", action="store_true", help="print only what is wrong, and the counts")
    parser.add_argument("--write", action="store_true", help=f"put the counts into docs/{_PAGE.name}")
    args = parser.parse_args()
    every: list[Verdict] = []
    for seed in args.seed:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            verdicts = judged(args.runs, seed, Path(directory))
        for v in verdicts:
            if v.kind == WRONG or not args.brief:
                print(v.line())
        print(f"\nseed {seed}, {args.runs} runs, {time.perf_counter() - began:.0f} s\n\n{table(verdicts)}\n")
        every += verdicts
    print(summary(every))
    if args.write:
        seeds = ", ".join(map(str, args.seed))
        write(_PAGE, f"Seeds {seeds}, {args.runs} runs each: {summary(every)}.\n\n{table(every)}")
    raise SystemExit(any(v.kind == WRONG for v in every))


if __name__ == "__main__":
    main()
