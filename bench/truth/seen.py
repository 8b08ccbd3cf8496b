"""What a perfect reader could know of the world from its telemetry, and what nobody could.

Enter: a world. Leave: its runs as their records tell them, times by the clocks that wrote them. `sure` says that the
records prove it; what is not sure has to be marked by the product. Worked out from the world, not from records.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.truth.plan import HOUR, MINUTE
from bench.truth.world import MS, Attempt, Run, World

GRACE_NS, STALE_NS = 3 * MINUTE, HOUR
"""`runs.retry_grace` and `runs.stale` as they are by default."""
Group = tuple[str | None, str, str | None]
"""Task, environment and platform project."""


@dataclass
class Try:
    """An attempt that left a record."""

    number: int
    status: str
    """completed, failed, canceled, skipped, or open: no record tells an end."""
    started_ns: int
    ended_ns: int | None
    end_sure: bool
    version: str
    has_span: bool
    logs: list[tuple[int, str]]
    last_ns: int
    """When it gave its last sign of life."""
    waited_ns: int
    """How long the waits were that are over."""
    wait_ns: int | None
    """The same, None where more may have been."""
    dequeued_ns: int | None = None
    queue_wait_ns: int | None = None
    """Of a second and later attempt, where it is stated."""
    cost: int | None = None

    @property
    def wall_ns(self) -> int | None:
        """Return how long it took."""
        return None if self.ended_ns is None else self.ended_ns - self.started_ns


@dataclass
class Seen:
    """A run of which there is any record."""

    run: Run
    tries: list[Try] = field(default_factory=list)
    task: str | None = None
    status: str = "unknown"
    sure: bool = True
    """The status, and how many attempts there were, are proved."""
    queued_ns: int | None = None
    queued_sure: bool = True
    started_ns: int | None = None
    start_known: bool = False
    ended_ns: int | None = None
    end_sure: bool = True
    last_seen_ns: int = 0
    has_parent: bool = False

    @property
    def group(self) -> Group:
        """Return what numbers of tasks are kept by."""
        return self.task, self.run.task.queue.environment, self.run.task.queue.project

    @property
    def population(self) -> str:
        """Return live or replay."""
        return "replay" if self.run.is_replay else "live"

    @property
    def outcome(self) -> str:
        """Return how it stands; `completed` of one that had nothing to do is `skipped`."""
        return "skipped" if self.tries and self.tries[-1].status == "skipped" else self.status

    @property
    def at_ns(self) -> int:
        """Return when it began: was started, else queued, else seen."""
        return next(ns for ns in (self.started_ns, self.queued_ns, self.last_seen_ns) if ns is not None)

    def touches(self, from_ns: int, to_ns: int, now_ns: int) -> bool:
        """Tell whether anything of it lies in [*from_ns*, *to_ns*)."""
        first = min(self.at_ns, self.at_ns if self.queued_ns is None else self.queued_ns)
        is_open = not self.is_over and self.status != "unknown"
        return first < to_ns and (now_ns if is_open else max(self.ended_ns or 0, self.last_seen_ns)) >= from_ns

    @property
    def attempts(self) -> int:
        """Return the number of its last attempt."""
        return self.tries[-1].number if self.tries else 0

    @property
    def is_complete(self) -> bool:
        """Tell whether each of its attempts left a record."""
        return len(self.tries) == self.attempts

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended, as far as is known."""
        return self.status in ("completed", "failed", "canceled")


def see(world: World) -> list[Seen]:
    """Return all runs that left a record, or that a record of their parent's names."""
    links = _links(world)
    seen = [_see(run, links.get(run.id), world.as_of_ns) for run in world.runs]
    return [s for s in seen if s is not None]


@dataclass(frozen=True)
class _Link:
    from_ns: int
    to_ns: int
    waits: bool
    task: str | None


def _links(world: World) -> dict[str, _Link]:
    """Return what spans of parents say of their children; one that waits is sent when its wait is over."""
    links = {}
    for run in world.runs:
        for a in run.attempts:
            if a.started_ns is None or not a.recorded:
                continue
            plain = not run.task.is_platform
            for from_ns, to_ns, child in a.triggers:
                name = child.task.name if plain else None
                links[child.id] = _Link(from_ns + a.offset_ns, to_ns + a.offset_ns, False, name)
            for wait in a.waits:
                if wait.to_ns is None:
                    continue
                for child in wait.children:
                    named = child.task.name if wait.batch is None else None
                    link = _Link(wait.from_ns + a.offset_ns, wait.to_ns + a.offset_ns, True, named)
                    # A batch is named by the children's own records, so one that left none is not known.
                    if wait.batch is None or _recorded(child):
                        links[child.id] = link
    return links


