"""Reports as HTML, Markdown, JSON and pictures: alone, the same each time, and with nothing of telemetry in charge."""

from __future__ import annotations

import datetime as dt
import html as html_
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import altair as alt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from collector.model import verdict
from collector.model.errors import BadInput
from collector.model.report import Anomaly, Chart, Kind, Point, Report, Span
from collector.model.shown import visible
from collector.report import charts, render
from tests.dashboard.hostile import HOST, NAMES
from tests.report import a_report

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = "http://127.0.0.1:8501/ops"
HOUR = a_report.HOUR
PROGRAM = """
import hashlib
from collector.report import render
from tests.report import a_report
night = a_report.night()
for text in (render.html(night, "http://x"), render.markdown(night), render.json(night)):
    print(hashlib.sha256(text.encode()).hexdigest())
"""


class Seen(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def night() -> Seen:
    """Return the page of a night with incidents."""
    return Seen(render.html(a_report.night(), DASHBOARD))


@pytest.fixture(scope="module")
def hostile() -> Seen:
    """Return the page of a report full of hostile texts."""
    return Seen(render.html(a_report.hostile(), DASHBOARD))


def test_the_same_report_gives_the_same_bytes() -> None:
    """HTML, Markdown and JSON of a report are the same in every process, whatever its hash seed and local time."""
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/St_Johns"))
    }
    assert len(said) == 1
    assert len(said.pop().split()) == 3


@pytest.mark.parametrize("page", ["night", "hostile"])
def test_a_page_asks_nothing_of_anybody(page: str, request: pytest.FixtureRequest) -> None:
    """No element runs a script or fetches anything; links lead into the page or to the dashboard alone."""
    seen: Seen = request.getfixturevalue(page)
    assert not seen.elements & {"script", "img", "image", "link", "iframe", "object", "embed", "form", "base", "use"}
    for name, value in seen.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "srcset", "style", "xlink:href", "background", "srcdoc")
        if name == "href":
            assert value.startswith(("#", f"{DASHBOARD}/"))
    assert not re.search(r"url\(|@import", render.style())
    assert ("content", render.policy()) in seen.attributes
    assert "default-src 'none'" in render.policy()
    assert "script-src" not in render.policy()


def test_hostile_text_is_text(night: Seen, hostile: Seen) -> None:
    """Whatever a task, run, version or rule is called, the page has no other elements, and shows the name whole."""
    assert hostile.elements <= night.elements
    for name in NAMES:
        assert visible(name) in hostile.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]", hostile.text)


@given(st.text(max_size=60) | st.text(st.sampled_from("#*_-+=>|[]()`~!<&1.: \t\n\\$@wx/"), max_size=30))
def test_markdown_shows_text_as_it_is(text: str) -> None:
    """Any text in Markdown, at the start of a paragraph too, comes out as one paragraph of exactly that text."""
    shown = (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(render.markdown_text(text))
    )
    said = visible(text).strip()
    plain = html_.unescape(re.sub(r"^<p>|</p>\n$", "", shown)).replace("\u2060", "")
    assert plain == re.sub("\u2060", "", said)
    assert re.fullmatch(r"(<p>[^<]*</p>\n)?", shown)


