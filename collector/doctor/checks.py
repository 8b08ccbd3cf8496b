"""What is well and what is not: ports, data directory, disk, versions, clock, lag, exporters. Looks, never writes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import time
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

import httpx

from collector import __version__
from collector.api.client import Client
from collector.control import CHECKPOINTED, read_marks
from collector.control import FILE as CONTROL_FILE
from collector.control.senders import Sender, read
from collector.doctor.connect import Exporter, at_hand
from collector.doctor.ports import look
from collector.journal import Reader
from collector.model.address import http_url
from collector.model.errors import Refused
from collector.settings import Settings

State = Literal["ok", "note", "problem"]
LATELY_NS = 24 * 3600 * 10**9
_OFFSET_NS = 10**9
_LAG_S = 60.0
_PORTS = {"http": ("OTLP/HTTP", "receive"), "grpc": ("OTLP/gRPC", ""), "api": ("read API", "store")}
_LIBRARIES = ("duckdb", "polars", "pyarrow", "protobuf", "grpcio", "opentelemetry-sdk", "streamlit")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: *name* of what was looked at, *message* in a sentence, *facts* behind it."""

    name: str
    state: State
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


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


def examine(settings: Settings) -> Report:
    """Look at everything."""
    now_ns = time.time_ns()
    running = _running(settings)
    addresses = {
        name: running.get(name) or {"host": settings.host, "port": getattr(settings, f"{name}_port")} for name in _PORTS
    }
    urls = {name: _url(where) for name, where in addresses.items()}
    senders = [s for s in read(settings.data / CONTROL_FILE) if s.last_ns >= now_ns - LATELY_NS]
    client = Client(urls["api"], timeout_s=10) if running.get("api") else None
    checks = [
        *_ports(addresses, running),
        *_directory(settings),
        _disk(settings),
        _versions(),
        *_receive(urls["http"], running),
        *(_store(client, now_ns) if client else [_waiting(settings)]),
        *_clock(senders),
        *_exporters(senders),
    ]
    return Report(checks, senders, at_hand(senders), urls["http"], urls["grpc"])


def _url(where: dict[str, Any]) -> str:
    return http_url(where["host"], where["port"])


def _running(settings: Settings) -> dict[str, Any]:
    """Return the addresses of the runwell that says it runs on this data directory."""
    try:
        said: dict[str, Any] = json.loads((settings.data / "runwell.json").read_text("utf-8"))
        os.kill(int(said["pid"]), 0)
    except PermissionError:  # another user's, but alive
        return said
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return said


def _ports(addresses: dict[str, dict[str, Any]], running: dict[str, Any]) -> list[Check]:
    checks = []
    for name, where in addresses.items():
        words, role = _PORTS[name]
        found = look(where["host"], where["port"]) if where["port"] else None
        facts = {**where, "process": found.process, "runwell": found.runwell} if found else where
        at = f"{words} {where['host']}:{where['port']}"
        by = f" by {found.process}" if found and found.process else ""
        if name in running:
            if found and found.listening and (not role or found.runwell.startswith(role)):
                checks.append(Check(f"port_{name}", "ok", f"{at}: runwell listens{by}", facts))
            elif found and found.listening:
                checks.append(Check(f"port_{name}", "problem", f"{at}: something else answers{by}; end it", facts))
            else:
                checks.append(Check(f"port_{name}", "problem", f"{at}: nothing listens; restart runwell", facts))
        elif found and found.listening:
            whose = f"runwell {found.runwell} of another data directory" if found.runwell else "something else"
            advice = f"give --data of that one, or --{name}-port to choose another port"
            checks.append(Check(f"port_{name}", "problem", f"{at}: taken by {whose}{by}; {advice}", facts))
        else:
            checks.append(
                Check(f"port_{name}", "note", f"{at}: free; nothing runs here, `runwell up` starts it", facts)
            )
    return checks


