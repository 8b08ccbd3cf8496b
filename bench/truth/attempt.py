"""One attempt at work: it gets a slot, works, calls, waits, has children, and ends one way or another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.truth import plan
from bench.truth.plan import SECOND, Canceled, Crashed, Failed, Skipped
from bench.truth.world import KEPT_NS, MS, Attempt, Run, Wait, World

_ERRORS = {"smtp": "SmtpError", "gpu": "GpuError", "storage": "StorageError", "stripe": "StripeError"}


class Work:
    """What a task's function has in its hands while one of its attempts runs."""

    def __init__(self, world: World, run: Run, attempt: Attempt) -> None:
        self.world, self.run, self.attempt = world, run, attempt
        self.env, self.dice = world.env, world.dice
        self._held: Any = None

    def play(self) -> Iterator[Any]:
        """Do all of the attempt, from when it is due to its end."""
        a, task = self.attempt, self.run.task
        yield from self._take(priority=1)
        a.taken_ns = self.env.now
        if self.run.is_lost:
            yield self.env.timeout(self._length(1.0))
            self._end("crashed", recorded=False)
            return
        if task.is_platform and a.number == 1:
            yield self.env.timeout(self._length(1.2))
        a.started_ns = self.env.now
        if self.dice.random() < task.dying:
            yield self.env.timeout(self._length(0.5))
            self._end("crashed", recorded=False)
            return
        self._log("started")
        try:
            yield from task.does(self)
        except Failed as e:
            a.error = str(e)
            self._log("failed")
            yield from self._moment()
            self._end("failed")
        except Crashed:
            self._end("crashed")
        except Canceled:
            if not task.is_platform:
                self._log("canceled")
            self._end("canceled")
        except Skipped:
            self._log("skipped")
            self._end("skipped")
        else:
            self._log("completed")
            yield from self._moment()
            self._end("completed")

    def work(self, seconds: float, *, crashing: float = 0.0) -> Iterator[Any]:
        """Work for about so long; die on the way, or do not."""
        length = self._length(seconds)
        if self.dice.random() < crashing:
            yield self.env.timeout(self._rounded(length * self.dice.random()))
            raise Crashed
        yield self.env.timeout(length)

    def validating(self, seconds: float) -> Iterator[Any]:
        """Check the input."""
        self._log("validating")
        yield from self.work(seconds)

    def call(self, service: str, seconds: float, *, failing: float) -> Iterator[Any]:
        """Call a service, which fails now and then."""
        self._log(f"calling_{service}")
        yield from self.work(seconds)
        if self.dice.random() < failing:
            raise Failed(_ERRORS.get(service, "ServiceError"))

    def trigger(self, name: str, *, delay_s: float = 0.0) -> Iterator[Any]:
        """Ask for a run of another task, and go on."""
        began = self.env.now
        child, _ = self.world.submit(self._task(name), delay_s=delay_s, parent=self.run)
        yield self.env.timeout(self._length(0.02))
        self.attempt.triggers.append((began, self.env.now, child))

    def trigger_and_wait(self, name: str, count: int) -> Iterator[Any]:
        """Ask for runs of another task, a batch of them if they are several, and wait until they are over."""
        batch = f"batch_{self.run.id[4:]}{self.env.now % 10**9:09d}" if count > 1 else None
        made = [self.world.submit(self._task(name), parent=self.run, by_wait=True, batch=batch) for _ in range(count)]
        wait = Wait("batch" if batch else "child", self.env.now, children=[run for run, _ in made], batch=batch)
        yield from self._suspended(wait, self.env.process(self._each([over for _, over in made])))

    def wait(self, kind: str, seconds: float) -> Iterator[Any]:
        """Wait for a time or a token."""
        yield from self._suspended(Wait(kind, self.env.now), self.env.timeout(round(seconds * 1000) * MS))

    def child(self, name: str) -> Iterator[Any]:
        """Have a plain engine run another task, and hold the slot until it is over."""
        began = self.env.now
        child, over = self.world.submit(self._task(name), parent=self.run)
        yield self.env.timeout(self._length(0.02))
        self.attempt.triggers.append((began, self.env.now, child))
        yield over

    def _each(self, events: list[Any]) -> Iterator[Any]:
        """Wait for all of *events*; a condition of SimPy's own would forget them once another one is met."""
        yield from events

    def _task(self, name: str) -> plan.Task:
        return plan.task(name, self.run.task.queue)

    def _suspended(self, wait: Wait, over: Any) -> Iterator[Any]:
        self.attempt.waits.append(wait)
        yield over | self.env.timeout(KEPT_NS)
        if not over.processed:
            self._give_back()
            yield over
            yield from self._take(priority=0)
        else:
            yield from self._moment()
        wait.to_ns = self.env.now

    def _take(self, *, priority: int) -> Iterator[Any]:
        """Stand in the queue until there is a slot; the platform takes some ms to hand it over."""
        self.attempt.queued.append((self.env.now, None))
        self._held = self.world.slots[self.run.task.queue].request(priority=priority)
        yield self._held
        yield self.env.timeout(-self.env.now % MS + self.dice.randint(5, 60) * MS)
        self.attempt.queued[-1] = (self.attempt.queued[-1][0], self.env.now)
        self.attempt.held.append((self.env.now, None))

    def _give_back(self) -> None:
        self.attempt.held[-1] = (self.attempt.held[-1][0], self.env.now)
        self.world.slots[self.run.task.queue].release(self._held)

    def _end(self, outcome: str, *, recorded: bool = True) -> None:
        a = self.attempt
        self._give_back()
        a.outcome, a.ended_ns, a.recorded = outcome, self.env.now, recorded
        if self.run.task.is_platform and a.started_ns is not None:
            a.cost_nanocents = (a.ended_ns - a.started_ns) // 1000 * 34

    def _log(self, phase: str) -> None:
        self.attempt.logs.append((self.env.now, f"{self.run.task.operation}_{phase}"))

    def _moment(self) -> Iterator[Any]:
        """Let a platform do its part: its span ends a little after the task's last word."""
        if self.run.task.is_platform:
            yield self.env.timeout(self._length(0.004))

    def _length(self, seconds: float) -> int:
        return self._rounded(seconds * SECOND * self.dice.lognormvariate(-0.1, 0.45))

    def _rounded(self, ns: float) -> int:
        """Plain loggers have clocks of milliseconds."""
        grain = 1 if self.run.task.is_platform else MS
        return max(grain, round(ns / grain) * grain)
