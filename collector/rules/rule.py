"""What a rule is: one object that registry, `explain`, docs, tests, API and pages derive from.

A *record rule* judges each log record by polars expressions over the columns that `records.prepare` makes.
A *frame rule* (grain run, task or queue) looks at the run model and returns one row per violation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Literal

import polars as pl

from collector.rules.frames import Frames

Severity = Literal["error", "warning", "info"]
Grain = Literal["record", "run", "task", "queue"]
Option = int | float | str | bool | tuple[str, ...] | tuple[int, ...]
Options = Mapping[str, Any]
Finding = Mapping[str, Any]
"""A grouped finding as `findings.py` builds it: what `message` and `remedy` may speak of."""
Text = str | Callable[[Finding], str]
"""What is said of a finding: a template of `str.format` with `FIELDS` of the finding, in which a brace of its own is
written twice, `{details}` joins with commas and `{details: or }` with that word; or a function, where the text chooses.
"""
FIELDS = ("project", "code", "severity", "task_id", "operation", "key", "count", "runs", "details")
"""What a template may name."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
HEADINGS = ("Why", "How to fix", "Not flagged")

HITS = pl.Schema(
    {
        "project": pl.String,
        "run_key": pl.String,
        "task_id": pl.String,
        "operation": pl.String,
        "key": pl.String,
        "time_ns": pl.Int64,
        "version": pl.String,
        "severity": pl.String,
        "detail": pl.String,
        "table": pl.String,
        "seq": pl.Int64,
        "row": pl.Int64,
        "count": pl.Int64,
    }
)
"""One row per violation. A frame rule may leave columns out: `severity` falls back to the rule's, `count` to 1;
`table`, `seq` and `row` name a raw record that shows it; `detail` is what was seen, in words, without values."""


@dataclass(frozen=True, slots=True)
class Case:
    """Telemetry a rule is tried on: log records and spans of `rules.cases`, and which finding is expected."""

    logs: tuple[dict[str, Any], ...] = ()
    spans: tuple[dict[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    """The finding's key, where the case says one."""
    severity: Severity | None = None
    """The finding's severity, where it is not the rule's."""
    live_after_s: float | None = None
    """The case is looked at live, so many seconds after its last record."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Stated concurrency limits, by queue."""
    say: str = ""
    """What the case shows, for the rule's page."""


Finder = Callable[[Frames, Options], pl.LazyFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. It judges by `where` or `keys` (grain record), by `each` (run) or by `across` (task, queue).

    One of tasks may have both: what a run shows by itself is told at once.
    """

    code: str
    slug: str
    severity: Severity
    grain: Grain
    doc: str
    """Summary line, then the sections Why, How to fix, Not flagged."""
    sentences: tuple[str, ...] = ()
    """Sentences of the guideline it proves or refutes (`guideline.SENTENCES`)."""
    needs: tuple[str, ...] = ("logs",)
    """What it looks at: logs (of tasks), spans, run_logs and run_spans (those of runs alone), records (every one),
    runs, attempts, phases, waits, personal (`privacy.scan`). `rules.checked` counts by it."""
    options: Mapping[str, Option] = field(default_factory=dict)
    on: bool = True
    marks: Mapping[str, pl.Expr] = field(default_factory=dict)
    """Record rules: columns computed record by record from the raw ones, few distinct values each."""
    where: Callable[[Options], pl.Expr] | None = None
    """Record rules: Boolean, true where the record violates."""
    keys: Callable[[Options], pl.Expr] | None = None
    """Record rules: List(String), the offending keys; one finding each. Wins over `where`."""
    level: Callable[[Options], pl.Expr] | None = None
    """Record rules: String, a severity below the rule's own where the case is weaker."""
    names: Callable[[Options], pl.Expr] | None = None
    """Record rules: String, what stands for the operation where the message has none."""
    each: Finder | None = None
    """Rows of `HITS` that a run shows by itself, with its parent and children."""
    across: Finder | None = None
    """Rows of `HITS` that only many runs together show, and none that `each` returns."""
    message: Text
    remedy: Text | None = None
    """None: what the documentation says under How to fix."""
    bad: tuple[Case, ...] = ()
    good: tuple[Case, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a template that names what no finding has."""
        for text in (self.message, self.remedy):
            for _, name, _, _ in Formatter().parse(text) if isinstance(text, str) else ():
                if name is not None and name not in FIELDS:
                    raise ValueError(f"{self.code}: a template may not name {name!r}; there are {', '.join(FIELDS)}")

    @property
    def family(self) -> str:
        """Return the letters of the code."""
        return self.code.rstrip("0123456789")

    @property
    def summary(self) -> str:
        """Return the first line of the documentation."""
        return inspect.cleandoc(self.doc).split("\n", 1)[0]

    def section(self, heading: str) -> str:
        """Return the text under *heading* of the documentation."""
        text = inspect.cleandoc(self.doc)
        _, _, rest = text.partition(f"\n{heading}:")
        ends = [at for other in HEADINGS if (at := rest.find(f"\n{other}:")) >= 0]
        return " ".join(rest[: min(ends)].split() if ends else rest.split())

    def write_message(self, finding: Finding) -> str:
        """Return what is wrong in the words of *finding*."""
        return _written(self.message, finding)

    def write_remedy(self, finding: Finding) -> str:
        """Return what to do about *finding*."""
        return self.section("How to fix") if self.remedy is None else _written(self.remedy, finding)


class _Details(tuple[str, ...]):
    """The details of a finding, joined by what a template asks for."""

    def __format__(self, between: str) -> str:
        return (between or ", ").join(self)


def _written(text: Text, finding: Finding) -> str:
    if callable(text):
        return text(finding)
    return text.format_map({**finding, "details": _Details(finding["details"] or ())})
