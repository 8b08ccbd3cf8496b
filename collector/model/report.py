"""A report: what changed in a period, and what was checked to be able to say so.

Plain values that every part of the product may read: the jobs fill them, `report` renders them, the dashboard shows
them. Rates are shares (0 to 1), durations ns, times ns since 1970; what is not known is None, never 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

VERSION = 1
"""Of this shape; a report of another version is listed but not shown."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Kind(StrEnum):
    """What an anomaly is about, with what its check looks at, in words."""

    label: str

    def __new__(cls, value: str, label: str = "") -> Self:
        """Return the kind *value*, for people *label*."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.label = label
        return made

    FAILURES = "failures", "failure rate"  # share of runs that failed, of those that ended
    RETRIES = "retries", "retry rate"  # share of attempts that repeat another
    DURATION = "duration", "duration"  # share of runs slower than the usual 90th (or faster than the 10th) percentile
    VOLUME = "volume", "runs that arrive"
    CALL_FAILURES = "call_failures", "failure rate of calls"  # share of calls to a service that failed
    CALL_DURATION = "call_duration", "duration of calls"
    OPERATION_FAILURES = "operation_failures", "failure rate of operations"
    OPERATION_DURATION = "operation_duration", "duration of operations"
    QUEUE_WAIT = "queue_wait", "queue wait"
    SATURATION = "saturation", "saturation of queues"  # share of time in which a queue was full while runs waited
    MISSED_RUN = "missed_run", "missed scheduled runs"  # a scheduled run that did not come
    LATE_RUN = "late_run", "late scheduled runs"
    DOUBLE_RUN = "double_run", "scheduled runs that came twice"
    STUCK = "stuck", "stuck runs"
    NEW_ERROR = "new_error", "new errors"  # a group of errors not seen before
    FINDINGS = "findings", "broken conventions"  # a convention that is broken, newly or more often
    SILENCE = "silence", "telemetry gone silent"  # telemetry that used to come and does not


class Subject(_Part):
    """What an anomaly was seen on."""

    type: Literal["task", "queue", "service", "operation", "sender"]
    name: str
    task_id: str | None = None
    """Of an operation."""
    environment: str | None = None
    platform_project: str | None = None


class Span(_Part):
    """A stretch of time: from (included) to (excluded)."""

    from_ns: int
    to_ns: int


class Value(_Part):
    """A number with what it rests on."""

    value: float | None
    low: float | None = None
    high: float | None = None
    """Bounds of its 95 % interval."""
    hits: int | None = None
    n: int | None = None
    """For a share: hits of n."""


class Point(_Part):
    """One bucket of a chart."""

    at_ns: int
    observed: float | None
    n: int | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None


class Chart(_Part):
    """Observed against expected over time, with the anomaly's span to shade and moments to mark."""

    unit: Literal["share", "ns", "count"]
    label: str
    """What the vertical axis shows."""
    bucket_ns: int
    points: tuple[Point, ...]
    marks: tuple[Mark, ...] = ()


class Mark(_Part):
    """A moment on a chart, such as a version's first run."""

    at_ns: int
    label: str


class Difference(_Part):
    """A value of a dimension that is commoner among the affected runs than among the rest of the same span."""

    dimension: str
    value: str
    affected: Value
    """Share of the affected runs that have it."""
    others: Value
    """Share of the other runs of the span that have it."""
    excess_share: float
    """Share of the excess that it accounts for."""


class Change(_Part):
    """Something that changed near the anomaly's beginning."""

    type: Literal["version", "limit", "error"]
    label: str
    at_ns: int
    task_id: str | None = None
    version: str | None = None
    """Of a version: which, and whose first run."""


class RunRef(_Part):
    """A run to look at."""

    run_key: str
    run_id: str
    task_id: str | None
    at_ns: int
    status: str


class Backtest(_Part):
    """How often the same test would have fired before, on the same subject."""

    days: int
    fired: int
    assessed_days: float
    """Of those days, how many had enough data to fire at all."""


class Together(_Part):
    """What was seen at the same time as an anomaly and most likely has the same cause; it is not listed by itself."""

    key: str
    kind: Kind
    subject: Subject
    title: str


class Behind(_Part):
    """What the affected runs of an anomaly have in common."""

    runs: int
    tasks: tuple[str, ...] = ()
    """At most three, the commonest first."""
    queue: str | None = None
    """Where it is the only one."""
    error_group: str | None = None
    """What most of them failed with."""


