"""What the pages compute: text that cannot do anything, bars on an axis, buckets, time at the limit."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from collector.model import words
from dashboard import strings
from dashboard.parts import charts, findings, provenance, queue_frames, run_view, totals
from dashboard.parts.text import NONE, compact, safe, visible

PUNCTUATION = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~:$^=&@/])")
REPLACED = (  # what Streamlit's markdown looks for in text after it was unescaped
    r":[\w+-]+:",
    r"https?://",
    r"www\.",
    r"@[-\w]",
    r"(^|\s)<?->?(\s|$)",
)
HOSTILE = st.text(st.sampled_from("ab:/@.w<>-=*_[]()`$~#!|\\\u202e\u200b ht ps"), max_size=40) | st.text(max_size=60)


@given(HOSTILE)
def test_a_label_holds_no_markdown(text: str) -> None:
    """Every mark of markdown in a label is escaped, and nothing is left that is replaced after the escape."""
    label = safe(text, longest=10_000)
    assert not re.search(r"[\\`*_{}\[\]()#+!|$^&@/]", PUNCTUATION.sub("", label))
    plain = PUNCTUATION.sub(r"\1", label)
    for pattern in REPLACED[:4]:
        assert not re.search(pattern, plain, re.IGNORECASE), (pattern, plain)
    assert plain.replace("\u2060", "") == visible(text).strip()


@given(st.text())
def test_visible_text_hides_nothing(text: str) -> None:
    """Controls and characters without a width, which could turn or hide text, are shown as codes."""
    shown = visible(text)
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not any(unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in bidi for c in shown)


@given(st.integers(0, 10**13))
def test_a_compact_number_is_the_number_to_three_digits(n: int) -> None:
    """A shortened number differs from the number by less than half of its third digit."""
    match = re.fullmatch(r"([\d.,]+)([kMG]?)", compact(n))
    assert match
    value = float(match[1].replace(",", "")) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]]
    assert abs(value - n) <= 0.005 * n


def test_every_source_has_a_mark() -> None:
    """Every word for how a value is known has a glyph and a sentence of its own."""
    assert set(words.Source) <= set(provenance.GLYPHS)
    assert len({provenance.explain(s) for s in words.Source}) == len(words.Source)
    for say in (provenance.glyph, provenance.explain):
        assert say("hearsay") == say(None) == say("unknown")


TIME = st.integers(0, 50)


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a run of consecutive attempts with phases and waits in them, some without an end, as the API says it."""
    at = draw(TIME)
    attempts, phases, waits = [], [], []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        start, end = at, at + draw(TIME)
        attempts.append(
            {
                "number": number,
                "started_ns": start,
                "ended_ns": end,
                "status": "failed",
                "outcome": None,
                "status_source": "measured",
                "ended_source": "measured",
            }
        )
        for _ in range(draw(st.integers(0, 3))):
            a = draw(st.integers(start, end))
            b = draw(st.none() | st.integers(a, end))
            phases.append(
                {
                    "attempt": number,
                    "operation": "work",
                    "phase": "started",
                    "called_service": None,
                    "started_ns": a,
                    "ended_ns": b,
                    "outcome": "completed" if b else "unknown",
                }
            )
            waits.append({"attempt": number, "kind": "for", "started_ns": a, "ended_ns": b})
        at = end + draw(TIME)
    run = {"queued_ns": None, "started_ns": attempts[0]["started_ns"], "last_seen_ns": at, "queued_source": "unknown"}
    return {"run": run, "attempts": attempts, "phases": phases, "waits": waits}


@given(runs())
def test_bars_lie_on_their_axis(parts: dict[str, Any]) -> None:
    """A bar lies within the axis, one of an attempt's parts within the attempt, and work alone is never longer."""
    bars = run_view.bars(parts)
    wall, total = run_view.on_axis(bars, work_only=False)
    work, worked = run_view.on_axis(bars, work_only=True)
    assert worked <= total + 1e-9
    for placed, length in ((wall, total), (work, worked)):
        assert all(-1e-9 <= b["start"] <= b["end"] <= length + 1e-9 for b in placed)
    attempt = {"start": 0, "end": 0}
    for bar in bars:
        if bar["id"][0] == "a":
            attempt = bar
        elif bar["depth"]:
            assert attempt["start"] <= bar["start"] <= bar["end"] <= attempt["end"]
    assert not any(b["id"][0] in "bw" for b in work)


@given(runs(), st.lists(st.sampled_from([None, "1", "2"]), min_size=9, max_size=9))
def test_attempts_name_their_version_where_they_are_of_several(
    parts: dict[str, Any], versions: list[str | None]
) -> None:
    """Where all attempts are of one version, or none is known, the run's own says it."""
    given = [{**a, "version": v} for a, v in zip(parts["attempts"], versions, strict=False)]
    bars = [bar["name"] for bar in run_view.bars({**parts, "attempts": given}) if bar["id"][0] == "a"]
    several = len({a["version"] for a in given}) > 1
    assert bars == [
        f"attempt {a['number']}" + (f" (version {a['version'] or 'unknown'})" if several else "") for a in given
    ]