def test_hostile_markdown_makes_nothing() -> None:
    """A report full of hostile texts makes no other Markdown blocks than any, and no link but to the dashboard."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    usual = Seen(parser.render(render.markdown(a_report.night(), DASHBOARD)))
    seen = Seen(parser.render(render.markdown(a_report.hostile(), DASHBOARD)))
    assert seen.elements <= usual.elements
    assert all(value.startswith(f"{DASHBOARD}/") for name, value in seen.attributes if name == "href")
    assert not re.search(rf"https?://{HOST}|www\.{HOST}", render.markdown(a_report.hostile()))


def test_a_report_says_its_numbers(night: Seen) -> None:
    """Page and Markdown say of each anomaly what was observed and expected, with counts, interval, q and back-test."""
    markdown = render.markdown(a_report.night())
    text = " ".join(night.text.split())
    for said in (text, markdown):
        for part in (
            "59.0 %",
            "124 of 210",
            "52.0 % to 65.0 %",
            "3.9 %",
            "1.5 % to 7.5 %",
            "116",
            "119 of 124",
            "stripe",
            "fired once in the 28 days",
            "26.11.3",
            "import, Ana",
            "send-receipt",
        ):
            assert part in said.replace("\\", ""), part
    assert "q < 1e-12" in text
    assert text.index("charge-order failed") < text.index("did not run") < text.index("What was checked")


def test_nothing_to_report_says_what_was_checked() -> None:
    """A report without anomalies says so in its first line, and names each check with series, judged ones and tests."""
    empty = a_report.nothing()
    page = " ".join(Seen(render.html(empty)).text.split())
    assert "Nothing to report" in page
    for check in a_report.CHECKED:
        numbers = " ".join(f"{n:,}" for n in (check.series, check.assessed, check.too_little, check.tests))
        assert f"{check.not_assessed} {numbers}" in page or f"{check.kind.label} {numbers}" in page
    unknown = a_report.report(checked=(), history_days=0.0)
    assert "Nothing could be assessed" in render.markdown(unknown)


def test_json_holds_the_report_and_its_charts() -> None:
    """JSON without specifications and links is the report again, and each specification is Vega-Lite by its schema."""
    document = json.loads(render.json(a_report.night(), DASHBOARD))
    anomalies = [a for part in ("anomalies", "expected", "resolved") for a in document[part]]
    specs = [a.pop("vega_lite") for a in anomalies]
    assert all(link["url"].startswith(f"{DASHBOARD}/") for a in anomalies for link in a.pop("links"))
    assert Report.model_validate(document) == a_report.night()
    assert [s is None for s in specs] == [a.chart is None for a in a_report.night().anomalies] + [False] * 2
    for spec in specs:
        if spec is not None:
            alt.LayerChart.from_dict(spec)


def test_a_chart_is_a_picture() -> None:
    """A chart is SVG with the report's own labels, and PNG for chat and mail."""
    failed = a_report.failures()
    assert failed.chart
    drawn = charts.svg(failed.chart, failed.span, "Europe/Berlin")
    for text in ("observed", "expected", "60 %", "version 26.11.3", "24 Nov"):
        assert f">{text}</text>" in drawn
    assert charts.png(failed.chart, failed.span, "Europe/Berlin", failed.title).startswith(b"\x89PNG")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_the_axis_is_real_time_labelled_in_the_zone(zone: str) -> None:
    """Days on the axis begin at the zone's midnights, on the days the clocks change too."""
    first = int(dt.datetime(2026, 10, 24, 0, tzinfo=dt.UTC).timestamp()) * 10**9
    points = tuple(Point(at_ns=first + i * HOUR, observed=1.0) for i in range(72))
    chart = Chart(unit="count", label="runs", bucket_ns=HOUR, points=points)
    spec = charts.spec(chart, Span(from_ns=first, to_ns=first + HOUR), zone)
    axis = spec["layer"][0]["encoding"]["x"]["axis"]
    labels = json.loads(axis["labelExpr"].split(")")[0][1:])
    midnights = [int(ms) for ms, label in labels.items() if " " in label]
    assert len(midnights) in (2, 3)
    for ms in midnights:
        assert dt.datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).time() == dt.time(0)


def test_a_line_does_not_cross_what_is_unknown() -> None:
    """Where buckets are missing the line has a hole instead of going on."""
    points = tuple(Point(at_ns=i * HOUR, observed=1.0) for i in (0, 1, 5, 6))
    chart = Chart(unit="count", label="runs", bucket_ns=HOUR, points=points)
    values = charts.spec(chart, Span(from_ns=0, to_ns=HOUR), "UTC")["data"]["values"]
    assert [v["observed"] for v in values] == [1.0, 1.0, None, 1.0, 1.0]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//x", "http://", "http://a b", "ftp://x", 'http://x/"', "http://x?q"]
)
def test_links_lead_to_web_addresses_only(url: str) -> None:
    """A dashboard's address that is no plain http or https address is refused, naming the parameter."""
    with pytest.raises(BadInput, match="dashboard"):
        render.markdown(a_report.nothing(), url)


def _states(*states: str) -> list[Anomaly]:
    return [a_report.failures(f"{i:016x}", state=s, title=f"T{i}.") for i, s in enumerate(states)]


@pytest.mark.parametrize(
    ("anomalies", "more", "said"),
    [
        (("new",), 0, "T0."),
        (("new", "new", "ongoing"), 2, "T0; 1 more is new; 1 anomaly goes on; 2 more are not shown."),
        (("ongoing", "ongoing"), 0, "Nothing new; 2 anomalies go on: T0."),
        ((), 0, "Nothing to report: everything that could be assessed is as usual."),
    ],
)
def test_the_verdict_is_one_sentence(anomalies: tuple[str, ...], more: int, said: str) -> None:
    """The first line names the gravest first, then counts what else is new and what goes on."""
    assert verdict.verdict(a_report.report(*_states(*anomalies), more=more)) == said


def test_every_kind_of_check_has_a_name() -> None:
    """Every kind of anomaly is named in words of its own."""
    assert len({kind.label for kind in Kind} - {""}) == len(Kind)


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    """A stretch over the end of daylight saving time names the zone of both its ends."""
    start = int(dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC).timestamp()) * 10**9
    said = verdict.stretch(Span(from_ns=start, to_ns=start + 3 * HOUR), "Europe/Berlin")
    assert said == "Sun 25 Oct, 02:30 CEST to 04:30 CET"


def test_counts_are_labelled_in_whole_numbers() -> None:
    """An axis of counts names no half of a run."""
    points = tuple(Point(at_ns=i * HOUR, observed=float(i == 3)) for i in range(6))
    chart = Chart(unit="count", label="runs", bucket_ns=HOUR, points=points)
    labels = re.findall(r">([^<>]+)</text>", charts.svg(chart, Span(from_ns=0, to_ns=HOUR), "UTC"))
    assert {"0", "1"} <= set(labels)
    assert not [label for label in labels if "." in label]
