"""The store: does it answer and write, which jobs fail, what was set aside, what is not taken up yet."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from collector.client import Access, Client, KeyRefused, Stranger
from collector.control import CHECKPOINTED, read_marks
from collector.control import FILE as CONTROL_FILE
from collector.control.senders import Sender
from collector.doctor.clocks import skews, times
from collector.doctor.found import LATELY_NS, Check, moment
from collector.doctor.refused import refused, strays
from collector.doctor.reports import reports
from collector.journal import Reader
from collector.journal.files import ASIDE
from collector.model.errors import Refused
from collector.model.project import PROJECT
from collector.model.shown import codes, duration, left_out
from collector.settings import Settings
from collector.store import FILE

Status = dict[str, Any]
_PATIENCE_S = 3.0
"""Health is answered within a second, whatever the store has to do."""
_FLUSHES = 4
"""Flushes after which what was acknowledged should be visible."""
_LATE_S = 10.0
"""Seconds after which it is a problem that it is not."""
AGAIN = {
    ("run", ""): "it is tried again when anything of it arrives and at every start, so after an upgrade too",
    (
        "rule",
        "",
    ): "the rule judges a run again when anything of it arrives and at every start, all runs after an upgrade",
    ("rule", "rules_window"): "the rule judges the latest runs anew each time",
    ("series", ""): "it is counted again after an upgrade, from all its runs",
    ("series", "limits"): "its limit is looked for anew each time limits are inferred, at least once an hour",
    ("record", ""): "it is kept in {file}, to be sent with a report if what it holds may be shown",
    ("record", "facts"): "what links it to runs is looked for again at every start, so after an upgrade too",
}
"""When what was set aside is tried again, by kind, and by stage where that decides."""
REPORT = "everything else goes on; if it stays, report it with this line and the versions above"
UNNAMED = "docs/reliability.md says when each kind is tried again; " + REPORT
WRITER = (
    "nothing new becomes visible until it can; it tries again every second. Make room on the disk, look at the rights "
    "of {data} and at the store's log; if neither helps, report it with this line and the versions above"
)
JOB = (
    "its numbers stay as they were, and it tries again by itself; see the store's log, and report it with this line "
    "and the versions above if it stays"
)
STALE = "what is shown may be old; see what is said of the store here and in its log, or restart runwell"
GONE = {
    "damaged_groups": "could not be read in the journal, as on a failing disk",
    "lost_groups": "cannot be had any more: the database file that held them is not there or was damaged, and the "
    "journal has forgotten them or lost them itself",
}
"""What is said of what `store.apply.GONE` counts."""
BACK = (
    "To do: where there is a copy of {path} that has them, stop runwell and put it in place; it is brought up to date "
    "from the journal. Otherwise they are gone, and this stays said for as long as the database is kept"
)
HUNGRY = "its text is refused for an hour; what is let in should not be able to do that: report it with this line"
SILENT = "see its log, or restart runwell; what arrives meanwhile is kept in the journal"


def store(
    urls: dict[str, str], settings: Settings, senders: list[Sender], now_ns: int, access: Access
) -> tuple[list[Check], bool]:
    """Return what the store that runs at *urls* says of itself, and what can be seen without asking it; and whether
    it told of the clocks of those who send.
    """
    checks, alive = _answers(urls["api"], settings)
    if not alive:
        return [*checks, *waiting(settings, now_ns)], False
    client = Client(urls["api"], timeout_s=10, access=access)
    try:
        asked, clocks_known = _asked(client, urls, settings, senders, now_ns)
    finally:
        client.close()
    return [*checks, *asked], clocks_known


def _answers(url: str, settings: Settings) -> tuple[list[Check], bool]:
    """Return what /healthz and /readyz say, and whether it is worth asking on."""
    for path in ("healthz", "readyz"):
        try:
            answer = httpx.get(f"{url}/{path}", timeout=_PATIENCE_S, trust_env=False)
        except (httpx.HTTPError, ValueError):
            return [Check("store", "problem", f"the store does not answer at {url}/{path}; {SILENT}")], False
        if not answer.is_success:
            why = answer.text[:300].strip() or "without a reason"
            helps = WRITER.format(data=settings.data) if "cannot write" in why else STALE
            told = f"the store answers {answer.status_code} at /{path}: {why}; {helps}"
            return [Check("store", "problem", told, {"status": answer.status_code, "reason": why})], True
    return [Check("store", "ok", "the store answers and is ready")], True


def _asked(
    client: Client, urls: dict[str, str], settings: Settings, senders: list[Sender], now_ns: int
) -> tuple[list[Check], bool]:
    """Return what the store tells when asked, and whether it told of clocks; a question that fails does not hide the
    answers to others.
    """

    def quality() -> list[Check]:
        rows = client.query("time_quality", from_ns=now_ns - LATELY_NS).to_dicts()
        return [times(row) for row in rows if any(v for k, v in row.items() if k not in ("kind", "records"))]

    def skewed() -> list[Check]:
        return skews(client.query("clock_skew", from_ns=now_ns - LATELY_NS).to_dicts())

    def said() -> list[Check]:
        status = client.status()
        strayed = strays(status.get("strays") or [], senders)
        checks = refused(strayed, [], now_ns, urls["http"], urls["grpc"]) if strayed else []
        return [*of_status(status, settings, now_ns), *checks]

    questions: tuple[Callable[[], list[Check]], ...] = (said, quality, skewed, lambda: reports(client, now_ns))
    checks: list[Check] = []
    failed: dict[str, None] = {}
    answered = []
    for question in questions:
        try:
            checks += question()
            answered.append(question)
        except (Stranger, ValueError, KeyError, TypeError, AttributeError):
            failed["what answers at its address does not answer as a store does"] = None
        except KeyRefused as e:
            return [Check("store", "note", f"the rest is for who has a key: {e.message}")], False
        except Refused as e:
            failed[e.message] = None
    checks += [Check("store", "problem", f"the store: {told}; {SILENT}") for told in failed]
    return checks, skewed in answered


def of_status(status: Status, settings: Settings, now_ns: int) -> list[Check]:
    """Return what `/api/v1/status` tells; a store of an older version says less."""
    checks = [_behind(status, settings, now_ns)]
    for job, why in (status.get("failing_jobs") or {}).items():
        told = f"job {job} fails: {_short(why)}; {JOB}"
        checks.append(Check("job", "problem", told, {"job": job, "reason": why}))
    checks += set_aside(status, settings.data)
    checks += ended_statements(status)
    return [*checks, *gone(status, settings.data)]


def gone(counts: Status, data: Path) -> list[Check]:
    """Return a problem for groups that were acknowledged and cannot be had, by *counts* of `store.apply.GONE`."""
    facts = {name: counts[name] for name in GONE if counts.get(name)}
    told = [f"{_groups(facts[name])} of what was acknowledged {words}" for name, words in GONE.items() if name in facts]
    return [Check("damage", "problem", f"{'; '.join(told)}. {BACK.format(path=data / FILE)}", facts)] if told else []


def set_aside(status: Status, data: Path) -> list[Check]:
    """Return a problem for each thing that could not be worked out, and one for those that are only counted."""
    items = status.get("set_aside_items") or []
    checks = [Check("set_aside", "problem", f"{_named(item)}; {_again(item, data)}", item) for item in items]
    more = (status.get("set_aside_count") or 0) - len(items)
    if more > 0:
        told = f"{more} {'more were' if items else 'were'} set aside and are not named here; {UNNAMED}"
        checks.append(Check("set_aside", "problem", told, {"count": status["set_aside_count"]}))
    return checks


def ended_statements(status: Status) -> list[Check]:
    """Return a problem for each statement of SQL that took the store over its memory."""
    how = {"exited": "the store ended itself, and was started again", "interrupted": "it was ended"}
    return [
        Check(
            "sql",
            "problem",
            f"a statement of SQL took the store over its memory {item['count']} times, last "
            f"{moment(item['last_ns'])}; {how.get(item['how'], item['how'])}: {_short(item['text'])}; {HUNGRY}",
            item,
        )
        for item in status.get("ended_statements") or []
    ]


def _again(item: dict[str, Any], data: Path) -> str:
    """Return when something that was set aside is tried again, and what to do."""
    kind, stage, seq = item.get("kind", ""), item.get("stage", ""), item.get("last_seq")
    again = AGAIN.get((kind, stage)) or AGAIN.get((kind, ""))
    return f"{again.format(file=data / ASIDE / f'{seq}-{seq}.arrow')}; {REPORT}" if again else UNNAMED


def _named(item: dict[str, Any]) -> str:
    """Return what was set aside, where, since when and why, in words."""
    what = codes(str(item.get("run_id") or item.get("key") or "without a name"))[:200]
    first, last = item.get("first_seq"), item.get("last_seq")
    journal = ""
    if first is not None:
        journal = f", journal {first}" if last in (None, first) else f", journal {first} to {last}"
    row = f", row {item['row']}" if item.get("row") is not None else ""
    key = f", key {item['key']}" if item.get("run_id") and item.get("key") else ""
    project = f" of project {item['project']}" if item.get("project") not in (None, "", PROJECT) else ""
    since = f" since {moment(item['since_ns'])}" if item.get("since_ns") else ""
    why = _short(item.get("reason") or "no reason is known")
    kind, stage = str(item.get("kind", "something")), str(item.get("stage", "the store"))
    return f"{left_out(kind, stage)} {what}{project} is set aside in {stage}{since}{journal}{row}{key}: {why}"


def _short(text: object) -> str:
    return codes(str(text))[:300]


def _groups(n: int) -> str:
    return "1 group" if n == 1 else f"{n} groups"


def _behind(status: Status, settings: Settings, now_ns: int) -> Check:
    """Return how far the run model is behind the journal, as the journal itself tells."""
    facts = {k: status.get(k) for k in ("journal_seq", "applied_seq", "runs_seq", "lag_s", "newest_received_ns")}
    done = status.get("runs_seq") or 0
    last, since_ns = unread(settings, done)
    last = max(last, status.get("journal_seq") or 0)
    if last <= done:
        return Check("lag", "ok", "everything is visible", facts)
    waited_s = status.get("lag_s") or 0.0
    if since_ns:
        waited_s = max(waited_s, (now_ns - since_ns) / 1e9)
        facts["since_ns"] = since_ns
    count = _groups(last - done)
    since = f" since {moment(since_ns)}" if since_ns else ""
    told = f"{count} behind the journal for {duration(waited_s * 1e9)}{since}"
    if waited_s >= _LATE_S:
        advice = (
            "nothing is lost; look at what is said of the store here and in its log. It catches up by itself where "
            "it only had too much to do"
        )
        return Check("lag", "problem", f"{told}; {advice}", facts)
    if waited_s > _FLUSHES * settings.store.flush.total_seconds():
        return Check("lag", "note", f"{told}; more than a few flushes (store.flush)", facts)
    return Check("lag", "ok", f"{count} just arrived", facts)


def unread(settings: Settings, done: int) -> tuple[int, int]:
    """Return the journal's newest number, and when the oldest group after number *done* came, ns; 0 if unknown."""
    reader = Reader(settings.data)
    try:
        last = reader.last_seq()
        entries = reader.entries(done, 1) if last > done else []
    except sqlite3.Error:  # busy or damaged: receive says so
        return 0, 0
    finally:
        reader.close()
    return last, entries[0].received_ns if entries else 0


