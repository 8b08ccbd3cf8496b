"""The only fetcher: questions to the read API, answers kept for a few seconds."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import polars as pl
import streamlit as st

from collector.client import Access, Client, StatisticRows, address, key_header
from collector.model.report import Report, Span
from collector.model.shown import duration
from collector.model.units import HOUR_NS, SECOND_NS

P = ParamSpec("P")
T = TypeVar("T")
FRESH_S = 5
STATS_S = 20
"""Statistics are computed when asked; the hours and days they are of do not change faster."""
AS_OF_S = 10
LEVELS_S = 300
PAGE = 50
NONE_STATED = ""
"""Environment or platform project of what states none, as the API is asked for it."""
REPORTS = 100
"""Reports to choose from."""


@dataclass(frozen=True)
class Range:
    """A time range and its buckets. It ends now, unless it is *fixed*: from and to, ns, as links of reports have it."""

    label: str
    span_s: int
    bucket_s: int
    fixed: tuple[int, int] | None = None

    @classmethod
    def of(cls, span: Span) -> Self:
        """Return a stretch of time as a range: from and to at edges of buckets that suit its length."""
        length_s = (span.to_ns - span.from_ns) // SECOND_NS
        bucket_s = next((r.bucket_s for r in RANGES.values() if length_s <= 1.5 * r.span_s), 3600)
        step = max(bucket_s, LEVELS_S) * SECOND_NS
        start, end = span.from_ns // step * step, -(-span.to_ns // step) * step
        length_s = (end - start) // SECOND_NS
        return cls(duration(length_s * SECOND_NS), length_s, bucket_s, (start, end))

    def window(self, now_ns: int | None = None) -> tuple[int, int]:
        """Return (from, to) in ns; both on bucket edges, so that a reload within a few seconds is the same.

        They are whole five minutes too, since levels of queues are kept by them: all pages are of the same range.
        """
        if self.fixed:
            return self.fixed
        now = time.time_ns() if now_ns is None else now_ns
        step = max(self.bucket_s, LEVELS_S) * SECOND_NS
        end = (now // step + 1) * step
        return end - self.span_s * SECOND_NS, end

    def hours(self) -> tuple[int, int]:
        """Return (from, to) in ns like `window`, from a whole hour on: what statistics are widened to."""
        start, end = self.window()
        return start - start % HOUR_NS, end

    @property
    def tables(self) -> str:
        """Return the end of the names of queries that suit the range: whole hours read hourly tables."""
        return "_hours" if self.bucket_s % 3600 == 0 else ""

    @property
    def bucket(self) -> str:
        """Return the bucket in words."""
        return duration(self.bucket_s * SECOND_NS)


def width_for(chosen: Range, n: int, *, enough: int = 25) -> int:
    """Return a bucket width in s, no less than the range's own, that gives *n* values at about *enough* a bucket."""
    widths = [w for w in (60, 300, 900, 1800, 3600, 10_800, 21_600) if w >= chosen.bucket_s]
    fitting = [w for w in widths if n * w >= enough * chosen.span_s]
    return fitting[0] if fitting else min(widths[-1], max(chosen.bucket_s, chosen.span_s // 12))


RANGES = {
    r.label: r
    for r in (Range("1h", 3600, 60), Range("6h", 21_600, 300), Range("24h", 86_400, 900), Range("7d", 604_800, 3600))
}


def api_url() -> str:
    """Return where the API is: `RUNWELL_API`, else what runs on the data directory, else the usual port."""
    given = os.environ.get("RUNWELL_API")
    return given or address(Path(os.environ.get("RUNWELL_DATA", ".runwell"))) or "http://127.0.0.1:4319"


def _access() -> Access:
    """Return what `runwell` passed on, else the key of the environment."""
    passed = os.environ.get("RUNWELL_ACCESS")
    return Access.of_text(passed) if passed else Access(tuple(key_header(os.environ.get("RUNWELL_KEY", "")).items()))


@st.cache_resource(max_entries=4)
def _client(url: str) -> Client:
    return Client(url, access=_access())


def _kept(ttl_s: int, entries: int) -> Callable[[Callable[Concatenate[Client, P], T]], Callable[P, T]]:
    """Return what keeps the answers of a question to the API, by its URL and what is asked, for *ttl_s* seconds."""

    def keeping(question: Callable[Concatenate[Client, P], T]) -> Callable[P, T]:
        @functools.wraps(question)  # by whose name and text Streamlit tells the answers of one from another's
        def asked(url: str, given: Any, named: Any) -> T:
            return question(_client(url), *given, **dict(named))

        kept = st.cache_data(ttl=ttl_s, max_entries=entries, show_spinner=False)(asked)

        @functools.wraps(question)
        def ask(*given: P.args, **named: P.kwargs) -> T:
            return kept(api_url(), given, tuple(sorted(named.items())))

        return ask

    return keeping


@_kept(FRESH_S, 200)
def query(client: Client, /, name: str, **params: Any) -> pl.DataFrame:
    """Return the rows of a named query."""
    return client.query(name, **params)


@_kept(STATS_S, 100)
def stats(client: Client, /, name: str, **params: Any) -> pl.DataFrame:
    """Return the rows of a statistic."""
    return client.stats(name, **params)


@_kept(STATS_S, 100)
def statistic(client: Client, /, name: str, **params: Any) -> StatisticRows:
    """Return the rows of a statistic, the range that they are of, and to what it was widened."""
    return client.statistic(name, **params)


def judged_at() -> int:
    """Return the time that all numbers of a page are judged at, ns: now, but for a few seconds the same."""
    return time.time_ns() // (AS_OF_S * SECOND_NS) * AS_OF_S * SECOND_NS


@_kept(STATS_S, 50)
def findings(client: Client, /, **params: Any) -> dict[str, Any]:
    """Return findings, the transform that would rename keys, and what telemetry cannot show."""
    return client.findings(**params)


@_kept(3600, 4)
def rules(client: Client) -> dict[str, Any]:
    """Return the rules and the guideline's sentences."""
    return client.rules()


@_kept(FRESH_S, 50)
def runs(client: Client, /, **filters: Any) -> tuple[pl.DataFrame, int]:
    """Return one page of runs and how many match."""
    page = client.runs(**filters)
    return page.runs, page.total


@_kept(FRESH_S, 20)
def run(client: Client, /, run_id: str, run_key: str | None, **turn: str) -> dict[str, Any]:
    """Return one run with its records; *turn*: the part `before` or `after` a place in one of its lists."""
    return client.run(run_id, run_key, **turn)


@_kept(FRESH_S, 4)
def reports(client: Client) -> list[dict[str, Any]]:
    """Return the newest reports, each with its counts of anomalies."""
    return client.reports(limit=REPORTS)


@_kept(600, 20)
def report(client: Client, report_id: str) -> Report:
    """Return one report; it never changes."""
    return client.report(report_id)


@_kept(FRESH_S, 4)
def next_reports(client: Client) -> list[dict[str, Any]]:
    """Return by schedule its next firing."""
    return client.next_reports(1)


def report_text(report_id: str, form: str, dashboard: str | None) -> str:
    """Return a report as html, md or json."""
    return _client(api_url()).report_text(report_id, form, dashboard)


def make_report(since: str) -> Report:
    """Make a report of the time since *since* (such as `24h`), and keep it."""
    client = Client(api_url(), timeout_s=300, access=_access())
    try:
        made = client.make_report(since=since)
    finally:
        client.close()
    st.cache_data.clear()  # the list of reports among it
    return report(str(made["report"]["id"]))


def feedback() -> dict[str, dict[str, Any]]:
    """Return what was said of anomalies and still holds, by their key."""
    now_ns = time.time_ns()
    said = _client(api_url()).feedback()
    return {f["key"]: f for f in said if f["until_ns"] is None or f["until_ns"] > now_ns}


def say_expected(key: str, *, expected: bool, note: str = "", until: str | None = None) -> None:
    """Call an anomaly expected, or take that back."""
    _client(api_url()).say_expected(key, expected=expected, note=note, until=until)


def status() -> dict[str, Any]:
    """Return how fresh the store is, asked each time."""
    return _client(api_url()).status()


def choices(kind: str) -> list[str]:
    """Return the values a filter may offer, most frequent first."""
    found = query("page_choices").filter(pl.col("kind") == kind)
    return [str(value) for value in found["value"].to_list()]
