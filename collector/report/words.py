"""Titles and texts of anomalies: short sentences made of the same numbers as the charts.

A title says what differs, with the number it is and the number it usually is. A text says how much that is beyond
chance, what is different about the affected, what changed near the beginning, and what else was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.analyse.anomalies.options import Options
from collector.analyse.anomalies.schedules import Deviation, Interval, Slots
from collector.model.report import Change, Difference, Kind
from collector.model.shown import count, duration
from collector.model.verdict import counts, local, moment, value
from collector.report.inputs import HISTORY_DAYS, HOUR_NS, Found

_ALMOST_NEVER = 0.001
_LONGEST = 80
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TRIALS = {
    Kind.FAILURES: ("runs", "failed"),
    Kind.RETRIES: ("attempts", "were retries"),
    Kind.CALL_FAILURES: ("calls", "failed"),
    Kind.OPERATION_FAILURES: ("executions", "failed"),
    Kind.STUCK: ("runs", "fell silent without an end"),
    Kind.FINDINGS: ("runs", "break it"),
    Kind.DURATION: ("attempts", ""),
    Kind.QUEUE_WAIT: ("runs", ""),
    Kind.CALL_DURATION: ("calls", ""),
    Kind.OPERATION_DURATION: ("executions", ""),
}
_PACES = (Kind.DURATION, Kind.QUEUE_WAIT, Kind.CALL_DURATION, Kind.OPERATION_DURATION)
_SINGLE = (Kind.MISSED_RUN, Kind.LATE_RUN, Kind.DOUBLE_RUN, Kind.NEW_ERROR, Kind.SILENCE)
"""Kinds of which nobody can say that they go on, or that say so themselves."""
_BRIEF: dict[Kind, tuple[str, str, str]] = {
    Kind.FAILURES: ("", "failing more often", "failing less often"),
    Kind.OPERATION_FAILURES: ("", "failing more often", "failing less often"),
    Kind.RETRIES: ("", "retrying more", "retrying less"),
    Kind.DURATION: ("", "slower", "faster"),
    Kind.OPERATION_DURATION: ("", "slower", "faster"),
    Kind.VOLUME: ("runs of ", "more than usual", "fewer than usual"),
    Kind.CALL_FAILURES: ("calls to ", "failing more often", "failing less often"),
    Kind.CALL_DURATION: ("calls to ", "slower", "faster"),
    Kind.QUEUE_WAIT: ("queue ", "with longer waits", "with shorter waits"),
    Kind.SATURATION: ("queue ", "full with runs waiting", "full for less time"),
    Kind.MISSED_RUN: ("scheduled runs of ", "missing", "missing"),
    Kind.LATE_RUN: ("runs of ", "late", "late"),
    Kind.DOUBLE_RUN: ("runs of ", "twice at a time", "twice at a time"),
    Kind.STUCK: ("runs of ", "stuck or silent", "stuck or silent"),
    Kind.NEW_ERROR: ("", "with new errors", "with new errors"),
    Kind.FINDINGS: ("", "breaking more conventions", "breaking fewer conventions"),
    Kind.SILENCE: ("", "silent", "silent"),
}
"""What a kind is called beside another: before its name, and after it, up and down."""


def subject(found: Found, several: bool) -> str:
    """Return what it is about, with its environment where there are *several*."""
    s = found.series.subject
    named = s.name if s.type != "operation" or not s.task_id else f"{s.name} of {s.task_id}"
    named = named if len(named) <= _LONGEST else f"{named[: _LONGEST - 1]}…"
    return f"{named} ({s.environment})" if several and s.environment else named


def title(found: Found, *, zone: str, several: bool = False) -> str:
    """Return one line: what differs, the number it is, and the number it usually is."""
    name, up = subject(found, several), found.direction == "up"
    now, usual = value(found.observed.value, found.unit), _usual(found)
    of = counts(found.observed)
    match found.kind:
        case Kind.FAILURES | Kind.OPERATION_FAILURES:
            return f"{name} fails {'more' if up else 'less'} often: {now} ({of}), usually {usual}"
        case Kind.CALL_FAILURES:
            return f"Calls to {name} fail {'more' if up else 'less'} often: {now} ({of}), usually {usual}"
        case Kind.RETRIES:
            return f"{name} retries {'more' if up else 'less'}: {now} of its attempts, usually {usual}"
        case Kind.STUCK if found.unit == "share":
            return f"Runs of {name} fall silent {'more' if up else 'less'} often: {now} ({of}), usually {usual}"
        case Kind.STUCK:
            n = int(found.facts["n"])
            runs = "A run" if n == 1 else f"{n} runs"
            return f"{runs} of {name} {'is' if n == 1 else 'are'} stuck: at work for {now}, usually at most {usual}"
        case Kind.FINDINGS if found.facts.get("is_new") or not found.expected.value:
            return f"{name} breaks {found.series.detail} now: {of} runs, none before"
        case Kind.FINDINGS:
            return f"{name} breaks {found.series.detail} {'more' if up else 'less'} often: {now}, usually {usual}"
        case Kind.VOLUME:
            more = "More" if up else "Fewer"
            return f"{more} runs of {name} than usual: {now} arrived, about {usual} expected"
        case Kind.SATURATION:
            return f"Queue {name} was full with runs waiting {now} of the time, usually {usual}"
        case Kind.MISSED_RUN | Kind.LATE_RUN | Kind.DOUBLE_RUN:
            return _schedule_title(found, name, zone)
        case Kind.NEW_ERROR:
            return f"{name} fails with an error not seen before: {found.series.detail} ({_runs(found.observed.hits)})"
        case Kind.SILENCE:
            what = "No run of" if found.series.subject.type == "task" else "No telemetry from"
            since = moment(found.from_ns, zone)
            until = "" if found.facts["goes_on"] else f" until {moment(found.to_ns, zone)}"
            return f"{what} {name} {'since' if found.facts['goes_on'] else 'from'} {since}{until}"
        case _:
            return _pace_title(found, name, up)


def _usual(found: Found) -> str:
    share = found.expected.value
    if found.unit == "share" and share is not None and share < _ALMOST_NEVER:
        return "almost never"
    return value(share, found.unit)


def _pace_title(found: Found, name: str, up: bool) -> str:
    f = found.facts
    what, now, before = "median", f["median_ns"], f["median_before_ns"]
    if not now or not before or max(now, before) < 1.2 * min(now, before):
        what, now, before = "90th percentile", f["p90_ns"], f["p90_before_ns"]
    how = {
        Kind.DURATION: f"{name} takes {'longer' if up else 'less time'}",
        Kind.OPERATION_DURATION: f"{name} takes {'longer' if up else 'less time'}",
        Kind.CALL_DURATION: f"Calls to {name} take {'longer' if up else 'less time'}",
        Kind.QUEUE_WAIT: f"Runs wait {'longer' if up else 'less'} in queue {name}",
    }[found.kind]
    return f"{how}: {what} {duration(now)}, usually {duration(before)}"


def _schedule_title(found: Found, name: str, zone: str) -> str:
    off: list[Deviation] = found.facts["off"]
    n = len(off)
    at = f"{local(off[0].slot_ns, zone):%H:%M}"
    if found.kind is Kind.MISSED_RUN:
        return (
            f"{name} did not run at {at}" if n == 1 else f"{name} missed {n} of {found.facts['slots']} scheduled runs"
        )
    if found.kind is Kind.LATE_RUN:
        most = max((d.came_ns or d.slot_ns) - d.slot_ns for d in off)
        return f"{name} ran {length(most)} late" if n == 1 else f"{n} runs of {name} came late, up to {length(most)}"
    return f"{name} ran twice at {at}" if n == 1 else f"{name} ran twice {n} times"


def _runs(n: int | None) -> str:
    return "1 run" if n == 1 else f"{count(n)} runs"


def text(
    found: Found,
    *,
    zone: str,
    to_ns: int,
    error: tuple[str, int, int] | None = None,
    differences: Sequence[Difference] = (),
    nearest: Change | None = None,
    several: bool = False,
) -> str:
    """Return some short sentences about *found*. *to_ns*: until when was judged."""
    said = [_what(found, zone)]
    if found.is_level:
        said.append(f"It has been so since {moment(found.from_ns, zone)}; from now on it counts as usual.")
    elif found.to_ns >= to_ns and found.kind not in _SINGLE:
        said.append("It goes on.")
    if error is not None and found.kind is not Kind.NEW_ERROR:
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


def together(found: Sequence[Found], several: bool) -> str:
    """Return in few words what else was seen: one phrase for all subjects that show the same."""
    phrases: dict[str, list[str]] = {}
    for f in found:
        before, up, down = _BRIEF[f.kind]
        of = counts(f.observed) if f.kind in (Kind.FAILURES, Kind.CALL_FAILURES, Kind.OPERATION_FAILURES) else ""
        name = f"{before}{subject(f, several)}{f' ({of})' if of else ''}"
        phrases.setdefault(down if f.direction == "down" else up, []).append(name)
    return "; ".join(f"{_and(names)} {what}" for what, names in phrases.items())


def _and(names: Sequence[str]) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} and {last}" if first else last


def _near(change: Change, found: Found, zone: str) -> str:
    apart = change.at_ns - found.from_ns
    when = moment(change.at_ns, zone)
    far = "" if abs(apart) < HOUR_NS else f", {length(abs(apart))} {'before' if apart < 0 else 'after'} it began"
    return f"Near its beginning: {change.label} ({when}{far})."


def paced(found: Found) -> str:
    """Return what the share of slow (or fast) ones is a share of, for a chart."""
    return f"share of {_TRIALS[found.kind][0]} that {_beyond(found)}"


def _beyond(found: Found) -> str:
    verb = "waited" if found.kind is Kind.QUEUE_WAIT else "took"
    return f"{verb} {'more' if found.direction == 'up' else 'less'} than {length(found.threshold_ns)}"


def length(ns: float | None) -> str:
    """Return a duration as in a sentence: 5 min, not 5.0 min."""
    return duration(ns).replace(".0 ", " ")


def _about(expected: float) -> str:
    """Return an expected number: whole where it is ten or more."""
    return value(float(round(expected)) if expected >= 10 else round(expected, 1), "count")


def _what(found: Found, zone: str) -> str:
    f = found.facts
    if found.kind is Kind.VOLUME:
        low, high = found.expected.low, found.expected.high
        return "" if low is None or high is None else f"{count(round(low))} to {count(round(high))} are usual."
    if found.kind in _TRIALS and "x" in f and found.kind not in _PACES and not f.get("is_new"):
        trials, verb = _TRIALS[found.kind]
        told = f"{count(f['x'])} of {count(f['n'])} {trials} {verb}"
        return f"{told}, where {_about(f['expected'])} are usual{_range(found)}."
    if found.kind in _PACES:
        told = f"{count(f['x'])} of {count(f['n'])} {_TRIALS[found.kind][0]} {_beyond(found)}"
        return f"{told}, where {_about(f['expected'])} are usual{_range(found)}."
    match found.kind:
        case Kind.SATURATION:
            return f"On average over {_hours(f['hours'])}; up to {value(found.expected.high, 'share')} is usual then."
        case Kind.MISSED_RUN | Kind.LATE_RUN | Kind.DOUBLE_RUN:
            return _kept(found, zone)
        case Kind.NEW_ERROR:
            return f"None of {count(f['n_before'])} runs in the {HISTORY_DAYS} days before ended so."
        case Kind.FINDINGS:
            return f"None of {count(f['n_before'])} runs in the {HISTORY_DAYS} days before did."
        case Kind.SILENCE:
            about = value(found.expected.value, "count")
            noun = "runs" if found.series.subject.type == "task" else "records"
            return f"In as many hours there are usually about {about} {noun}; others went on sending."
        case _:
            return f"From {count(f.get('usual_n'))} attempts that ended it is known how long is usual."


def _hours(n: int) -> str:
    return "1 hour" if n == 1 else f"{n} hours"


def _range(found: Found) -> str:
    low, high, n = found.expected.low, found.expected.high, found.facts["n"]
    if low is None or high is None:
        return ""
    return f" ({count(round(low * n))} to {count(round(high * n))})"


def _kept(found: Found, zone: str) -> str:
    cadence: Interval | Slots = found.facts["cadence"]
    off: list[Deviation] = found.facts["off"]
    told = f"From {count(cadence.n)} runs before it is known to run {pace(cadence)}."
    if found.kind is Kind.MISSED_RUN and len(off) > 1:
        times = [f"{local(d.slot_ns, zone):%H:%M}" for d in off]
        return f"Missing are {times[0]} to {times[-1]}. {told}"
    if found.kind is Kind.MISSED_RUN:
        return f"{told} Nothing came within {length(cadence.grace_ns)} of {moment(off[0].slot_ns, zone)}."
    came = off[0].came_ns
    at = f"{local(came, zone):%H:%M}" if came is not None else ""
    if found.kind is Kind.LATE_RUN:
        return f"{told} The run of {local(off[0].slot_ns, zone):%H:%M} came at {at}."
    return f"{told} Another run came at {at}."


def _whole(ns: int) -> int:
    """Return an interval to the second where it is a minute or more: arrivals come a moment early or late."""
    return round(ns / 10**9) * 10**9 if ns >= 60 * 10**9 else ns


def pace(cadence: Interval | Slots) -> str:
    """Return a cadence in words."""
    if isinstance(cadence, Interval):
        return f"every {length(_whole(cadence.every_ns))}"
    days = frozenset().union(*(d for _, d in cadence.times))
    on = "every day" if len(days) == 7 else "Monday to Friday" if days == frozenset(range(5)) else _listed(days)
    times = ", ".join(f"{s // 3600:02d}:{s % 3600 // 60:02d}" for s, _ in cadence.times[:4])
    return f"{on} at {times}{' …' if len(cadence.times) > 4 else ''} ({cadence.zone})"


def _listed(days: frozenset[int]) -> str:
    return "on " + ", ".join(_DAYS[d] for d in sorted(days))


def baseline(found: Found) -> str:
    """Return what the expectation rests on."""
    f = found.facts
    if found.kind in (Kind.MISSED_RUN, Kind.LATE_RUN, Kind.DOUBLE_RUN):
        return "The cadence of the task's own arrivals before the period"
    if "history_n" not in f:
        return (
            "The same hours of the day before the period" if found.kind is Kind.SATURATION else "What was seen before"
        )
    days = max(1, round(f["history_days"]))
    trials, verb = _TRIALS.get(found.kind, ("runs", "arrived"))
    told = f"{count(f['history_n'])} {trials} {verb}"
    if found.kind is not Kind.VOLUME:
        told = f"{count(f['history_x'])} of {count(f['history_n'])} {trials} {verb or 'did'}"
    return f"{told} in the {days} {'day' if days == 1 else 'days'} before, weighted by age and hour of the day"


def threshold(found: Found, options: Options) -> str:
    """Return what had to be exceeded."""
    match found.kind:
        case Kind.VOLUME:
            return (
                f"At least {options.volume_least_ratio:g} times (or one in {options.volume_least_ratio:g} of) the "
                f"expected number, {options.volume_least_excess:g} runs apart, q of at most {options.volume_q:g}"
            )
        case Kind.SATURATION:
            return (
                f"{options.gauge_z:g} median absolute deviations and {100 * options.gauge_least_difference:g} points "
                f"away from the usual, in {options.gauge_of[0]} of {options.gauge_of[1]} hours"
            )
        case Kind.MISSED_RUN | Kind.LATE_RUN | Kind.DOUBLE_RUN:
            return f"More than {length(found.facts['cadence'].grace_ns)} away from its time"
        case Kind.NEW_ERROR:
            return "Never before, three runs now, and a chance of at most 1 in 1,000 that it only came up now"
        case Kind.SILENCE:
            return "A chance of at most 1 in 10 million that as many hours are empty"
        case Kind.STUCK if found.unit == "ns":
            return "Three times the 95th percentile, the 99th and a minute, and silent for longer than usual"
        case _ if found.facts.get("is_new"):
            return "Never before, three runs now, and a chance of at most 1 in 1,000 that it only came up now"
    is_pace = found.kind in _PACES
    difference = 100 * (options.pace_difference if is_pace else options.least_difference)
    ratio = options.pace_ratio if is_pace else options.least_ratio
    return (
        f"At least {options.least_n} in the window, {ratio:g} times the expected share, "
        f"{difference:g} {'point' if difference == 1 else 'points'} and {options.least_excess:g} beyond it, "
        f"q of at most {options.q:g}"
    )