def test_runs_of_one_id_are_told_apart_by_what_differs() -> None:
    """Of runs with one id the table has when they began, their status, of environment, queue, task and dialect those
    that differ, which is shown and which is left open; what one of them does not state is said to be unknown."""
    one = {
        "environment": "prod",
        "platform_project": None,
        "queue": "mail",
        "task_id": "send",
        "dialect": "generic",
        "status": "completed",
    }
    runs = [
        {**one, "run_key": "a", "at_ns": 10**18, "ambiguous": False},
        {**one, "run_key": "b", "at_ns": 0, "ambiguous": True, "queue": None},
    ]
    table = run_view.of_one_id(runs, "b")
    assert table.columns == ["Started", "Status", "Queue", "Note"]
    assert table["Started"].to_list() == [run_view.moment(10**18), run_view.moment(0)]
    assert table["Queue"].to_list() == ["mail", strings.UNKNOWN]
    assert table["Note"].to_list() == ["", f"{strings.SHOWN_HERE}, {strings.LEFT_OPEN}"]


def test_a_bucket_without_runs_counts_zero_and_knows_no_percentile() -> None:
    """Counts of a bucket nothing fell into are 0, its percentiles unknown."""
    frame = pl.DataFrame({"bucket_ns": [0], "n": [3], "p50_ns": [7], "took_p95_ns": [9]})
    rows = charts.every_bucket(frame, (0, 30, 10)).rows()
    assert rows == [(0, 3, 7, 9), (10, 0, None, None), (20, 0, None, None)]


def test_time_at_the_limit_is_of_queues_with_a_limit() -> None:
    """Of two queues with a known limit, one full for all of a bucket makes a half; a third one does not count."""
    levels = pl.DataFrame(
        {
            "queue": ["a", "b", "c"],
            "environment": ["p"] * 3,
            "platform_project": [None] * 3,
            "bucket_ns": [0, 0, 0],
            "limit": [2, 3, None],
            "at_limit_ns": [10, 0, 0],
            "since_ns": [-5, -5, -5],
        }
    )
    assert totals.at_limit(levels, (0, 40, 10), now_ns=20) == [0.5, 0.0]
    assert totals.at_limit(levels.filter(pl.col("queue") == "c"), (0, 40, 10), 20) == []


def test_time_before_the_telemetry_is_not_idle() -> None:
    """Before anything is known of any queue a level is unknown, not 0, and does not lower the time at the limit."""
    levels = pl.DataFrame(
        {
            "label": ["a"],
            "queue": ["a"],
            "environment": ["p"],
            "platform_project": [None],
            "bucket_ns": [20],
            "limit": [2],
            "peak": [2],
            "limit_source": ["settings"],
            "slot_ns": [10],
            "at_limit_ns": [5],
            "queued_ns": [0],
            "since_ns": [20],
        }
    )
    frame = queue_frames.filled(levels, (0, 40, 10), now_ns=40)
    assert frame["mean"].to_list() == [None, None, 1.0, 0.0]
    assert frame["saturation"].to_list() == [None, None, 0.5, 0.0]
    assert totals.at_limit(levels, (0, 40, 10), now_ns=40) == [None, None, 0.5, 0.0]


def test_idle_time_is_level_zero() -> None:
    """Time in which a queue held nothing is level 0, from when anything is known at all, and no level is left out."""
    levels = pl.DataFrame({"level": [2], "ns": [4], "since_ns": [10]})
    assert queue_frames.with_idle(levels, start_ns=0, now_ns=20).rows() == [(0, 6), (1, 0), (2, 4)]


def test_a_rename_is_shown_as_a_difference() -> None:
    """The Collector's statements that rename a key are shown on a record's attributes, and nothing else is."""
    transform = (
        '      - \'set(log.attributes["image_width"], log.attributes["imageWidth"]) where true\'\n'
        "      - 'delete_key(log.attributes, \"imageWidth\")'\n"
    )
    sample = {"attributes": {"run_id": "r", "imageWidth": 320}}
    assert findings.renamed(sample, transform).splitlines()[-3:-1] == ['- "imageWidth": 320', '+ "image_width": 320']
    assert findings.renamed({"attributes": {"run_id": "r"}}, transform) == ""


def test_what_is_likely_of_a_run_is_told_from_now_on_with_its_range() -> None:
    """How soon, and between what times 8 of 10 such runs do; overdue is any moment; what history does not tell is
    nothing."""
    now = 1_790_000_000 * 10**9
    outlook = {f"ends{part}_ns": now + s * 10**9 for part, s in (("_low", 60), ("", 120), ("_high", 600))}
    assert run_view.likely(outlook, "ends", now) == ("in 2 min", "1 min to 10 min")
    assert run_view.likely(outlook, "ends", now + 120 * 10**9) == ("any moment", "0 s to 8 min")
    assert run_view.likely({**outlook, "ends_ns": None}, "ends", now) is None


def test_violations_are_unknown_before_rules_have_judged() -> None:
    """A store whose rules have judged nothing has no count of violations, and the card says why; 0 is a count."""
    before, after = (totals.violations(totals.Broken(records, 0, [])) for records in (None, 0))
    assert (before.value, before.raw, before.source, before.against) == (NONE, None, "unknown", strings.NOT_JUDGED)
    assert (after.value, after.source, after.against) == ("0", "derived", strings.NOTHING_NEW)