def _directory(settings: Settings) -> list[Check]:
    data = settings.data
    if not data.exists():
        return [Check("data", "note", f"{data}: not there yet; the first start creates it", {"path": str(data)})]
    if not data.is_dir() or not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return [Check("data", "problem", f"{data}: is not a directory this user may write to; choose another --data")]
    sizes = {p.name: p.stat().st_size for p in sorted(data.iterdir()) if p.is_file()}
    aside = [name for name in sizes if ".damaged-" in name]
    checks = [
        Check("data", "ok", f"{data}: {sum(sizes.values()) / 2**20:.1f} MiB", {"path": str(data), "bytes": sizes})
    ]
    if aside:
        told = f"{', '.join(aside)}: damaged, set aside at an earlier start; move them away when they are looked at"
        checks.append(Check("data_set_aside", "problem", told, {"files": aside}))
    return checks


def _disk(settings: Settings) -> Check:
    place = next(p for p in (settings.data, *settings.data.absolute().parents) if p.exists())
    free, need = shutil.disk_usage(place).free, int(settings.journal.free_disk)
    facts = {"free_bytes": free, "needed_bytes": need}
    told = f"{free / 2**30:.1f} GiB free on the disk of {place}"
    if free < need:
        return Check(
            "disk", "problem", f"{told}; below journal.free_disk ({need / 2**20:.0f} MiB) nothing is taken", facts
        )
    if free < 4 * need:
        return Check("disk", "note", f"{told}; below {need / 2**20:.0f} MiB nothing is taken any more", facts)
    return Check("disk", "ok", told, facts)


