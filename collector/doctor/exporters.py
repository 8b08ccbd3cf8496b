"""Who has sent lately, and which of them lose something by their version or settings."""

from __future__ import annotations

from collector.control.senders import Sender
from collector.doctor.found import Check

_NOBODY = (
    "nobody has sent anything in the last 24 hours that was taken; see the settings to paste. Plain HTTP or TLS on the "
    "gRPC port is refused by gRPC itself, and not seen here"
)


def name(s: Sender) -> str:
    """Return a sender in words."""
    agent = "-".join(filter(None, (s.agent, s.agent_version)))
    sdk = " ".join(filter(None, (s.language, s.sdk_version)))
    return f"{agent}{f' ({sdk})' if sdk else ''} over {s.transport}"


def exporters(senders: list[Sender]) -> list[Check]:
    """Return who has sent, and what is wrong with it."""
    if not senders:
        return [Check("exporters", "note", _NOBODY)]
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
        checks.append(
            Check(
                "exporters_trigger_dev",
                "problem",
                f"a Trigger.dev project sends logs and never spans: {which} cannot send the spans of SDK 4, or "
                "`telemetry.exporters` is missing in trigger.config.ts; outcomes and durations stay unknown. Install "
                "@opentelemetry/exporter-trace-otlp-http 0.200 or newer and paste the settings below",
                facts,
            )
        )
    elif versions:
        told = f"Trigger.dev exporter packages of version {', '.join(versions)} lose spans; install 0.200 or newer"
        checks.append(Check("exporters_trigger_dev", "problem", told, facts))
    return checks


def _too_old(version: str) -> bool:
    parts = version.split(".")
    return len(parts) > 1 and parts[0] == "0" and parts[1].isdigit() and int(parts[1]) < 200
