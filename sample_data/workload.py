"""The synthetic workload: what tasks there are and how they behave. Numbers here are invented, and say so.

`simulate` plays it event by event: arrivals with a day's rhythm, queues with limits, retries after the guideline's
backoff profiles, children, schedules, one incident and one deploy. It knows nothing of telemetry.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

HOUR = 3600.0
BUSY = 2.4
"""Scales all arrival rates."""
BEGINS = 14.0
"""Hour of the day at which the simulation begins; 48 hours later it ends in the afternoon too."""


@dataclass(frozen=True)
class Retry:
    """A backoff profile of the guideline."""

    attempts: int
    factor: float = 2.0
    first_s: float = 1.0
    most_s: float = 30.0

    def delay(self, attempt: int, dice: random.Random) -> float:
        """Return the pause after failed *attempt*, with jitter."""
        return min(self.most_s, self.first_s * self.factor ** (attempt - 1)) * dice.uniform(1.0, 1.5)


NETWORK = Retry(5, 2.0, 1.0, 30.0)
RATE_LIMIT = Retry(3, 3.0, 5.0, 120.0)
DATABASE = Retry(4, 1.5, 0.5, 5.0)
NONE = Retry(1)


@dataclass(frozen=True)
class Task:
    """One task: how often, how long, how reliable."""

    task_id: str
    operation: str
    service: str
    queue: str
    per_hour: float
    median_s: float
    spread: float
    failing: float
    retry: Retry
    calls: tuple[str, ...] = ()
    error: tuple[str, str, int | None] = ("TimeoutError", "upstream did not answer in time", None)
    every_s: float | None = None
    """Fixed schedule instead of random arrivals."""
    children: tuple[str, int] | None = None
    """(task, how many) triggered by each run."""
    spans: bool = False
    night: float = 0.25
    """Share of the day's rate that is left at night."""


LIMITS = {
    "payments": 2,
    "mail": 8,
    "media": 3,
    "default": 10,
    "reports": 1,
    "crm": 3,
    "search": 4,
    "webhooks": 6,
}

# fmt: off
TASKS = (
    Task("charge-order", "order_charge", "billing-worker", "payments", 22, 2.5, 0.5, 0.04, NETWORK,
         ("stripe", "ledger"), ("PaymentGatewayError", "gateway answered 502", 502), spans=True),
    Task("refund-order", "order_refund", "billing-worker", "payments", 2, 3.0, 0.4, 0.05, NETWORK,
         ("stripe", "ledger")),
    Task("sync-ledger", "ledger_sync", "billing-worker", "payments", 6, 20.0, 0.4, 0.03, DATABASE, ("ledger",),
         ("DeadlockDetected", "deadlock detected", None)),
    Task("send-receipt", "receipt_send", "growth-worker", "mail", 20, 0.8, 0.5, 0.02, RATE_LIMIT, ("mailer",),
         ("RateLimited", "429 from mailer", 429)),
    Task("send-newsletter", "newsletter_send", "growth-worker", "mail", 0, 45.0, 0.3, 0.01, RATE_LIMIT, ("mailer",),
         every_s=12 * HOUR, children=("send-digest", 60)),
    Task("send-digest", "digest_send", "growth-worker", "mail", 0, 4.0, 0.6, 0.06, RATE_LIMIT, ("mailer",),
         ("RateLimited", "429 from mailer", 429)),
    Task("transcode-video", "video_transcode", "media-worker", "media", 6, 240.0, 0.7, 0.05, NETWORK, ("storage",),
         ("CodecError", "unsupported pixel format", None), spans=True),
    Task("create-thumbnail", "thumbnail_create", "media-worker", "media", 12, 6.0, 0.5, 0.01, NETWORK, ("storage",)),
    Task("render-report", "report_render", "growth-worker", "reports", 7, 70.0, 0.5, 0.03, DATABASE, ("warehouse",),
         ("QueryCanceled", "statement timeout", None)),
    Task("nightly-report", "nightly_report", "growth-worker", "reports", 0, 300.0, 0.2, 0.0, NONE, ("warehouse",),
         every_s=24 * HOUR, children=("render-report", 4)),
    Task("sync-crm", "crm_sync", "growth-worker", "crm", 10, 9.0, 0.8, 0.09, RATE_LIMIT, ("crm_api",),
         ("RateLimited", "429 from crm_api", 429)),
    Task("reindex-search", "search_reindex", "media-worker", "search", 14, 5.0, 0.6, 0.02, DATABASE, ("search_api",)),
    Task("deliver-webhook", "webhook_deliver", "billing-worker", "webhooks", 34, 1.2, 0.9, 0.10, NETWORK, ("customer",),
         ("WebhookError", "customer endpoint answered 500", 500)),
    Task("validate-import", "import_validate", "media-worker", "default", 6, 3.0, 0.5, 0.12, NONE, (),
         ("ValidationError", "row 17: missing column", None)),
    Task("expire-sessions", "session_expire", "billing-worker", "default", 0, 1.5, 0.2, 0.0, NONE, (),
         every_s=900.0),
)
# fmt: on
BY_ID = {t.task_id: t for t in TASKS}


@dataclass(frozen=True)
class Trouble:
    """Something that is not as usual from one moment to another, in seconds since the start."""

    from_s: float
    to_s: float
    service: str | None = None
    """Tasks that call it have the trouble…"""
    task: str | None = None
    """…or this one does."""
    failing: float | None = None
    slower: float = 1.0
    skipped: bool = False
    """The task's schedule does not fire."""

    def meets(self, task: Task, at: float) -> bool:
        """Tell whether *task* has this trouble then."""
        return self.from_s <= at < self.to_s and (task.task_id == self.task or self.service in task.calls)


