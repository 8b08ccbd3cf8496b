"""A report as HTML, Markdown or JSON. The same report gives the same bytes, wherever and whenever it is rendered.

Text in a report may come from telemetry and is hostile: HTML is escaped by the template engine, Markdown by
`markdown_text` on everything a template prints, and characters that hide or turn text are shown as their codes.
"""

from __future__ import annotations

import base64
import hashlib
import json as json_
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collector.model import links
from collector.model import verdict as said
from collector.model.errors import BadInput
from collector.model.report import Anomaly, Report, RunRef
from collector.model.shown import count, duration, json_text, percent, visible
from collector.report import charts

if TYPE_CHECKING:
    from jinja2 import Environment

_MARKS = re.compile(r"([\\`*_\[\]<>|~$&])")
_LINE = re.compile(r"^(\d*)([#+=.)-])(?=[\s#+=-]|$)")
# Addresses, mentions and emoji are looked for in text after it was unescaped; a joiner, shown as nothing, parts them.
_REPLACED = re.compile(r"(:(?=//|[A-Za-z_+-][\w+-]*:)|@(?=\S)|www(?=\.)|mailto(?=:))", re.IGNORECASE)
_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class Links:
    """Where a report's runs and rules can be opened: *base* is the URL of the dashboard, None where none is known."""

    base: str | None = None

    def __post_init__(self) -> None:
        if self.base is not None and not _is_web(self.base):
            raise BadInput(
                f"expected an address such as http://127.0.0.1:8501, got {self.base[:60]!r}", field="dashboard"
            )

    def _to(self, link: links.Link) -> str | None:
        return None if self.base is None else link.url(self.base)

    def run(self, run: RunRef) -> str | None:
        """Return the address of a run's page."""
        return self._to(links.run(run))

    def rule(self, code: str) -> str | None:
        """Return the address of a rule's findings."""
        return self._to(links.rule(code))

    def report(self, report: Report, a: Anomaly | None = None) -> str | None:
        """Return the address of the report, at *a* where it is given."""
        return self._to(links.report(report.id, a.key if a else None))

    def of(self, a: Anomaly) -> list[tuple[str, str]]:
        """Return labels and addresses of where an anomaly leads; none where no dashboard is known."""
        return [] if self.base is None else [(link.label, link.url(self.base)) for link in links.of(a)]


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not (parts.username or parts.password or parts.query or parts.fragment)
            and not re.search(r"[\s\"'<>\\^`{|}()\x00-\x20\x7f]", url)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False


def html(report: Report, dashboard: str | None = None) -> str:
    """Return a page that stands alone: it asks nothing of any server, its charts are SVG, it prints on A4.

    *dashboard*: URL that runs, rules and the report link to. BadInput when it is no address of the web.
    """
    from markupsafe import Markup

    def picture(a: Anomaly) -> str:
        assert a.chart is not None
        return Markup(charts.svg(a.chart, a.span, report.zone))  # noqa: S704 -- drawn by vl-convert, which escapes text

    css = style()
    more = {"picture": picture, "css": Markup(css), "policy": policy()}  # noqa: S704 -- ours
    return _environment("html").get_template("report.html.j2").render(**_shared(report, dashboard), **more)


def mail(report: Report, dashboard: str | None = None, picture: str | None = None) -> str:
    """Return the page a mail shows: short, without SVG and stylesheet, which mail programs drop.

    *picture*: address of the chart of `pictured(report)`, shown beside its anomaly. *dashboard* as in `html`.
    """
    more = {"picture": picture, "pictured": pictured(report)}
    return _environment("html").get_template("mail.html.j2").render(**_shared(report, dashboard), **more)


def pictured(report: Report) -> Anomaly | None:
    """Return the first anomaly that has a chart: the one whose picture goes with mail and chat."""
    return next((a for a in report.anomalies if a.chart is not None and a.chart.points), None)


def style() -> str:
    """Return the stylesheet of the page."""
    return _environment("text").get_template("report.css").render(c=charts)


def policy() -> str:
    """Return the Content-Security-Policy of the page: nothing is fetched, no script runs, only this style applies."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def markdown(report: Report, dashboard: str | None = None) -> str:
    """Return the report as GitHub's Markdown; charts are in the numbers. *dashboard* as in `html`."""
    text = _environment("markdown").get_template("report.md.j2").render(**_shared(report, dashboard))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def json(report: Report, dashboard: str | None = None) -> str:
    """Return all numbers, each chart as a Vega-Lite specification under `vega_lite`, and under `links` where to look.

    *dashboard* as in `html`; without it there are no links.
    """
    to = Links(dashboard)
    document = report.model_dump(mode="json")
    shown = (
        (dumped, a)
        for name in ("anomalies", "expected", "resolved")
        for dumped, a in zip(document[name], getattr(report, name), strict=True)
    )
    for dumped, a in shown:
        drawable = a.chart is not None and a.chart.points
        dumped["vega_lite"] = charts.spec(a.chart, a.span, report.zone) if drawable else None
        dumped["links"] = [{"label": label, "url": url} for label, url in to.of(a)]
    return json_text(json_.dumps(document, ensure_ascii=False, indent=1)) + "\n"


def _shared(report: Report, dashboard: str | None) -> dict[str, Any]:
    new, ongoing = said.split(report)
    t = report.totals
    days = f"{report.history_days:.0f}" if report.history_days >= 10 else f"{report.history_days:.1f}"
    return {
        "report": report,
        "links": Links(dashboard),
        "new": new,
        "ongoing": ongoing,
        "totals": [
            ("runs", t.runs, t.before_runs),
            ("ended", t.ended, t.before_ended),
            ("failed", t.failed, t.before_failed),
            ("needed another attempt", t.retried, t.before_retried),
        ],
        "gap_words": _gaps(report),
        "history": f"Expectations rest on {days} days of telemetry before the period.",
        "c": charts,
        "count": count,
        **{
            name: getattr(said, name)
            for name in (
                "verdict",
                "value",
                "fact",
                "counts",
                "interval",
                "q_value",
                "backtest",
                "moment",
                "stretch",
                "checked",
                "changed",
            )
        },
    }


def _gaps(report: Report) -> str:
    silent_ns = sum(g.span.to_ns - g.span.from_ns for g in report.gaps)
    share = silent_ns / max(1, report.period.to_ns - report.period.from_ns)
    return (
        f"For {duration(silent_ns)} ({percent(share, 0)} of the period) no telemetry arrived; they were not assessed."
    )


def markdown_text(text: object) -> str:
    """Return *text* so that Markdown shows it as it is: no markup, link, mention, heading or list comes of it."""
    shown = _REPLACED.sub(rf"\1{_JOINER}", visible(str(text)))
    return _LINE.sub(r"\1\\\2", _MARKS.sub(r"\\\1", shown.strip()))


def _html_text(text: object) -> object:
    return visible(text) if type(text) is str else text


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text[:1].upper()}{text[1:]}."


@lru_cache(maxsize=3)
def _environment(kind: str) -> Environment:
    """Return the template engine for a kind of output; everything a template prints goes through its escape."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def into_markdown(text: object) -> object:
        return text if isinstance(text, Markup) else Markup(markdown_text(text))  # noqa: S704 -- escaped just there

    finalize: dict[str, Callable[[object], object]] = {"html": _html_text, "markdown": into_markdown}
    engine = Environment(
        loader=PackageLoader("collector.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize.get(kind),
    )
    engine.filters["sentence"] = _sentence
    engine.filters["url"] = Markup  # built by Links: percent-encoded, nothing of Markdown is left in it
    return engine
