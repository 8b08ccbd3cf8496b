"""Whether reports are made and reach their channels, by the ledgers of the running store, and where they lead."""

from __future__ import annotations

from typing import Any

from collector.client import Client
from collector.doctor.found import LATELY_NS, Check
from collector.model.address import http_url
from collector.settings import Settings


def reports(client: Client, now_ns: int) -> list[Check]:
    """Return a problem for each channel that took nothing lately, and each schedule whose report was not made."""
    checks = []
    latest: dict[str, dict[str, Any]] = {}
    for d in client.deliveries():  # the latest first
        latest.setdefault(d["channel"], d)
    for channel, d in latest.items():
        if d["state"] == "given_up" and (d["ended_ns"] or 0) >= now_ns - 7 * LATELY_NS:
            told = f"channel {channel}: the latest report was given up after {d['attempts']} attempts: {d['note']}"
            checks.append(Check("channel", "problem", told, d))
        elif d["state"] == "waiting" and d["attempts"]:
            told = f"channel {channel}: a report waits after {d['attempts']} attempts: {d['note']}"
            checks.append(Check("channel", "problem", told, d))
    for f in client.firings():
        if f["fire_ns"] >= now_ns - LATELY_NS and f["state"] == "failed":
            told = f"schedule {f['schedule']}: a report of the last 24 hours was not made: {f['note']}"
            checks.append(Check("schedule", "problem", told, f))
    if latest and not checks:
        checks.append(Check("channel", "ok", f"{len(latest)} channels took the latest report"))
    return checks


def links(settings: Settings, running: dict[str, Any]) -> list[Check]:
    """Return a note where reports are sent and their links lead nowhere, or where this machine alone reaches."""
    if not settings.reports.channels or settings.reports.dashboard is not None:
        return []
    how = "set reports.dashboard to the address at which its readers reach the dashboard"
    if "dashboard" not in running:
        return [Check("links", "note", f"reports are sent without links, since no dashboard runs beside them; {how}")]
    url = http_url(running["dashboard"]["host"], running["dashboard"]["port"])
    return [Check("links", "note", f"links in reports lead to {url}, which this machine alone reaches; {how}")]
