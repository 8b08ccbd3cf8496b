"""Titles and texts of anomalies: short sentences made of the same numbers as the charts.

A title says what differs, with the number it is and the number it usually is. A text says how much that is beyond
chance, what is different about the affected, what changed near the beginning, and what else was seen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from collector.model.report import Change, Difference
from collector.model.shown import duration
from collector.model.units import HOUR_NS
from collector.model.verdict import counts, moment, value
from collector.report.found import Found
from collector.report.kinds.catalogue import KINDS
from collector.report.subjects import WHOSE

_LONGEST = 80
Several = Collection[str]
"""Those of `WHOSE` of which there is more than one."""


def subject(found: Found, several: Several) -> str:
    """Return what it is about, with its environment or platform project where there are *several*."""
    s = found.series.subject
    named = s.name if s.type != "operation" or not s.task_id else f"{s.name} of {s.task_id}"
    named = named if len(named) <= _LONGEST else f"{named[: _LONGEST - 1]}…"
    whose = ", ".join(what for c in WHOSE if c in several and (what := getattr(s, c)))
    return f"{named} ({whose})" if whose else named


def title(found: Found, *, zone: str, several: Several = ()) -> str:
    """Return one line: what differs, the number it is, and the number it usually is."""
    return KINDS[found.kind].title(found, subject(found, several), zone)


def text(
    found: Found,
    *,
    zone: str,
    to_ns: int,
    error: tuple[str, int, int] | None = None,
    differences: Sequence[Difference] = (),
    nearest: Change | None = None,
    several: Several = (),
) -> str:
    """Return some short sentences about *found*. *to_ns*: until when was judged."""
    said = [KINDS[found.kind].what(found, zone)]
    if found.is_level:
        said.append(f"It has been so since {moment(found.from_ns, zone)}; from now on it counts as usual.")
    elif found.to_ns >= to_ns and not KINDS[found.kind].says_end:
        said.append("It goes on.")
    if error is not None:
        named, n, of = error
        said.append(f"{'All' if n == of else f'{n} of {of}'} affected runs ended with {named}.")
    for d in differences[:2]:
        said.append(
            f"{d.dimension.capitalize()} {d.value}: {value(d.affected.value, 'share')} of the affected, "
            f"{value(d.others.value, 'share')} of the others."
        )
    if nearest is not None:
        said.append(_near(nearest, found, zone))
    if found.together:
        said.append(f"At the same time: {together(found.together, several)}.")
    return " ".join(s for s in said if s)


def together(found: Sequence[Found], several: Several) -> str:
    """Return in few words what else was seen: one phrase for all subjects that show the same."""
    phrases: dict[str, list[str]] = {}
    for f in found:
        kind = KINDS[f.kind]
        before, up, down = kind.brief
        of = counts(f.observed) if kind.has_counts else ""
        name = f"{before}{subject(f, several)}{f' ({of})' if of else ''}"
        phrases.setdefault(down if f.direction == "down" else up, []).append(name)
    return "; ".join(f"{_and(names)} {what}" for what, names in phrases.items())


def _and(names: Sequence[str]) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} and {last}" if first else last


def _near(change: Change, found: Found, zone: str) -> str:
    apart = change.at_ns - found.from_ns
    when = moment(change.at_ns, zone)
    far = "" if abs(apart) < HOUR_NS else f", {duration(abs(apart))} {'before' if apart < 0 else 'after'} it began"
    return f"Near its beginning: {change.label} ({when}{far})."
