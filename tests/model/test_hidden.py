"""Characters that cannot be seen, or turn the text around, on every way to somebody who reads."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pyarrow as pa
import pytest

from collector.cli import doctor, sql, stats_table
from collector.doctor.checks import Report
from collector.doctor.found import Check
from collector.model.shown import HIDDEN
from collector.report.notify.message import Message
from collector.rules import catalogue, render
from collector.rules.cases import log
from collector.rules.profiles import choose
from collector.settings import Settings
from dashboard.parts import text
from tests.cli.test_stats_table import frame, row
from tests.report import a_report
from tests.rules.tell import findings as findings_of
from tests.rules.tell import frames

ALL = [chr(n) for n in range(sys.maxunicode) if HIDDEN.match(chr(n))]
OWN = re.compile("\u2060|`\u200b`")
"""What we add: word joiners that part addresses, and what parts the marks that end a block."""


def _stats(given: str) -> str:
    rows = frame(*(row(name, "starts", "count", 1.0, "runs") for name in (given, "other")))
    return stats_table.text("tasks", rows, width=None, every=True)


def _doctor(given: str) -> str:
    return doctor._text(Report([Check("exporter", "ok", given)], [], [], "", ""), [])


def _message(part: str) -> Callable[[str], str]:
    def sent(given: str) -> str:
        anomaly = a_report.failures(title=given, text=given, baseline=given, chart=None)
        return str(getattr(Message(a_report.report(anomaly), "key"), part))

    return sent


def _rules(form: Callable[..., str]) -> Callable[[str], str]:
    def written(given: str) -> str:
        found = findings_of(frames([log(given, task_id=given)]), choose(catalogue.RULES, Settings().rules))
        return form(found, "here")

    return written


EXITS: dict[str, Callable[[str], str]] = {
    "runwell sql": lambda given: sql.write(pa.table({"a": [given], "b": [[given]]}), "table").decode(),
    "CSV": lambda given: sql.write(pa.table({given: [given], "b": [[given]]}), "csv").decode(),
    "runwell stats": _stats,
    "runwell doctor": _doctor,
    "runwell check": _rules(render.text),
    "Markdown of check": _rules(render.markdown),
    "page": lambda given: text.safe(given, 10_000),
    "record on a page": lambda given: text.visible_json([given])[0].replace("\t", ""),
    "chat": _message("chat"),
    "subject": _message("subject"),
    "mail": _message("mail"),
    "Markdown of a report": _message("text"),
    "page of a report": _message("page"),
}


def _parts(exit_: str) -> list[list[str]]:
    """Return all characters in as many parts as the way out needs, since some cut what is long."""
    size = 8 if exit_ in ("runwell sql", "subject") else 32
    return [ALL[i : i + size] for i in range(0, len(ALL), size)]


@pytest.mark.parametrize(
    ("exit_", "hidden"),
    [pytest.param(exit_, part, id=f"{exit_}-{ord(part[0]):x}") for exit_ in EXITS for part in _parts(exit_)],
)
def test_nothing_hidden_leaves_by_any_way(exit_: str, hidden: list[str]) -> None:
    """On the way to a terminal, page, mail, chat or Markdown each character of the list is a code, and none itself."""
    written = EXITS[exit_]("".join(f"a{c}b" for c in hidden))
    left = HIDDEN.findall(OWN.sub("", written).replace("\n", ""))
    assert not left
    plain = written.replace("\\", "").replace("\u2060", "")
    assert all(f"U+{ord(c):04X}" in plain for c in hidden if c not in "\n\t")
