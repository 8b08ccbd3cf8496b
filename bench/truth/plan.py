"""What the simulated world consists of: queues and their limits, tasks and what an attempt of each does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bench.truth.attempt import Work

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
ALPHA, BETA = "proj_alpha", "proj_beta"


class Queue(NamedTuple):
    """A queue of one platform project and environment; engines without projects have none."""

    project: str | None
    environment: str
    name: str


LIMITS = {
    Queue(ALPHA, "PRODUCTION", "mail"): 4,
    Queue(ALPHA, "STAGING", "mail"): 1,
    Queue(BETA, "PRODUCTION", "mail"): 2,
    Queue(ALPHA, "PRODUCTION", "orders"): 4,
    Queue(ALPHA, "PRODUCTION", "media"): 4,
    Queue(None, "production", "billing"): 3,
    Queue(None, "production", "sync"): 4,
    Queue(None, "production", "exports"): 1,
    Queue(None, "staging", "exports"): 2,
}
UNSTATED = {"sync"}
"""Queues whose limit nobody tells the product, so that it has to infer it."""
SKEWED = {"media": 250, "sync": 250}
"""Queues whose machines have clocks that are off by up to so many ms, each by its own; all others tell the time."""
MACHINES = 5


class Failed(Exception):
    """The attempt fails: type and text of its error."""


class Crashed(Exception):
    """The attempt dies without a word."""


class Canceled(Exception):
    """The attempt is ended by somebody."""


class Skipped(Exception):
    """The attempt finds nothing to do."""


@dataclass(frozen=True)
class Task:
    """A task, how often somebody from outside asks for it, and what it does."""

    name: str
    queue: Queue
    per_hour: float
    operation: str
    does: Callable[[Work], Iterator[Any]]
    backoff_s: float = 20.0
    most: int = 3
    has_hook: bool = False
    """It logs that it gave up: Trigger.dev runs `onFailure()` after the last attempt."""
    delayed: float = 0.0
    """Share of runs from outside that are asked for ahead of time."""
    replays: float = 0.0
    dying: float = 0.0
    """Share of attempts that die as they begin, before anything of them is recorded."""

    @property
    def is_platform(self) -> bool:
        """Tell whether Trigger.dev runs it."""
        return self.queue.project is not None


def _send(w: Work) -> Iterator[Any]:
    yield from w.work(8)
    yield from w.call("smtp", 25, failing=0.15)
    yield from w.work(5)


def _send_beta(w: Work) -> Iterator[Any]:
    yield from w.work(10)
    if w.dice.random() < 0.03:
        raise Canceled
    yield from w.call("smtp", 35, failing=0.05)


def _order(w: Work) -> Iterator[Any]:
    yield from w.work(6)
    yield from w.call("db", 2, failing=0.02)
    if w.dice.random() < 0.6:
        yield from w.trigger_and_wait("render-image", 1)
    if w.dice.random() < 0.4:
        yield from w.trigger_and_wait("render-image", w.dice.randint(2, 4))
    if w.dice.random() < 0.25:
        yield from w.trigger("transcode-video", delay_s=600.0 if w.dice.random() < 0.5 else 0.0)
    if w.dice.random() < 0.3:
        yield from w.wait("for", w.dice.choice((20.0, 90.0, 240.0)))
    yield from w.work(10)
    if w.dice.random() < 0.6:
        yield from w.trigger("send-mail")


def _approval(w: Work) -> Iterator[Any]:
    yield from w.work(3)
    yield from w.wait("token", w.dice.uniform(20, 1500))
    yield from w.work(4)


def _render(w: Work) -> Iterator[Any]:
    yield from w.validating(3)
    yield from w.call("gpu", 40, failing=0.06)
    yield from w.call("storage", 6, failing=0.01)


def _transcode(w: Work) -> Iterator[Any]:
    yield from w.validating(4)
    yield from w.call("storage", 15, failing=0.02)
    yield from w.work(90, crashing=0.08)
    yield from w.call("storage", 10, failing=0.02)


def _charge(w: Work) -> Iterator[Any]:
    yield from w.validating(4)
    yield from w.call("stripe", 32, failing=0.22)
    yield from w.work(6)


def _refund(w: Work) -> Iterator[Any]:
    yield from w.work(4)
    chance = w.dice.random()
    if chance < 0.1:
        raise Skipped
    if chance < 0.16:
        raise Canceled
    yield from w.call("stripe", 20, failing=0.05)


def _sync(w: Work) -> Iterator[Any]:
    yield from w.call("crm", 50, failing=0.07)
    if w.dice.random() < 0.3:
        yield from w.child("export-ledger")
    yield from w.work(60)


def _export(w: Work) -> Iterator[Any]:
    yield from w.call("db", 20, failing=0.03)
    yield from w.work(60, crashing=0.06)


def _queue(name: str, environment: str = "PRODUCTION", project: str | None = ALPHA) -> Queue:
    return Queue(project, environment, name)


def _plain(name: str, environment: str = "production") -> Queue:
    return Queue(None, environment, name)


TASKS = (
    Task("send-mail", _queue("mail"), 200, "mail_send", _send, 15, has_hook=True, replays=0.02),
    Task("send-mail", _queue("mail", "STAGING"), 24, "mail_send", _send, 15, has_hook=True),
    Task("send-mail", _queue("mail", project=BETA), 75, "mail_send", _send_beta, 30, has_hook=True),
    Task("process-order", _queue("orders"), 45, "order_process", _order, 20, most=2, has_hook=True),
    Task("await-approval", _queue("orders"), 10, "approval_await", _approval, 20),
    Task("render-image", _queue("media"), 60, "image_render", _render, 8, has_hook=True),
    Task("transcode-video", _queue("media"), 15, "video_transcode", _transcode, 12, most=2, dying=0.04),
    Task("charge-card", _plain("billing"), 130, "card_charge", _charge, 25, delayed=0.15),
    Task("refund-card", _plain("billing"), 35, "card_refund", _refund, 25),
    Task("sync-account", _plain("sync"), 75, "account_sync", _sync, 10, most=2),
    Task("export-ledger", _plain("exports"), 4, "ledger_export", _export, 6, most=2, dying=0.04),
    Task("export-ledger", _plain("exports", "staging"), 30, "ledger_export", _export, 6, most=2, dying=0.04),
)
LOST = {"render-image": 0.01}
"""Share of a task's runs that die before anything of them is recorded."""
PER_HOUR = 800
"""Runs an hour of all tasks together, children included, roughly."""


def task(name: str, like: Queue) -> Task:
    """Return the task of that *name* in the platform project and environment of queue *like*."""
    return next(t for t in TASKS if (t.name, *t.queue[:2]) == (name, *like[:2]))
