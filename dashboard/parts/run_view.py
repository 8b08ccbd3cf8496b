"""A run as facts and bars: pure functions of what the API says, and the two components that draw them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.parts import provenance
from dashboard.parts.look import STATUS_COLORS
from dashboard.parts.text import NONE, duration, visible

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


def facts(run: Run) -> dict[str, Any]:
    """Return what the facts component shows of *run*."""

    def fact(label: str, value: str, source: str | None = None, *, mono: bool = False) -> dict[str, Any]:
        mark = {"glyph": provenance.glyph(source), "explain": provenance.explain(source)} if source else {}
        return {"label": label, "value": value, "mono": mono, **mark}

    def word(key: str) -> str:
        return visible(str(run[key])) if run.get(key) is not None else NONE

    took = run["ended_ns"] - run["started_ns"] if run["ended_ns"] and run["started_ns"] else None
    worst = max((run["started_source"], run["ended_source"]), key=list(provenance.GLYPHS).index)
    items = [
        fact("Run", word("run_id"), mono=True),
        fact("Queued", moment(run["queued_ns"]), run["queued_source"]),
        fact("Started", moment(run["started_ns"]), run["started_source"]),
        fact("Ended", moment(run["ended_ns"]), run["ended_source"]),
        fact("Queue wait", duration(run["queue_wait_ns"]), run["queue_wait_source"]),
        fact("Start to end", duration(took), worst if took is not None else "unknown"),
        fact("Active", duration(run["active_ns"]), "derived" if run["active_ns"] is not None else "unknown"),
        fact("Waits", duration(run["wait_ns"]), "measured" if run["wait_ns"] is not None else "unknown"),
        fact("Backoff", duration(run["backoff_ns"]), "derived" if run["backoff_ns"] is not None else "unknown"),
        fact("Attempts", word("attempt_count"), run["attempt_count_source"]),
        fact("Queue", word("queue"), run["queue_source"]),
        fact("Version", word("version")),
        fact("Machine", word("machine")),
        fact("Environment", word("environment")),
        fact("Parent", word("parent_run_id"), run["parent_source"], mono=True),
        fact("Correlation id", word("correlation_id"), mono=True),
        fact("Request id", word("request_id"), mono=True),
        fact("Tags", visible(", ".join(run["tags"])) if run.get("tags") else NONE),
        fact("Compute", f"{run['compute_ms']:.0f} ms" if run.get("compute_ms") is not None else NONE),
        fact("Cost", f"{run['cost_cents']:.4f} ¢" if run.get("cost_cents") is not None else NONE),
        fact("Telemetry", f"{run['coverage']}, {word('dialect')}"),
    ]
    error = ": ".join(visible(str(run[k])) for k in ("error_type", "error_message") if run.get(k))
    return {
        "title": word("task_id") if run["task_id"] else "Task unknown",
        "status": run["status"].replace("_", " ").capitalize(),
        "tone": STATUS_COLORS[run["status"]],
        "glyph": provenance.glyph(run["status_source"]),
        "explain": provenance.explain(run["status_source"]),
        "facts": items,
        "error": error,
    }


def bars(found: dict[str, Any]) -> list[Bar]:
    """Return the bars of a run in the order of time, nanoseconds absolute: queue wait, attempts with phases and
    waits in them, backoff between. A bar that nothing ended reaches to the last sign of life and is open."""
    run: Run = found["run"]
    last = run["last_seen_ns"] or run["started_ns"] or run["queued_ns"] or 0
    rows: list[Bar] = []
    if run["queued_ns"] is not None and run["started_ns"] is not None and run["started_ns"] >= run["queued_ns"]:
        rows.append(
            _bar("queue", "queue wait", 0, run["queued_ns"], run["started_ns"], "idle", "waiting", run["queued_source"])
        )
    attempts = found["attempts"]
    for i, a in enumerate(attempts):
        end = a["ended_ns"] if a["ended_ns"] is not None else max(last, a["started_ns"])
        tone = _TONES.get(a["status"], "vague")
        rows.append(
            _bar(
                f"a{a['number']}", f"attempt {a['number']}", 0, a["started_ns"], end, tone, a["status"],
                a["ended_source"] if a["ended_ns"] is not None else a["status_source"],
                is_open=a["ended_ns"] is None,
            )
        )  # fmt: skip
        rows += _inner(found, a["number"], last)
        if i + 1 < len(attempts) and a["ended_ns"] is not None:
            following = attempts[i + 1]
            if following["started_ns"] > a["ended_ns"] and following["number"] == a["number"] + 1:
                rows.append(
                    _bar(f"b{a['number']}", "backoff", 0, a["ended_ns"], following["started_ns"], "idle",
                         "waiting", "derived")
                )  # fmt: skip
    known = {a["number"] for a in attempts}
    for number in sorted({p["attempt"] for p in found["phases"]} - known, key=lambda n: (n is not None, n)):
        rows += _inner(found, number, last)
    return rows


def _inner(found: dict[str, Any], number: int | None, last: int) -> list[Bar]:
    """Return the phases and waits of one attempt in the order of time."""
    rows: list[Bar] = []
    for i, p in enumerate(found["phases"]):
        if p["attempt"] != number:
            continue
        name = p["operation"]
        if p["phase"] == "calling":
            name = f"{name} → {p['called_service']}"
        elif p["phase"] == "validating":
            name = f"{name} validating"
        start = p["started_ns"] if p["started_ns"] is not None else p["ended_ns"]
        end = p["ended_ns"] if p["ended_ns"] is not None else max(last, start)
        tone = {"completed": "good", "failed": "bad"}.get(p["outcome"], "vague")
        bar = _bar(f"p{i}", visible(name), 1 if p["phase"] == "started" else 2, start, end, tone, p["outcome"],
                   "phase", is_open=p["ended_ns"] is None)  # fmt: skip
        if p["started_ns"] is None or p["ended_ns"] is None:
            bar["length"] = None
        rows.append(bar)
    for i, w in enumerate(found["waits"]):
        if w["attempt"] == number:
            end = w["ended_ns"] if w["ended_ns"] is not None else max(last, w["started_ns"])
            rows.append(
                _bar(f"w{i}", f"wait ({w['kind']})", 1, w["started_ns"], end, "idle", "waiting", "measured",
                     is_open=w["ended_ns"] is None)
            )  # fmt: skip
    return sorted(rows, key=lambda r: (r["start"], r["depth"], -r["end"]))


def _bar(
    ident: str, name: str, depth: int, start: int, end: int, tone: str, word: str, source: str, *, is_open: bool = False
) -> Bar:
    return {
        "id": ident,
        "name": name,
        "depth": depth,
        "start": start,
        "end": end,
        "length": (end - start) / 1e6,
        "tone": tone,
        "word": word,
        "glyph": provenance.glyph(source),
        "explain": provenance.explain(source),
        "open": is_open,
    }


def on_axis(rows: list[Bar], *, work_only: bool) -> tuple[list[Bar], float]:
    """Return bars in ms from the run's start and the length of the axis.

    *work_only* leaves out queue wait and backoff and closes the gaps between attempts, which otherwise hide
    everything else.
    """
    if work_only:
        attempts = sorted((r for r in rows if r["id"][0] == "a"), key=lambda r: r["start"])
        rows = [r for r in rows if r["id"][0] not in "qb" or r["id"].startswith("a")]
        if attempts:
            return _without_gaps(rows, attempts)
    if not rows:
        return [], 0.0
    zero = min(r["start"] for r in rows)
    placed = [{**r, "start": (r["start"] - zero) / 1e6, "end": (r["end"] - zero) / 1e6} for r in rows]
    return placed, max(r["end"] for r in placed)


def _without_gaps(rows: list[Bar], attempts: list[Bar]) -> tuple[list[Bar], float]:
    zero = attempts[0]["start"]

    def gone(ns: int) -> int:
        """Return how much of the time before *ns* lies between attempts."""
        total, reached = 0, zero
        for a in attempts:
            total += max(0, min(ns, a["start"]) - reached)
            reached = max(reached, a["end"])
        return total

    placed = [
        {**r, "start": max(0.0, (r["start"] - zero - gone(r["start"])) / 1e6),
         "end": max(0.0, (r["end"] - zero - gone(r["end"])) / 1e6)}
        for r in rows
    ]  # fmt: skip
    return placed, max(r["end"] for r in placed)