def waiting(settings: Settings, now_ns: int | None = None) -> list[Check]:
    """Return how far the store is, from the files: while none runs, or from *now_ns* on one that does not answer."""
    if not (settings.data / CONTROL_FILE).exists():
        return [Check("lag", "ok", "nothing was received here yet")]
    try:
        marks = read_marks(settings.data)
    except sqlite3.Error:  # told where who sends is read from it
        return [Check("lag", "note", "how far the store is behind cannot be told")]
    if now_ns is None and not os.path.lexists(settings.data / FILE):
        lost = forgotten(settings)
        marks |= {"applied": lost, CHECKPOINTED: 0, "damaged_groups": 0, "lost_groups": lost}
    return [_waiting(settings, marks, now_ns), *gone(marks, settings.data)]


def forgotten(settings: Settings) -> int:
    """Return how many groups the journal cannot give to a database that has none, as far as it can be told."""
    reader = Reader(settings.data)
    try:
        return sum(entry.lost for entry in reader.entries(0, 1))
    except sqlite3.Error:  # no file that can be opened, which is told
        return 0
    finally:
        reader.close()


def _waiting(settings: Settings, marks: dict[str, int], now_ns: int | None) -> Check:
    applied = marks.get("applied", 0)
    last, since_ns = unread(settings, applied)
    facts = {"journal_seq": last, "applied_seq": applied, "checkpointed": marks.get(CHECKPOINTED, 0)}
    if last > applied:
        if now_ns is not None:
            since = f" since {moment(since_ns)}" if since_ns else ""
            return Check("lag", "problem", f"{_groups(last - applied)} not taken up{since}; nothing is lost", facts)
        return Check("lag", "note", f"{last - applied} groups in the journal wait for the store to start", facts)
    if now_ns is not None:
        return Check("lag", "ok", "the store had taken up everything, as far as the files tell", facts)
    return Check("lag", "ok", "the store had taken up everything when it ended", facts)
