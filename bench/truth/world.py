"""The world: runs that wait in queues, hold slots, work, fail, crash, wait and have children, as a SimPy simulation.

Enter: a seed, how many runs. Leave: every run with what truly happened to it, in ns of true time. Nothing here knows
how telemetry is written, nor what the product makes of it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.truth import plan
from bench.truth.plan import HOUR, MINUTE, SECOND, Queue, Task

START_NS = 1_795_413_600 * SECOND // HOUR * HOUR
"""A whole hour in November 2026."""
KEPT_NS = MINUTE
"""How long a wait that suspends an attempt keeps its slot."""
MS = 1_000_000


@dataclass
class Wait:
    """A stretch in which an attempt stood still; *children* are what it waited for."""

    kind: str
    from_ns: int
    to_ns: int | None = None
    children: list[Run] = field(default_factory=list)
    batch: str | None = None


@dataclass
class Attempt:
    """One try of a run: when it was due and stood in its queue, had a slot, began, ended, and what it said."""

    number: int
    offset_ns: int
    version: str
    due_ns: int
    taken_ns: int | None = None
    started_ns: int | None = None
    ended_ns: int | None = None
    outcome: str | None = None
    """completed, failed, crashed, canceled or skipped; None while it goes on."""
    error: str | None = None
    logs: list[tuple[int, str]] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    triggers: list[tuple[int, int, Run]] = field(default_factory=list)
    """Children that were triggered without waiting for them: from when to when that took."""
    held: list[tuple[int, int | None]] = field(default_factory=list)
    queued: list[tuple[int, int | None]] = field(default_factory=list)
    """When it wanted a slot and had none: at first, and after waits that gave it back."""
    recorded: bool = True
    """False: it died before anything of it was recorded."""
    cost_nanocents: int = 0


@dataclass
class Run:
    """One execution of a task."""

    id: str
    task: Task
    triggered_ns: int
    due_ns: int
    delay: str | None = None
    """How the delay of a plain run is stated: `delay_ms` or `due_at`."""
    parent: Run | None = None
    by_wait: bool = False
    batch: str | None = None
    is_replay: bool = False
    is_lost: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    outcome: str | None = None
    ended_ns: int | None = None


class World:
    """The simulation. After `run`, *runs* holds everything that happened until *as_of_ns*."""

    def __init__(self, runs: int, seed: int) -> None:
        self._asked = runs, seed
        self.dice = random.Random(seed)
        self.env = simpy.Environment(initial_time=START_NS)
        hours = max(4, round(runs / plan.PER_HOUR))
        self._share = runs / (plan.PER_HOUR * (hours + 0.66))
        self.as_of_ns = START_NS + hours * HOUR + 40 * MINUTE
        self.deployed_ns = START_NS + (hours * HOUR) // 2 + 13 * MINUTE
        self.slots = {queue: simpy.PriorityResource(self.env, limit) for queue, limit in plan.LIMITS.items()}
        self.clocks = {queue: self._clocks(queue) for queue in plan.LIMITS}
        self.runs: list[Run] = []
        self._numbers = itertools.count(1)

    def _clocks(self, queue: Queue) -> list[int]:
        most = plan.SKEWED.get(queue.name, 0)
        return [self.dice.randint(-most, most) * MS for _ in range(plan.MACHINES)]

    def run(self, *, more_ns: int = 0) -> World:
        """Let everything happen, for *more_ns* beyond the end."""
        for task in plan.TASKS:
            self.env.process(self._arrivals(task))
        self.env.run(until=self.as_of_ns + more_ns)
        return self

    def later(self) -> World:
        """Return the same world three hours after its end: what became of runs that went on."""
        return World(*self._asked).run(more_ns=3 * HOUR)

    def _arrivals(self, task: Task) -> Iterator[Any]:
        while True:
            gap = self.dice.expovariate(task.per_hour * self._share) * HOUR
            yield self.env.timeout(max(MS, round(gap / MS) * MS))
            delay_s = self.dice.choice((120, 300, 900)) if self.dice.random() < task.delayed else 0
            self.submit(task, delay_s=delay_s)

    def submit(self, task: Task, *, delay_s: float = 0.0, **about: Any) -> tuple[Run, simpy.Event]:
        """Ask for a run of *task*; return it, and what happens when it is over."""
        now = self.env.now
        number = next(self._numbers)
        name = f"run_{number:06d}{self.dice.getrandbits(48):012x}"
        run = Run(name, task, now, now + round(delay_s * SECOND), **about)
        if delay_s and not task.is_platform:
            run.delay = self.dice.choice(("delay_ms", "due_at"))
        run.is_replay = run.parent is None and self.dice.random() < task.replays
        run.is_lost = self.dice.random() < plan.LOST.get(task.name, 0.0)
        self.runs.append(run)
        return run, self.env.process(self._life(run))

    def _life(self, run: Run) -> Iterator[Any]:
        from bench.truth.attempt import Work

        task = run.task
        if run.due_ns > self.env.now:
            yield self.env.timeout(run.due_ns - self.env.now)
        outcome: str | None = None
        for number in range(1, task.most + 1):
            clock = self.dice.choice(self.clocks[task.queue])
            version = "20261101.2" if self.env.now >= self.deployed_ns else "20261101.1"
            attempt = Attempt(number, clock, version, self.env.now)
            run.attempts.append(attempt)
            work = Work(self, run, attempt)
            yield from work.play()
            outcome = attempt.outcome
            # Of two that crash a platform takes one up again.
            again = outcome == "failed" or (outcome == "crashed" and not run.is_lost and self.dice.random() < 0.5)
            if not again or number == task.most:
                break
            yield self.env.timeout(round(task.backoff_s * 2 ** (number - 1) * self.dice.uniform(0.8, 1.2) * 1000) * MS)
        run.outcome, run.ended_ns = outcome, self.env.now
