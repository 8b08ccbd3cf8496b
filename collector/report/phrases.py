"""Parts of sentences that several kinds of anomaly share: numbers, durations and what they rest on, in words."""

from __future__ import annotations

from collector.analyse.anomalies.options import Options
from collector.model.shown import count
from collector.model.verdict import value
from collector.report.found import Found, Rate

_ALMOST_NEVER = 0.001


def usual(found: Found) -> str:
    """Return what is expected, as in a title."""
    share = found.expected.value
    if found.unit == "share" and share is not None and share < _ALMOST_NEVER:
        return "almost never"
    return value(share, found.unit)


def now(found: Found) -> str:
    """Return what was seen, as in a title."""
    return value(found.observed.value, found.unit)


def more(found: Found) -> str:
    """Return in which direction it differs: more or less."""
    return "more" if found.direction == "up" else "less"


def runs(n: int | None) -> str:
    """Return a number of runs."""
    return "1 run" if n == 1 else f"{count(n)} runs"


def hits(found: Found, did: str) -> str:
    """Return how many trials did what (*did*: noun and verb), beside how many usually do, with the 95 % range."""
    f = found.of(Rate)
    low, high = found.expected.low, found.expected.high
    around = "" if low is None or high is None else f" ({count(round(low * f.n))} to {count(round(high * f.n))})"
    return f"{count(f.x)} of {count(f.n)} {did}, where {_about(f.expected)} are usual{around}."


def _about(expected: float) -> str:
    """Return an expected number: whole where it is ten or more."""
    return value(float(round(expected)) if expected >= 10 else round(expected, 1), "count")


def history(facts: Rate, numbers: str) -> str:
    """Return what was *numbers* in the days before."""
    days = max(1, round(facts.history_days))
    return f"{numbers} in the {days} {'day' if days == 1 else 'days'} before, weighted by age and hour of the day"


def beyond_chance(options: Options, ratio: float, difference: float, q: float) -> str:
    """Return what a test of shares had to exceed."""
    points = 100 * difference
    return (
        f"At least {options.least_n} in the window, {ratio:g} times the expected share, "
        f"{points:g} {'point' if points == 1 else 'points'} and {options.least_excess:g} beyond it, "
        f"{options.usual_margin:g} times as unusual as any day before, q of at most {q:g}"
    )
