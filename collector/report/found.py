"""What was found before it is explained and told: its numbers, and the facts that its detector knows beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from collector.analyse.anomalies.schedules import Deviation, Interval, Slots
from collector.model.report import Backtest, Chart, Checked, Kind, Span, Value
from collector.report.subjects import Series

Direction = Literal["up", "down"]
F = TypeVar("F", bound="Facts")


class Facts:
    """Further numbers for the words, of a type for each detector."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rate(Facts):
    """Hits *x* of *n* trials where *expected* hits were; `history_…` of the 28 days before."""

    n: int
    x: int
    expected: float
    history_n: int
    history_x: int
    history_days: float


@dataclass(frozen=True, slots=True)
class Pace(Rate):
    """A rate of durations beyond *threshold_ns*, with medians and 90th percentiles of span and history."""

    threshold_ns: int
    median_ns: float | None
    median_before_ns: float | None
    p90_ns: float | None
    p90_before_ns: float | None


@dataclass(frozen=True, slots=True)
class Full(Facts):
    """So many hours in which a queue was full."""

    hours: int


@dataclass(frozen=True, slots=True)
class Off(Facts):
    """Runs of a schedule that were not kept, of so many *slots*."""

    cadence: Interval | Slots
    off: tuple[Deviation, ...]
    slots: int


@dataclass(frozen=True, slots=True)
class Long(Facts):
    """*n* runs at work far longer than *usual_n* attempts before."""

    n: int
    usual_n: int


@dataclass(frozen=True, slots=True)
class New(Facts):
    """What none of *n_before* runs showed."""

    n_before: int


@dataclass(frozen=True, slots=True)
class Silent(Facts):
    """Nothing came; *goes_on*: nor has since."""

    goes_on: bool


@dataclass(frozen=True, slots=True)
class Test:
    """Series, metric and direction of the core's test that fired."""

    series: str
    metric: str
    direction: str


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One thing that differs, in numbers."""

    series: Series
    direction: Direction | None
    from_ns: int
    to_ns: int
    unit: Literal["share", "ns", "count"]
    observed: Value
    expected: Value
    facts: Facts
    excess: float | None = None
    q: float | None = None
    is_level: bool = False
    chart: Chart | None = None
    run_keys: tuple[str, ...] = ()
    """Affected runs, where detection knows them."""
    backtest: Backtest | None = None
    test: Test | None = None
    together: tuple[Found, ...] = ()
    """What was seen at the same time and most likely has the same cause."""

    def of(self, facts: type[F]) -> F:
        """Return its facts, which are those of one detector."""
        assert isinstance(self.facts, facts)
        return self.facts

    @property
    def kind(self) -> Kind:
        """Return what it is about."""
        return self.series.kind

    @property
    def span(self) -> Span:
        """Return its stretch of time."""
        return Span(from_ns=self.from_ns, to_ns=self.to_ns)

    @property
    def threshold_ns(self) -> int | None:
        """Return the duration beyond which a run is affected."""
        return self.facts.threshold_ns if isinstance(self.facts, Pace) else None


@dataclass(frozen=True, slots=True)
class Look:
    """What one part of detection found, and what it looked at."""

    found: list[Found]
    checked: list[Checked]