class Cause(_Part):
    """What the affected runs of several tasks share and the others do not: most likely why all of them differ."""

    dimension: str
    """Such as version, queue or error."""
    value: str


class Anomaly(_Part):
    """Something that differs from what was expected, with the evidence for it."""

    key: str
    """The same as long as it goes on: hash of kind, direction and subject, and of when a level began."""
    kind: Kind
    direction: Literal["up", "down"] | None
    subject: Subject
    span: Span
    state: Literal["new", "ongoing", "resolved"]
    is_level: bool = False
    """It lasts longer than a day: a new level, reported once."""
    expected_by_you: str | None = None
    """What somebody said when calling it expected; it is then listed apart."""
    title: str
    """One line, from the numbers below."""
    text: str
    """Two or three sentences, from the numbers below."""
    unit: Literal["share", "ns", "count"]
    observed: Value
    expected: Value
    baseline: str
    """What the expectation rests on, in words: days, hours of day, counts."""
    excess: float | None = None
    """Observed beyond expected, in runs (or attempts, calls, findings): what anomalies are ranked by."""
    q: float | None = None
    """False discovery rate at which it is still reported; None where no test was made."""
    threshold: str
    """What had to be exceeded, in words."""
    differences: tuple[Difference, ...] = ()
    nearest: Change | None = None
    affected_runs: tuple[RunRef, ...] = ()
    healthy_run: RunRef | None = None
    findings: tuple[str, ...] = ()
    """Codes of conventions that the affected runs break in the span."""
    together: tuple[Together, ...] = ()
    cause: Cause | None = None
    """Of several tasks that are told as one: what they share. The numbers are those of the gravest; all are in
    `together`."""
    detail: str = ""
    """Code of a convention, or a group of errors; empty otherwise."""
    threshold_ns: int | None = None
    """Duration beyond which a run is affected (below which, where `direction` is down)."""
    behind: Behind | None = None
    """None where no run is known to be affected."""
    backtest: Backtest | None = None
    chart: Chart | None = None


class Checked(_Part):
    """What one kind of check looked at."""

    kind: Kind
    series: int
    """Tasks, queues, … with data."""
    assessed: int
    """Those with enough data to judge."""
    too_little: int
    """Those with too little data."""
    tests: int
    not_assessed: str = ""
    """Why nothing of it could be judged, in words; empty otherwise."""


class Gap(_Part):
    """A stretch without telemetry from anybody: not assessed."""

    span: Span
    reason: str


class LeftOut(_Part):
    """Something that could not be judged, and why."""

    part: str
    """Of detection, in words, such as "schedules"."""
    name: str
    """Task, queue or sender; `everything` where no single one is at fault."""
    reason: str


class ToldHours(_Part):
    """Hours that this report or one before it told of, so that no baseline takes them for usual."""

    series: str
    metric: str
    direction: Literal["up", "down"]
    span: Span
    is_level: bool
    told_as: tuple[str, ...] = ()
    """Keys of the anomalies that it was told under, beside its own: of a cause, or of what it was folded into."""


class Report(_Part):
    """What changed in a period. The same store, `as_of_ns` and settings give the same report."""

    version: int = VERSION
    id: str
    """Of schedule, period and as_of: 16 hex."""
    project: str
    schedule: str
    """Name of its schedule; `on demand` for one that was asked for."""
    zone: str
    """IANA name: the zone of its times and of day and week."""
    period: Span
    as_of_ns: int
    previous_id: str | None = None
    """The report that new, ongoing and resolved refer to."""
    anomalies: tuple[Anomaly, ...]
    """New and ongoing, gravest first, at most ten."""
    more: int = 0
    """Anomalies beyond those."""
    expected: tuple[Anomaly, ...] = ()
    """Those that somebody called expected."""
    resolved: tuple[Anomaly, ...] = ()
    checked: tuple[Checked, ...]
    gaps: tuple[Gap, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """What could not be judged because a part of detection failed for it."""
    told: tuple[ToldHours, ...] = ()
    """Of the days that the next report learns from."""
    told_until_ns: int | None = None
    """Up to when `told` is known; None: not at all."""
    totals: Totals
    history_days: float
    """Days of telemetry before the period."""


class Totals(_Part):
    """The period in numbers, beside the same stretch just before it."""

    runs: int
    ended: int
    failed: int
    retried: int
    tasks: int
    before_runs: int | None
    before_ended: int | None
    before_failed: int | None
    before_retried: int | None


for _model in (Chart, Report):
    _model.model_rebuild()
