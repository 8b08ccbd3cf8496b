"""How long a call takes, in ms of the clock and of the processor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np


def timed(act: Callable[[], object]) -> float:
    """Return how many ms *act* took."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


def spent(act: Callable[[], object]) -> tuple[float, float]:
    """Return how many ms *act* took, and the CPU ms of this process meanwhile."""
    began = time.process_time()
    took = timed(act)
    return took, (time.process_time() - began) * 1e3


def many(act: Callable[[], object], times: int) -> tuple[float, float, float]:
    """Return median and 95th percentile of *times* calls and their mean CPU time, in ms; one before is not counted."""
    act()
    began = time.process_time()
    took = sorted(timed(act) for _ in range(times))
    cpu = (time.process_time() - began) * 1e3 / times
    return statistics.median(took), took[min(len(took) - 1, round(0.95 * len(took)))], cpu


def pace() -> float:
    """Return how many ms the same piece of work takes now, the least of five: how fast the machine is just then."""
    numbers = np.random.default_rng(1).integers(0, 2**62, 2_000_000)
    return min(timed(lambda: np.sort(numbers)) for _ in range(5))