@dataclass(frozen=True)
class Story:
    """What happens beside the daily work."""

    troubles: tuple[Trouble, ...]
    deploys: tuple[tuple[float, str], ...]
    """(from when on, version), in order."""

    def version(self, at: float) -> str:
        """Return the version that is out then."""
        return [version for since, version in self.deploys if since <= at][-1]


SAMPLE = Story(
    (
        Trouble(30.0 * HOUR, 31.5 * HOUR, service="ledger", failing=0.85, slower=4.0),
        Trouble(26.0 * HOUR, math.inf, task="render-report", slower=1.7),
    ),
    ((0.0, "2026.11.1"), (26.0 * HOUR, "2026.11.2")),
)
"""The ledger service fails for an hour and a half of the second day; a deploy makes render-report slower."""


@dataclass
class Attempt:
    """One attempt as it happened, seconds since the start of the simulation."""

    number: int
    queued_at: float
    started_at: float
    ended_at: float
    ok: bool
    calls: list[tuple[str, float]] = field(default_factory=list)
    """(service, when it was called)"""


@dataclass
class Run:
    """One run and all its attempts."""

    run_id: str
    task: Task
    triggered_at: float
    parent: Run | None
    correlation_id: str
    request_id: str
    attempts: list[Attempt] = field(default_factory=list)


def simulate(hours: float, dice: random.Random, story: Story = SAMPLE) -> list[Run]:
    """Play *hours* of the workload and return its runs in the order they were triggered."""
    world = _World(hours * HOUR, dice, story)
    for task in TASKS:
        world.plan(task)
    world.play()
    return world.runs


class _World:
    def __init__(self, end: float, dice: random.Random, story: Story) -> None:
        self.end = end
        self.story = story
        self.dice = dice
        self.now = 0.0
        self.runs: list[Run] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._free = dict(LIMITS)
        self._waiting: dict[str, deque[tuple[Run, float]]] = {queue: deque() for queue in LIMITS}

    def at(self, when: float, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, act))

    def play(self) -> None:
        while self._events and self._events[0][0] < self.end:
            self.now, _, act = heapq.heappop(self._events)
            act()

    def plan(self, task: Task) -> None:
        """Put all arrivals of *task* on the calendar."""
        if task.every_s is not None:
            when = task.every_s / 2
            while when < self.end:
                if not any(t.skipped and t.meets(task, when) for t in self.story.troubles):
                    self.at(when, lambda task=task: self.trigger(task, None))  # type: ignore[misc]
                when += task.every_s
            return
        when = 0.0
        while task.per_hour and when < self.end:
            day = 0.5 - 0.5 * math.cos((when / HOUR + BEGINS - 3) / 24 * 2 * math.pi)
            rate = BUSY * task.per_hour * (task.night + (1 - task.night) * day)
            when += self.dice.expovariate(rate / HOUR)
            self.at(when, lambda task=task: self.trigger(task, None))  # type: ignore[misc]

    def trigger(self, task: Task, parent: Run | None) -> None:
        ident = f"{self.dice.getrandbits(64):016x}"
        run = Run(
            f"run_{ident}",
            task,
            self.now,
            parent,
            parent.correlation_id if parent else f"{task.operation.split('_')[0]}-{ident[:8]}",
            f"req_{self.dice.getrandbits(48):012x}",
        )
        self.runs.append(run)
        self.enqueue(run)

    def enqueue(self, run: Run) -> None:
        queue = run.task.queue
        if self._free[queue]:
            self._free[queue] -= 1
            self.start(run, self.now)
        else:
            self._waiting[queue].append((run, self.now))

    def start(self, run: Run, queued_at: float) -> None:
        task = run.task
        number = len(run.attempts) + 1
        lasts = task.median_s * math.exp(self.dice.gauss(0, task.spread))
        failing = task.failing
        for trouble in self.story.troubles:
            if trouble.meets(task, self.now):
                failing = failing if trouble.failing is None else trouble.failing
                lasts *= trouble.slower
        ok = self.dice.random() >= failing
        if not ok:
            lasts *= self.dice.uniform(0.2, 0.9)
        begun = self.now + self.dice.uniform(0.02, 0.15)
        attempt = Attempt(number, queued_at, begun, begun + lasts, ok)
        for i, service in enumerate(task.calls):
            attempt.calls.append((service, begun + lasts * (0.15 + 0.7 * i / len(task.calls))))
        run.attempts.append(attempt)
        if ok and task.children and number == 1:
            child, count = task.children
            for _ in range(count):
                self.at(begun + lasts * self.dice.uniform(0.1, 0.9), lambda: self.trigger(BY_ID[child], run))
        self.at(attempt.ended_at, lambda: self.finish(run, attempt))

    def finish(self, run: Run, attempt: Attempt) -> None:
        queue = run.task.queue
        if self._waiting[queue]:
            following, queued_at = self._waiting[queue].popleft()
            self.start(following, queued_at)
        else:
            self._free[queue] += 1
        if not attempt.ok and attempt.number < run.task.retry.attempts:
            pause = run.task.retry.delay(attempt.number, self.dice)
            self.at(self.now + pause, lambda: self.enqueue(run))
