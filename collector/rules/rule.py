"""What a rule is: one object that registry, `explain`, docs, tests, API and pages derive from.

A *record rule* judges each log record by polars expressions over the columns that `records.prepare` makes.
A *frame rule* (grain run, task or queue) looks at the run model and returns one row per violation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from collector.rules.frames import Frames

Severity = Literal["error", "warning", "info"]
Grain = Literal["record", "run", "task", "queue"]
Option = int | float | str | bool | tuple[str, ...] | tuple[int, ...]
Options = Mapping[str, Any]
Finding = Mapping[str, Any]
"""A grouped finding as `findings.py` builds it: what `message` and `remedy` may speak of."""

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
    """One rule. `find` is an expression builder (grain record) or a frame function."""

    code: str
    slug: str
    severity: Severity
    grain: Grain
    doc: str
    """Summary line, then the sections Why, How to fix, Not flagged."""
    sentences: tuple[str, ...] = ()
    """Sentences of the guideline it proves or refutes (`guideline.SENTENCES`)."""
    needs: tuple[str, ...] = ("logs",)
    """What it looks at: logs, spans, runs, attempts, phases, waits, personal (`privacy.scan`)."""
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
    find: Finder | None = None
    """Frame rules: rows of `HITS`."""
    across: Finder | None = None
    """Rules of grain run: rows of `HITS` that only many runs together show, and none that `find` returns."""
    message: Callable[[Finding], str]
    remedy: Callable[[Finding], str]
    bad: tuple[Case, ...] = ()
    good: tuple[Case, ...] = ()

    @property
    def family(self) -> str:
        """Return the letters of the code."""
        return self.code.rstrip("0123456789")

    @property
    def alone(self) -> Finder | None:
        """Return what judges runs one by one, each with its parent and children."""
        return self.find if self.grain == "run" else None

    @property
    def together(self) -> Finder | None:
        """Return what has to see many runs at once."""
        return self.across if self.grain in ("record", "run") else self.find

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