def _versions() -> Check:
    facts = {"runwell": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in _LIBRARIES:
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "missing"
    missing = [name for name, version in facts.items() if version == "missing"]
    told = ", ".join(f"{name} {version}" for name, version in facts.items())
    return Check("versions", "problem" if missing else "ok", told, facts)


def _receive(url: str, running: dict[str, Any]) -> list[Check]:
    if "http" not in running:
        return []
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return [Check("receive", "problem", "receive does not answer; see its log, and restart runwell")]
    if answer.is_success:
        return [Check("receive", "ok", "receive takes requests")]
    return [Check("receive", "problem", f"receive refuses requests: {answer.text[:200]}")]


def _store(client: Client, now_ns: int) -> list[Check]:
    """Return what the running store says of itself, of the times in its records and of its reports."""
    from collector.doctor.reports import reports

    try:
        status = client.status()
        quality = client.query("time_quality", from_ns=now_ns - LATELY_NS).to_dicts()
        skewed = client.query("clock_skew", from_ns=now_ns - LATELY_NS).to_dicts()
        sent = reports(client, now_ns)
    except Refused as e:
        return [Check("store", "problem", e.message)]
    finally:
        client.close()
    behind = status["journal_seq"] - status["runs_seq"]
    facts = {k: status[k] for k in ("journal_seq", "applied_seq", "runs_seq", "lag_s", "newest_received_ns")}
    told = f"{behind} groups behind the journal for {status['lag_s']:.0f} s" if behind else "everything is visible"
    checks = [Check("lag", "problem" if status["lag_s"] > _LAG_S else "ok", told, facts)]
    lost = {k: status[k] for k in ("damaged_groups", "lost_groups", "set_aside") if status[k]}
    if lost:
        told = "the store found damage: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in lost.items())
        checks.append(Check("damage", "problem", f"{told}; see ARCHITECTURE.md for what is kept", lost))
    checks += [_times(row) for row in quality if any(v for k, v in row.items() if k not in ("kind", "records"))]
    checks += [_skew(row) for row in skewed]
    return checks + sent


_TIMES = {
    "missing": "without a time, so arrival stands in",
    "unit_suspect": "not in nanoseconds, converted",
    "future": "more than ten minutes ahead, so arrival stands in",
    "end_before_start": "ending before they start, so without a duration",
    "clamped_queue_waits": "started before they were queued, so their queue wait is raised to 0",
}


def _times(row: dict[str, Any]) -> Check:
    told = "; ".join(f"{row[k]} {text}" for k, text in _TIMES.items() if row[k])
    return Check("times", "note", f"of {row['records']} {row['kind']} of a day: {told}", row)


def _skew(row: dict[str, Any]) -> Check:
    service = str(row["service_name"] or "a service without a name")[:80]
    return _offset(f"{service} (resource {row['resource_id'][:8]})", row["behind_ns"], row)


def _offset(who: str, behind_ns: int, facts: dict[str, Any]) -> Check:
    s = abs(behind_ns) / 1e9
    if behind_ns < 0:
        told = f"the clock of {who} is ahead of this one by at least {s:.1f} s; set both by NTP"
        return Check("clock", "problem", told, facts)
    told = f"the clock of {who} is behind this one, or its records take that long to arrive: {s:.1f} s"
    return Check("clock", "note", told, facts)


def _waiting(settings: Settings) -> Check:
    """Return how far the store is, from the files, while no store runs."""
    if not (settings.data / CONTROL_FILE).exists():
        return Check("lag", "ok", "nothing was received here yet")
    marks = read_marks(settings.data)
    reader = Reader(settings.data)
    try:
        last = reader.last_seq()
    finally:
        reader.close()
    facts = {"journal_seq": last, "applied_seq": marks.get("applied", 0), "checkpointed": marks.get(CHECKPOINTED, 0)}
    behind = last - facts["applied_seq"]
    if behind > 0:
        return Check("lag", "note", f"{behind} groups in the journal wait for the store to start", facts)
    return Check("lag", "ok", "the store had taken up everything when it ended", facts)


def _clock(senders: list[Sender]) -> list[Check]:
    now = time.time()
    checks = [Check("clock", "ok", f"this machine says {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now))}")]
    for s in senders:
        if s.behind_ns is not None and abs(s.behind_ns) > _OFFSET_NS:
            checks.append(_offset(name(s), s.behind_ns, {"sender": name(s), "behind_ns": s.behind_ns}))
    return checks


def name(s: Sender) -> str:
    """Return a sender in words."""
    agent = "-".join(filter(None, (s.agent, s.agent_version)))
    sdk = " ".join(filter(None, (s.language, s.sdk_version)))
    return f"{agent}{f' ({sdk})' if sdk else ''} over {s.transport}"


def _exporters(senders: list[Sender]) -> list[Check]:
    if not senders:
        return [Check("exporters", "note", "nobody has sent anything in the last 24 hours; see the settings to paste")]
    trigger = [s for s in senders if s.dialect == "trigger_dev" and s.agent != "replay"]
    records = {signal: sum(s.records for s in trigger if s.signal == signal) for signal in ("logs", "traces")}
    # The latest counts: an upgrade is not held against a project for a day.
    latest = {s.signal: s.agent_version for s in reversed(trigger) if s.agent == "js"}
    versions = sorted({version for version in latest.values() if _too_old(version)})
    facts = {**records, "old_exporters": versions}
    checks = [Check("exporters", "ok", f"{len(senders)} kinds of senders in the last 24 hours")]
    if trigger and records["logs"] and not records["traces"]:
        which = (
            f"exporter packages of version {', '.join(versions)}" if versions else "an exporter package before 0.200"
        )
        checks.append(Check(
            "exporters_trigger_dev", "problem",
            f"a Trigger.dev project sends logs and never spans: {which} cannot send the spans of SDK 4, or "
            "`telemetry.exporters` is missing in trigger.config.ts; outcomes and durations stay unknown. Install "
            "@opentelemetry/exporter-trace-otlp-http 0.200 or newer and paste the settings below", facts,
        ))  # fmt: skip
    elif versions:
        told = f"Trigger.dev exporter packages of version {', '.join(versions)} lose spans; install 0.200 or newer"
        checks.append(Check("exporters_trigger_dev", "problem", told, facts))
    return checks


def _too_old(version: str) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and parts[0] == "0" and parts[1].isdigit() and int(parts[1]) < 200
