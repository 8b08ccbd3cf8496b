"""A run as facts and bars: pure functions of what the API says, and the two components that draw them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from collector.model.statistics import AT_LEAST
from dashboard import strings
from dashboard.parts import provenance
from dashboard.parts.text import NONE, count, duration, visible
from dashboard.parts.theme import STATUS_COLORS

Run = dict[str, Any]
Bar = dict[str, Any]

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


FACTS = st.components.v2.component(
    "run_facts", html='<div class="facts">\n</div>', css=_read("facts.css"), js=_read("facts.js")
)
WATERFALL = st.components.v2.component(
    "run_waterfall",
    html='<div class="waterfall" role="group" aria-label="Run waterfall">\n</div>',
    css=_read("waterfall.css"),
    js=_read("waterfall.js"),
)

_TONES = {"completed": "good", "failed": "bad", "crashed": "bad", "timed_out": "bad", "running": "busy"}


def moment(ns: int | None) -> str:
    """Return a time as people read it, UTC, milliseconds."""
    if ns is None:
        return NONE
    at = dt.datetime.fromtimestamp(ns // 10**9, tz=dt.UTC)
    return at.strftime("%d %b %H:%M:%S") + f".{ns // 10**6 % 1000:03d}"


def likely(outlook: dict[str, Any], event: str, now_ns: int) -> tuple[str, str] | None:
    """Return how soon *event* (starts, ends) is likely, and the range of that; None where nobody can tell."""
    low, at, high = (outlook[f"{event}{part}_ns"] for part in ("_low", "", "_high"))
    if at is None:
        return None
    span, *ends = (duration(max(0, ns - now_ns)) for ns in (at, low, high))
    return strings.LIKELY_IN.format(span=span) if at > now_ns else strings.LIKELY_NOW, " to ".join(ends)


def facts(run: Run, outlook: dict[str, Any] | None = None, *, now_ns: int = 0) -> dict[str, Any]:
    """Return what the facts component shows of *run*: the core always, unknown or not; the rest where it is there.

    *outlook*: what is likely of a run that has not ended, at *now_ns*.
    """
    items: list[dict[str, Any]] = []

    def fact(label: str, value: str, source: str | None = None, *, mono: bool = False) -> None:
        mark = {"glyph": provenance.glyph(source), "explain": provenance.explain(source)} if source else {}
        vague = value == NONE
        shown = strings.UNKNOWN if vague and source else value
        items.append({"label": label, "value": shown, "mono": mono and not vague, "vague": vague, **mark})

    def extra(label: str, value: str | None, source: str | None = None, *, mono: bool = False) -> None:
        if value:
            fact(label, visible(value), source, mono=mono)

    def word(key: str) -> str:
        return visible(str(run[key])) if run.get(key) is not None else NONE

    def length(key: str, source: str) -> tuple[str, str]:
        return duration(run[key]), source if run[key] is not None else "unknown"

    took = run["ended_ns"] - run["started_ns"] if run["ended_ns"] and run["started_ns"] else None
    # It ends before it starts, or its first attempt left no record: nobody knows how long it lasted.
    took = None if took is not None and (took < 0 or run["started_source"] == "unknown") else took
    worst = max((run["started_source"], run["ended_source"]), key=list(provenance.GLYPHS).index)
    fact("Queued", moment(run["queued_ns"]), run["queued_source"])
    fact("Started", moment(run["started_ns"]), run["started_source"])
    fact("Ended", moment(run["ended_ns"]), run["ended_source"])
    fact("Queue wait", duration(run["queue_wait_ns"]), run["queue_wait_source"])
    fact("Start to end", duration(took), worst if took is not None else "unknown")
    fact("Active", *length("active_ns", "derived"))
    fact("Waits", *length("wait_ns", "measured"))
    fact("Backoff", *length("backoff_ns", "derived"))
    fact("Attempts", word("attempt_count"), run["attempt_count_source"])
    fact("Queue", word("queue"), run["queue_source"])
    fact("Parent", word("parent_run_id"), run["parent_source"], mono=True)
    fact("Environment", word("environment"))
    extra("Platform project", run["platform_project"], mono=True)
    fact("Telemetry", run["coverage"].replace("+", " and "))
    fact("Dialect", word("dialect"))
    if outlook:
        for event in ("starts", "ends") if run["started_ns"] is None else ("ends",):
            told = likely(outlook, event, now_ns)
            fact(strings.LIKELY[event], told[0] if told else NONE, "inferred" if told else "unknown")
            extra(strings.LIKELY_RANGE[event], told[1] if told else None, "inferred")
        if outlook["position"] is not None:
            least = (outlook["note"] or "").startswith(AT_LEAST)
            place = (strings.PLACE_AT_LEAST if least else strings.PLACE_OF).format(
                position=count(outlook["position"]), n=count(outlook["waiting"])
            )
            fact(strings.PLACE, place, "inferred")
    extra("Version", run["version"])
    extra("Machine", run["machine"])
    extra("Compute", duration(run["compute_ms"] * 1e6) if run.get("compute_ms") is not None else None, "measured")
    extra("Cost", f"{run['cost_cents']:.4f} ¢" if run.get("cost_cents") is not None else None, "measured")
    extra("Priority", run["priority"])
    extra("Due", moment(run["delayed_until_ns"]) if run["delayed_until_ns"] is not None else None, "derived")
    extra("Attempts at most", str(run["max_attempts"]) if run["max_attempts"] is not None else None, "measured")
    extra("Correlation id", run["correlation_id"], mono=True)
    extra("Request id", run["request_id"], mono=True)
    extra("Batch", run["batch_id"], mono=True)
    extra("Idempotency key", run["idempotency_key"], mono=True)
    extra("Tags", ", ".join(run["tags"] or []))
    extra("Kind", ", ".join(w for w, on in (("test run", run["is_test"]), ("replay", run["is_replay"])) if on))
    said = f"{run['status']} ({run['outcome']})" if run["outcome"] else run["status"]
    error = ": ".join(visible(str(run[k])) for k in ("error_type", "error_message") if run.get(k))
    return {
        "title": word("task_id") if run["task_id"] else strings.TASK_UNKNOWN,
        "run": word("run_id"),
        "status": said.replace("_", " ").capitalize(),
        "tone": STATUS_COLORS[run["outcome"] or run["status"]],
        "glyph": provenance.glyph(run["status_source"]),
        "explain": provenance.explain(run["status_source"]),
        "facts": items,
        "error": error,
    }


def of_one_id(runs: list[Run], run_key: str) -> pl.DataFrame:
    """Return a table of *runs* that share an id, of which *run_key* is shown: when, and what tells them apart."""
    apart = {
        "Environment": "environment",
        "Project": "platform_project",
        "Queue": "queue",
        "Task": "task_id",
        "Dialect": "dialect",
    }
    apart = {title: name for title, name in apart.items() if len({r[name] for r in runs}) > 1}

    def note(run: Run) -> str:
        here = [strings.SHOWN_HERE] if run["run_key"] == run_key else []
        return ", ".join([*here, *([strings.LEFT_OPEN] if run["ambiguous"] else [])])

    return pl.DataFrame(
        {
            "Started": [moment(r["at_ns"]) for r in runs],
            "Status": [[r["status"]] for r in runs],
            **{title: [visible(r[name] or strings.UNKNOWN) for r in runs] for title, name in apart.items()},
            "Note": [note(r) for r in runs],
        }
    )


def bars(parts: dict[str, Any]) -> list[Bar]:
    """Return the bars of a run in the order of time, nanoseconds absolute: queue wait, attempts with phases and
    waits in them, backoff between. A bar that nothing ended reaches to the end of its attempt or else to the last
    sign of life, and is open. Attempts name their version where they are of several."""
    run: Run = parts["run"]
    last = run["last_seen_ns"] or run["started_ns"] or run["queued_ns"] or 0
    rows: list[Bar] = []
    if run["queued_ns"] is not None and run["started_ns"] is not None and run["started_ns"] >= run["queued_ns"]:
        rows.append(
            _bar("queue", "queue wait", run["queued_ns"], run["started_ns"], "idle", "waiting", run["queued_source"])
        )
    attempts = [a for a in parts["attempts"] if a["started_ns"] is not None]
    several = len({a.get("version") for a in parts["attempts"]}) > 1
    for i, a in enumerate(attempts):
        end = a["ended_ns"] if a["ended_ns"] is not None else max(last, a["started_ns"])
        tone = _TONES.get(a["outcome"] or a["status"], "vague")
        on = strings.ON_VERSION.format(version=visible(a.get("version") or strings.UNKNOWN)) if several else ""
        rows.append(
            _bar(
                f"a{a['number']}",
                f"attempt {a['number']}{on}",
                a["started_ns"],
                end,
                tone,
                a["outcome"] or a["status"],
                a["ended_source"] if a["ended_ns"] is not None else a["status_source"],
                is_open=a["ended_ns"] is None,
            )
        )
        rows += _inner(parts, a["number"], end)
        if i + 1 < len(attempts) and a["ended_ns"] is not None:
            following = attempts[i + 1]
            if following["started_ns"] > a["ended_ns"] and following["number"] == a["number"] + 1:
                name = f"b{a['number']}"
                said = "not taken up" if a["status"] == "interrupted" else "backoff"
                rows.append(_bar(name, said, a["ended_ns"], following["started_ns"], "idle", "waiting", "derived"))
    numbers = {a["number"] for a in attempts}
    for number in sorted({p["attempt"] for p in parts["phases"]} - numbers, key=lambda n: (n is not None, n)):
        rows += _inner(parts, number, last)
    return rows


def _inner(parts: dict[str, Any], number: int | None, until: int) -> list[Bar]:
    """Return the phases and waits of one attempt in the order of time, each one deeper than the one it lies in."""
    rows: list[Bar] = []
    for i, p in enumerate(parts["phases"]):
        if p["attempt"] != number:
            continue
        name = p["operation"]
        if p["phase"] == "calling":
            name = f"{name} → {p['called_service']}"
        elif p["phase"] == "validating":
            name = f"{name} validating"
        start = p["started_ns"] if p["started_ns"] is not None else p["ended_ns"]
        end = p["ended_ns"] if p["ended_ns"] is not None else max(until, start)
        tone = {"completed": "good", "failed": "bad"}.get(p["outcome"], "vague")
        bar = _bar(f"p{i}", visible(name), start, end, tone, p["outcome"], "phase", is_open=p["ended_ns"] is None)
        if p["started_ns"] is None or p["ended_ns"] is None:
            bar["length"] = None
        rows.append(bar)
    for i, w in enumerate(parts["waits"]):
        if w["attempt"] == number:
            end = w["ended_ns"] if w["ended_ns"] is not None else max(until, w["started_ns"])
            name = strings.WAITS.get(w["kind"], visible(w["kind"]))
            rows.append(
                _bar(f"w{i}", name, w["started_ns"], end, "idle", "waiting", "measured", is_open=w["ended_ns"] is None)
            )
    rows.sort(key=lambda r: (r["start"], -r["end"], r["id"]))
    around: list[int] = []
    for row in rows:
        while around and (row["start"] >= around[-1] or row["end"] > around[-1]):
            around.pop()
        row["depth"] = len(around) + 1
        if row["id"][0] != "w":  # nothing is done within a wait; what seems to be differs by the clocks' precision
            around.append(row["end"])
    return rows


def _bar(
    ident: str, name: str, start: int, end: int, tone: str, word: str, source: str, *, is_open: bool = False
) -> Bar:
    return {
        "id": ident,
        "name": name,
        "depth": 0,
        "start": start,
        "end": max(start, end),
        "length": end - start if end >= start else None,
        "tone": tone,
        "word": word,
        "glyph": provenance.glyph(source),
        "explain": provenance.explain(source),
        "open": is_open,
    }


def on_axis(rows: list[Bar], *, work_only: bool) -> tuple[list[Bar], float]:
    """Return bars in ms from the run's start and the length of the axis.

    *work_only* leaves out queue wait, backoff and waits and closes the gaps they leave, which otherwise hide
    everything else.
    """
    gaps: list[tuple[int, int]] = []
    if work_only and any(r["id"][0] == "a" for r in rows):
        gaps = _gaps(rows)
        rows = [r for r in rows if r["id"][0] in "ap"]
    if not rows:
        return [], 0.0
    zero = min(r["start"] for r in rows)

    def at(ns: int) -> float:
        gone = sum(min(ns, end) - start for start, end in gaps if start < ns)
        return float(ns - zero - gone) / 1e6

    placed = [{**r, "start": at(r["start"]), "end": at(r["end"])} for r in rows]
    return placed, max(r["end"] for r in placed)


def drawn(placed: list[Bar], total_ms: float) -> dict[str, Any]:
    """Return what the waterfall draws of bars on an axis, durations in words."""
    bars = [{**b, "length": duration(b["length"]), "starts": duration(b["start"] * 1e6)} for b in placed]
    return {"bars": bars, "total": total_ms, "ticks": [duration(total_ms * 1e6 * i / 4) for i in range(5)]}


def _gaps(rows: list[Bar]) -> list[tuple[int, int]]:
    """Return when nothing was worked on: between attempts and in waits; apart from each other, in order."""
    attempts = sorted((r["start"], r["end"]) for r in rows if r["id"][0] == "a")
    idle = [(r["start"], r["end"]) for r in rows if r["id"][0] == "w"]
    reached = attempts[0][0]
    for start, end in attempts:
        idle.append((reached, start))
        reached = max(reached, end)
    apart: list[tuple[int, int]] = []
    for start, end in sorted(idle):
        begins = max(start, apart[-1][1]) if apart else start
        if end > begins:
            apart.append((begins, end))
    return apart
