"""Which figures the product tells, and which of them nobody has compared: each of those is named here, with a reason.

Enter: rows of the API as they are asked for, verdicts. Leave: a verdict for each figure that is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.truth.compare import WRONG, Verdict
from bench.truth.fact import Fact

_OF_ROWS = {
    **dict.fromkeys(("low", "high"), "intervals are of what could have been: tests/analyse/test_numbers.py"),
    **dict.fromkeys(("provenance", "coverage", "n", "note", "unit"), "said about the figure, and judged with it"),
}
NOT_COMPARED: Mapping[str, Mapping[str, str]] = {
    "failures": _OF_ROWS,
    "funnel": _OF_ROWS,
    "holders": {
        "held_ns": "from_ns, to now",
        "is_orphan": "who died and was not seen for an hour holds nothing: told by its absence",
        "provenance": "judged with each figure",
    },
    "stuck": {
        "since_ns": "when its attempt began (`holders`) or fell silent (now less silent_ns)",
        "provenance": "judged with each figure",
    },
    "retrying": {
        **dict.fromkeys(("error_type", "error_message", "error_group"), "words of the record, no numbers"),
        **dict.fromkeys(
            ("expected_ns", "late_ns", "given_up_ns"),
            "failed_ns and what is usual of gaps: tests/analyse/test_stuck.py",
        ),
        **dict.fromkeys(("n", "provenance"), "said about the figure"),
    },
    "eta": {
        "waiting": "how many are told to wait (`backlog`)",
        "n": "counts of the week (`durations`)",
        "started": "counts of starts (`throughput`)",
        "delayed_until_ns": "stated by the record",
        "provenance": "judged with each figure",
        "note": "says why there is none",
        **dict.fromkeys(
            ("starts_low_ns", "starts_high_ns", "ends_low_ns", "ends_high_ns"),
            "compared as a range: how often it holds",
        ),
    },
}
"""By statistic the figures that are not compared, and why."""
_KEYS = frozenset(
    [
        "project",
        "task_id",
        "environment",
        "platform_project",
        "queue",
        "run_id",
        "run_key",
        "population",
        "version",
        "hour_ns",
        "attempt",
    ]
)
"""What tells rows apart."""
_NUMBERS = ("measure", "statistic")


class Told:
    """The figures that have been told and compared so far."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._told: dict[str, set[str]] = {}
        self._compared: dict[str, set[str]] = {}

    def add(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Take note of the figures that *rows* of a statistic tell."""
        told = self._told.setdefault(name, set())
        for row in rows:
            if all(n in row for n in _NUMBERS):
                told.add(f"{row['measure']} {row['statistic']}")
            else:
                told |= row.keys() - _KEYS

    def compared(self, verdict: Verdict) -> None:
        """Take note of the figure that a verdict is of."""
        of = self._compared.setdefault(verdict.statistic.split()[0], set())
        key = [str(part) for part in verdict.key]
        # A measure stands before its statistic, with an outcome between them or not.
        of |= {key[-1], " ".join(key[-2:]), " ".join((*key[-3:-2], *key[-1:]))}

    def left(self) -> list[Verdict]:
        """Return a verdict for each figure that is neither compared nor named above, and each that was never told."""
        forgotten = [
            (name, figure)
            for name in self._names
            for figure in sorted(
                self._told.get(name, {"every figure"}) - self._compared.get(name, set()) - {*NOT_COMPARED.get(name, ())}
            )
        ]
        row = {"value": None}
        return [Verdict(n, (f,), Fact(None), row, WRONG, "neither compared nor named") for n, f in forgotten]
