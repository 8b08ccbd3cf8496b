"""What a report says in a sentence, and its values and times in words. Pure functions of the report's own numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from collector.model.report import Anomaly, Backtest, Chart, Report, Span, Value
from collector.model.shown import NONE, count, duration, percent, unit_of


def verdict(report: Report) -> str:
    """Return the one sentence for somebody with no time: what is new, else what goes on, else that nothing is."""
    new = [a for a in report.anomalies if a.state == "new"]
    ongoing = len(report.anomalies) - len(new)
    goes_on = f"{_counted(ongoing, 'anomaly goes', 'anomalies go')} on" if ongoing else ""
    if new:
        rest = [_counted(len(new) - 1, "more is new", "more are new")] if len(new) > 1 else []
        rest += [goes_on] if goes_on else []
        rest += [f"{report.more} more are not shown"] if report.more else []
        return "; ".join([headline(new[0]), *rest]) + "."
    if goes_on:
        return f"Nothing new; {goes_on}: {headline(report.anomalies[0])}."
    assessed = sum(c.assessed for c in report.checked)
    if not assessed:
        return "Nothing could be assessed: there is too little telemetry to tell what is usual."
    return "Nothing to report: everything that could be assessed is as usual."


def headline(a: Anomaly) -> str:
    """Return an anomaly's title, with how many tasks it makes differ where it is of none itself."""
    tasks = {name for t in a.together if (name := t.subject.name if t.subject.type == "task" else t.subject.task_id)}
    title = a.title.rstrip(".")
    if a.cause is not None or a.subject.type not in ("service", "queue") or not tasks:
        return title
    return f"{title}, {len(tasks)} {'task' if len(tasks) == 1 else 'tasks'} affected"


def _counted(n: int, one: str, many: str) -> str:
    return f"1 {one}" if n == 1 else f"{n} {many}"


def value(number: float | None, unit: str) -> str:
    """Return a number in *unit* (share, ns, count) as people read it; None is a dash."""
    if number is None:
        return NONE
    if unit == "share":
        return percent(number, 1 if abs(number) >= 0.01 or number == 0 else 2)
    if unit == "ns":
        return duration(number)
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:,.1f}"


def counts(number: Value) -> str:
    """Return what a share rests on, such as `62 of 134`; empty when it says nothing."""
    if number.n is None:
        return ""
    return f"n {count(number.n)}" if number.hits is None else f"{count(number.hits)} of {count(number.n)}"


def interval(number: Value, unit: str) -> str:
    """Return the bounds of the 95 % interval in words; empty when there are none."""
    if number.low is None or number.high is None:
        return ""
    return f"{value(number.low, unit)} to {value(number.high, unit)}"


def fact(number: Value, unit: str) -> str:
    """Return a number with its counts and interval, such as `59.0 % (124 of 210, 52.0 % to 65.0 %)`."""
    rest = ", ".join(part for part in (counts(number), interval(number, unit)) if part)
    return f"{value(number.value, unit)} ({rest})" if rest else value(number.value, unit)


def q_value(q: float | None) -> str:
    """Return the false discovery rate in words; empty where no test was made."""
    if q is None:
        return ""
    return "q < 1e-12" if q < 1e-12 else f"q = {q:.1g}" if q < 0.001 else f"q = {q:.3f}"


def backtest(tried: Backtest | None) -> str:
    """Return how often the same test would have fired before; empty when it was not tried."""
    if tried is None:
        return ""
    times = "once" if tried.fired == 1 else f"{tried.fired} times"
    fired = f"have fired {times}" if tried.fired else "not have fired"
    assessed = f"{tried.assessed_days:.{0 if tried.assessed_days == int(tried.assessed_days) else 1}f}"
    return f"The same test would {fired} in the {tried.days} days before ({assessed} of them had enough data)."


def local(ns: int, zone: str) -> dt.datetime:
    """Return the moment *ns* in *zone*, to the second."""
    return dt.datetime.fromtimestamp(ns // 10**9, ZoneInfo(zone))


def moment(ns: int, zone: str, *, year: bool = False) -> str:
    """Return a moment such as `Mon 23 Nov, 02:10`."""
    at = local(ns, zone)
    return f"{at:%a} {at.day} {at:%b %Y}, {at:%H:%M}" if year else f"{at:%a} {at.day} {at:%b}, {at:%H:%M}"


def stretch(span: Span, zone: str, *, year: bool = False) -> str:
    """Return a stretch of time such as `Mon 23 Nov, 02:10 to 07:40`; the second day is named when it is another.

    Where the clocks changed in between, both times carry their zone's name, since an hour then occurs twice or never.
    """
    start, end = local(span.from_ns, zone), local(span.to_ns, zone)
    first, last = (f" {at:%Z}" if start.utcoffset() != end.utcoffset() else "" for at in (start, end))
    if start.date() == end.date():
        return f"{moment(span.from_ns, zone, year=year)}{first} to {end:%H:%M}{last}"
    return f"{moment(span.from_ns, zone)}{first} to {moment(span.to_ns, zone, year=year)}{last}"


def split(report: Report) -> tuple[Sequence[Anomaly], Sequence[Anomaly]]:
    """Return the new anomalies and those that go on, each the gravest first."""
    return (
        [a for a in report.anomalies if a.state == "new"],
        [a for a in report.anomalies if a.state != "new"],
    )


def checked(report: Report) -> str:
    """Return what was looked at to be able to say so."""
    series, assessed, tests = (sum(getattr(c, n) for c in report.checked) for n in ("series", "assessed", "tests"))
    if not series:
        return "No series had data in the period or before it."
    return f"{count(assessed)} of {count(series)} series had enough data to judge; {count(tests)} tests were made."


def changed(now: int, before: int | None) -> str:
    """Return a total's change against the stretch before, such as `+12 %`; empty when there is none to compare."""
    if not before:
        return ""
    return f"{(now / before - 1) * 100:+.0f} %"


def scale(chart: Chart) -> tuple[float, str]:
    """Return what to multiply a chart's values by, and the unit they then have, such as ` min`."""
    if chart.unit == "share":
        return 100, " %"
    if chart.unit == "count":
        return 1, ""
    most = max((v for p in chart.points for v in (p.observed, p.high, p.expected) if v is not None), default=0)
    size, name = unit_of(most)
    return 1 / size, f" {name}"
