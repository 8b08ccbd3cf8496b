"""What is well and what is not: everything that `runwell doctor` looks at, in order. Looks, never writes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from collector.app.newer import refuse
from collector.client import Access
from collector.control import FILE as CONTROL_FILE
from collector.control import refusals, senders
from collector.control.senders import Sender
from collector.doctor import machine
from collector.doctor.clocks import clock
from collector.doctor.connect import Exporter, at_hand
from collector.doctor.exporters import exporters
from collector.doctor.found import LATELY_NS, Check
from collector.doctor.ports import PORTS, ports
from collector.doctor.receive import receive
from collector.doctor.refused import refused
from collector.doctor.reports import links
from collector.doctor.store import store, waiting
from collector.model.address import http_url
from collector.model.errors import UsageError
from collector.settings import Settings

_FOLLOWS = {
    "control": {"file"},
    "data_set_aside": {"damage"},
    "down": {"file"},
    "full": {"file", "port_http", "port_api", "disk", "store"},
    "lag": {"file", "port_api", "store"},
    "receive": {"file", "port_http", "disk"},
    "store": {"file", "port_api"},
    "unavailable": {"file", "receive", "port_http", "port_grpc", "port_api", "disk", "store"},
}
"""What follows from what: a problem beside one of those is the same problem."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found; *exporters*: the kinds seen lately."""

    checks: list[Check]
    senders: list[Sender]
    exporters: list[Exporter]
    http: str
    grpc: str

    @property
    def problems(self) -> int:
        """Return how many checks found a problem."""
        return sum(check.state == "problem" for check in self.checks)


def examine(settings: Settings, access: Access) -> Report:
    """Look at everything; *access*: how the store is asked."""
    now_ns = time.time_ns()
    running = machine.running(settings)
    # What runs without a dashboard needs no port for one.
    addresses = {
        name: running.get(name) or {"host": settings.host, "port": getattr(settings, f"{name}_port")}
        for name in PORTS
        if name != "dashboard" or name in running or not running
    }
    urls = {name: _url(where) for name, where in addresses.items()}
    control = settings.data / CONTROL_FILE
    if not running and (newer := _newer(settings.data)):
        # Nothing else can be read of it, and some of that would touch it.
        checks = [*ports(addresses, running), newer, machine.disk(settings), machine.versions()]
        return Report(checks, [], at_hand([]), urls["http"], urls["grpc"])
    try:
        if not control.is_file() and (running or control.exists()):
            raise sqlite3.Error("it is gone, or no file")
        sent, gone = senders.read(control), refusals.read(control)
        kept = refused(*gone, now_ns, urls["http"], urls["grpc"])
    except sqlite3.Error as e:
        sent, kept = [], [_unreadable(control, e)]
    seen = [s for s in sent if s.last_ns >= now_ns - LATELY_NS]
    stored, clocks_known = (
        store(urls, settings, sent, now_ns, access) if "api" in running else (waiting(settings), False)
    )
    checks = [
        *ports(addresses, running),
        *machine.directory(settings),
        machine.disk(settings),
        machine.versions(),
        *(receive(urls["http"], settings.data) if "http" in running else []),
        *stored,
        *kept,
        *clock([] if clocks_known else seen),
        *exporters(seen),
        *(links(settings, running) if running else []),
    ]
    return Report(_once(checks), seen, at_hand(seen), urls["http"], urls["grpc"])


def _once(checks: list[Check]) -> list[Check]:
    """Return *checks* with a note for each problem that follows from another, so that one thing is one problem."""
    problems = {check.name for check in checks if check.state == "problem"}
    return [
        replace(check, state="note")
        if check.state == "problem" and problems & _FOLLOWS.get(_kind(check), set())
        else check
        for check in checks
    ]


def _kind(check: Check) -> str:
    """Return what a check is of: its name, or of those that may have many causes the one it tells."""
    reason = str(check.facts.get("reason", ""))
    if check.name == "refused" and reason == "unavailable":
        return reason
    if check.facts.get("listening") is False:
        return "down"
    return "full" if check.name == "receive" and "journal is full" in reason else check.name


def _newer(directory: Path) -> Check | None:
    """Return that a newer runwell wrote *directory*, None where it did not; not a byte of it changes."""
    try:
        asyncio.run(refuse(directory))
    except UsageError as e:
        return Check("version", "problem", str(e))
    return None


def _unreadable(control: Path, error: sqlite3.Error) -> Check:
    told = (
        f"{control} cannot be read ({error}), so who sends and what was refused is unknown; where it is damaged the "
        "next start sets it aside: restart runwell"
    )
    return Check("control", "problem", told)


def _url(where: dict[str, Any]) -> str:
    return http_url(where["host"], where["port"])
