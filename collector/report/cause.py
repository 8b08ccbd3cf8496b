"""Several tasks that differ for one reason are told as one, the reason first.

Folding joins what shares a task, a queue or a service. A deploy, a machine or an error can make tasks differ that share
nothing of those: they are joined here, where the evidence of each names the same value and their hours overlap. It is
said to be most likely the same cause, and nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from collector.model.report import Anomaly, Cause, Kind, Subject, Together
from collector.model.units import HOUR_NS
from collector.report import fold, words
from collector.report.found import Found
from collector.report.kinds.catalogue import KINDS
from collector.report.kinds.kind import Part
from collector.report.subjects import WHOSE

_SEVERAL = 2
_NEAR_NS = (-2 * HOUR_NS, HOUR_NS)
"""From when to when around its beginning a version's first run speaks for it."""
_ORDER = ("version", "error", "called service", "queue", "machine", "tag")
"""Of causes that as many tasks name: what says most comes first."""
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Told:
    """An anomaly, with what was found of it, the gravest first where it stands for several."""

    anomaly: Anomaly
    founds: tuple[Found, ...]

    @property
    def excess(self) -> float:
        """Return how much is beyond expectation in all of it."""
        return sum(f.excess or 0.0 for f in self.founds)


def joined(told: Sequence[Told], several: Collection[str], only: Collection[str] | None = None) -> list[Told]:
    """Return *told* (the gravest first) with those of one cause as one, where the first of them stood.

    *several*: as `words.Several`. *only*: keys of the causes that are looked at; None: all.
    """
    rest = list(told)
    made: dict[int, Told] = {}
    while (group := _largest(rest, only)) is not None:
        cause, members = group
        made[told.index(members[0])] = _one(cause, members, several)
        rest = [t for t in rest if t not in members]
    return [t for i, old in enumerate(told) for t in ([made[i]] if i in made else [old] if old in rest else [])]


def key_of(cause: Cause, subject: Subject) -> str:
    """Return the 16 hex digits that name a cause in the environment and platform project of *subject*."""
    parts = ["cause", cause.dimension, cause.value, *(getattr(subject, c) or "" for c in WHOSE)]
    return blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def noted(a: Anomaly, expected: Mapping[str, str]) -> Anomaly:
    """Return *a* with what somebody said of its cause."""
    return a if a.cause is None or a.key not in expected else a.model_copy(update={"expected_by_you": expected[a.key]})


def _largest(told: Sequence[Told], only: Collection[str] | None) -> tuple[Cause, list[Told]] | None:
    """Return the cause that most tasks name, with what names it."""
    named: dict[str, tuple[Cause, list[Told]]] = {}
    for t in told:
        for cause in dict.fromkeys(_named(t)):
            key = key_of(cause, t.anomaly.subject)
            _, members = named.setdefault(key, (cause, []))
            if not members or fold.overlap(members[0].founds[0], t.founds[0]):
                members.append(t)
    groups = [g for key, g in named.items() if len(_tasks(g[1])) >= _SEVERAL and (only is None or key in only)]
    return min(groups, key=lambda g: (-len(_tasks(g[1])), _ORDER.index(g[0].dimension), g[0].value), default=None)


def _named(t: Told) -> Iterator[Cause]:
    """Return what the evidence of an anomaly of a task names as set apart."""
    a, f = t.anomaly, t.founds[0]
    is_of_task = a.kind is Kind.NEW_ERROR or KINDS[a.kind].part is Part.TASK
    if a.cause is not None or not is_of_task or not fold.is_worse(f):
        return
    if a.nearest is not None and a.nearest.version:
        low, high = _NEAR_NS
        if low <= a.nearest.at_ns - a.span.from_ns <= high:
            yield Cause(dimension="version", value=a.nearest.version)
    error = a.detail if a.kind is Kind.NEW_ERROR else a.behind.error_group if a.behind else None
    if error:
        yield Cause(dimension="error", value=error)
    for d in a.differences:
        if d.dimension in _ORDER:
            yield Cause(dimension=d.dimension, value=d.value)


def _tasks(members: Sequence[Told]) -> set[str | None]:
    return {t.anomaly.subject.task_id or t.anomaly.subject.name for t in members}


def _one(cause: Cause, members: Sequence[Told], several: Collection[str]) -> Told:
    """Return the anomaly that stands for *members*: the numbers of the gravest, what they share first."""
    gravest = members[0].anomaly
    founds = [f for t in members for f in t.founds]
    value = cause.value if len(cause.value) <= _LONGEST else f"{cause.value[: _LONGEST - 1]}…"
    told = gravest.model_copy(
        update={
            "key": key_of(cause, gravest.subject),
            "state": "ongoing" if any(t.anomaly.state == "ongoing" for t in members) else "new",
            "is_level": all(t.anomaly.is_level for t in members),
            "cause": cause,
            "title": f"{cause.dimension.capitalize()} {value}: {_differ(members)}",
            "text": f"Each names it, so most likely one cause; also {words.together(founds[1:], several)}. "
            f"The gravest: {gravest.title}. {gravest.text}",
            "together": tuple(
                together
                for t in members
                for together in (
                    Together(key=t.anomaly.key, kind=t.anomaly.kind, subject=t.anomaly.subject, title=t.anomaly.title),
                    *t.anomaly.together,
                )
            ),
            "findings": tuple(dict.fromkeys(code for t in members for code in t.anomaly.findings)),
        }
    )
    return Told(told, tuple(founds))


def _differ(members: Sequence[Told]) -> str:
    """Return how many tasks do what, such as `3 tasks failing more often, 1 task slower`."""
    by: dict[str, list[Told]] = {}
    for t in members:
        by.setdefault(KINDS[t.anomaly.kind].brief[1], []).append(t)
    counts = {what: len(_tasks(some)) for what, some in by.items()}
    return ", ".join(f"{n} {'task' if n == 1 else 'tasks'} {what}" for what, n in counts.items())
