"""`runwell doctor`: what is well, what is not, and what to paste."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from collector.cli import exits
from collector.cli.access import ANYBODY
from collector.cli.options import DEFAULT, CommonOptions

if TYPE_CHECKING:
    from collector.doctor.checks import Report
    from collector.doctor.connect import Exporter

_MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def doctor(
    *,
    format: Annotated[Literal["text", "json"], Parameter(help="Form of the report.")] = "text",
    exporter: Annotated[
        Literal["trigger-dev", "python", "js", "collector", "otlp"] | None,
        Parameter(help="Show the settings of this exporter [default: those seen lately]."),
    ] = None,
    common: CommonOptions = DEFAULT,
) -> int:
    """Look at ports, data, disk, versions, both processes, what was refused or set aside, clocks and exporters.

    Works with and without a running collector.
    """
    from collector.doctor.checks import examine

    report = examine(common.settings(), ANYBODY.access())
    chosen = [exporter] if exporter else report.exporters
    written = _json(report, chosen) if format == "json" else _text(report, chosen)
    sys.stdout.write(written)
    sys.stdout.flush()
    return exits.FOUND if report.problems else exits.DONE


def _settings(report: Report, chosen: list[Exporter]) -> dict[str, str]:
    from collector.doctor.connect import SETTINGS

    return {kind: SETTINGS[kind](report.http, report.grpc) for kind in chosen}


def _json(report: Report, chosen: list[Exporter]) -> str:
    document = {
        "problems": report.problems,
        "checks": [asdict(check) for check in report.checks],
        "senders": [asdict(sender) for sender in report.senders],
        "settings": _settings(report, chosen),
    }
    return json.dumps(document, indent=2) + "\n"


def _text(report: Report, chosen: list[Exporter]) -> str:
    from collector.doctor.exporters import name
    from collector.model import shown

    lines = [f"{_MARKS[check.state]} {check.message}" for check in report.checks]
    if report.senders:
        lines.append("\nSeen in the last 24 hours, the latest first:")
        lines += [
            f"  {s.signal:<8} {s.encoding:<9} {s.dialect or 'no records':<12} {s.records:>9} records"
            f" in {s.requests:>7} requests  {name(s)}"
            for s in report.senders
        ]
    for kind, paste in _settings(report, chosen).items():
        lines.append(f"\nSettings for {kind}:\n")
        lines.append(paste.rstrip())
    problems = f"{report.problems} problems" if report.problems != 1 else "1 problem"
    lines.append(f"\n{problems if report.problems else 'No problem'} found.")
    # A service's name is a sender's text, and must not steer the terminal.
    return shown.lines("\n".join(lines)) + "\n"