def _recorded(run: Run) -> bool:
    return not run.is_lost and any(a.started_ns is not None and a.recorded for a in run.attempts)


def _see(run: Run, link: _Link | None, as_of_ns: int) -> Seen | None:
    seen = Seen(run, _tries(run), has_parent=link is not None or (run.parent is not None and _plain_child(run)))
    if not seen.tries:
        if link is None:
            return None
        seen.task, seen.queued_ns, seen.has_parent = link.task, link.from_ns, True
        seen.queued_sure = link.waits
        seen.last_seen_ns = link.to_ns
        waiting = not link.waits and as_of_ns - link.to_ns <= STALE_NS
        seen.status, seen.sure = ("queued", False) if waiting else ("unknown", True)
        return seen
    seen.task = run.task.name
    seen.last_seen_ns = max(t.last_ns for t in seen.tries)
    first = seen.tries[0]
    seen.start_known = first.number == 1
    seen.started_ns = first.started_ns
    if run.task.is_platform:
        if link is not None:
            seen.queued_ns, seen.queued_sure = link.from_ns, link.waits
    elif seen.start_known:
        seen.queued_ns = first.started_ns - (first.logs[0][0] - run.attempts[0].offset_ns - run.due_ns)
    elif link is not None:
        seen.queued_ns, seen.queued_sure = link.from_ns, False
    _judge(seen, link, as_of_ns)
    return seen


def _plain_child(run: Run) -> bool:
    return not run.task.is_platform and _recorded(run)


def _tries(run: Run) -> list[Try]:
    known = [a for a in run.attempts if a.started_ns is not None and a.recorded and not run.is_lost]
    return [_try(run, a, is_last=a is known[-1]) for a in known]


def _try(run: Run, a: Attempt, *, is_last: bool) -> Try:
    assert a.started_ns is not None
    logs = [(ns + a.offset_ns, text) for ns, text in a.logs]
    platform = run.task.is_platform
    told = a.outcome in ("completed", "failed", "canceled", "skipped")
    has_span = platform and a.outcome in ("completed", "failed")
    status, ended = (a.outcome or "open", None if a.ended_ns is None else a.ended_ns + a.offset_ns)
    if not told:
        # Whoever died before another attempt has failed, and lived until it spoke for the last time, if it did again.
        status, ended = ("open", None) if is_last else ("failed", ended if logs[-1][0] > logs[0][0] else None)
    waited = sum(w.to_ns - w.from_ns for w in a.waits if w.to_ns is not None)
    stated = not platform and a.number > 1
    spans = [*(w.to_ns for w in a.waits if w.to_ns is not None), *(ns for _, ns, _ in a.triggers)]
    signs = [logs[-1][0], *(ns + a.offset_ns for ns in spans)]
    return Try(
        a.number,
        status,
        a.started_ns + a.offset_ns,
        ended,
        told,
        a.version,
        has_span,
        logs,
        max([*signs, (ended or 0) if told else 0]),
        waited,
        waited if has_span else None,
        dequeued_ns=(a.taken_ns + a.offset_ns) // MS * MS if has_span and a.number == 1 and a.taken_ns else None,
        queue_wait_ns=a.logs[0][0] - a.due_ns if stated else None,
        cost=a.cost_nanocents if has_span else None,
    )


def _judge(seen: Seen, link: _Link | None, as_of_ns: int) -> None:
    """Tell how the run stands, and whether that is proved."""
    run, last = seen.run, seen.tries[-1]
    seen.ended_ns, seen.end_sure = last.ended_ns, last.end_sure
    if last.status in ("completed", "skipped", "canceled"):
        seen.status = "completed" if last.status == "skipped" else last.status
        return
    if last.status == "open":
        seen.ended_ns = None
        is_quiet = as_of_ns - seen.last_seen_ns > STALE_NS
        seen.status, seen.sure = ("unknown", True) if is_quiet else ("running", False)
        return
    assert last.ended_ns is not None
    parent_saw = link is not None and link.waits and link.to_ns >= last.ended_ns
    gave_up = last.number == run.task.most and (run.task.has_hook or not run.task.is_platform)
    if gave_up or parent_saw:
        seen.status = "failed"
    elif as_of_ns - last.ended_ns <= GRACE_NS:
        seen.status, seen.sure, seen.ended_ns = "retrying", False, None
    else:
        seen.status, seen.sure = "failed", False


def hour(ns: int) -> int:
    """Return the start of the hour of a time."""
    return ns // HOUR * HOUR
