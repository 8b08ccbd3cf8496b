"""What of a report is sent: a subject, a short text for chat, pages for mail, JSON for webhooks, a picture."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from collector.model.report import Report
from collector.model.shown import visible
from collector.model.verdict import stretch, verdict
from collector.report import charts, render

PICTURE_ADDRESS = "cid:chart"
_MOST_SUBJECT = 150
_JOINER = "\u2060"
_ACTIVE = re.compile(r"([@#](?=\S)|:(?=//)|www(?=\.))", re.IGNORECASE)
_MARKUP = re.compile(r"[<>`*|]|(?<![A-Za-z0-9])[_~]|[_~](?![A-Za-z0-9])")
_ALIKE = str.maketrans("<>`*|_~", "\u2039\u203a'\u2217\u2223\u02cd\u223c")
"""What chat programs take for markup, and characters that look like it. Names such as send_mail stay as they are."""


@dataclass(frozen=True)
class Message:
    """One report as it is sent. *key* is the same each time it is sent to a channel, and no other report has it."""

    report: Report
    key: str
    dashboard: str | None = None

    @cached_property
    def subject(self) -> str:
        """Return one line: the schedule, and what is most worth knowing."""
        line = f"{self.report.schedule}: {visible(verdict(self.report))}"
        return line if len(line) <= _MOST_SUBJECT else f"{line[: _MOST_SUBJECT - 1]}…"

    @cached_property
    def link(self) -> str | None:
        """Return where the report can be read; None when no dashboard is known."""
        return render.Links(self.dashboard).report(self.report)

    @cached_property
    def chat(self) -> str:
        """Return a few lines for chat. Text of telemetry makes no mention, link or markup in them."""
        report, links = self.report, render.Links(self.dashboard)
        lines = [
            inert(verdict(report)),
            inert(f"{stretch(report.period, report.zone, year=True)}, times in {report.zone}"),
        ]
        for n, a in enumerate(report.anomalies, 1):
            lines.append(f"{n}. {inert(a.title)} ({a.state})")
            lines += [to] if (to := links.report(report, a)) else []
        lines += [f"{report.more} more are not shown."] if report.more else []
        lines += [self.link] if self.link else []
        return "\n".join(lines)

    @cached_property
    def text(self) -> str:
        """Return the whole report as Markdown, for mail programs that show text."""
        return render.markdown(self.report, self.dashboard)

    @cached_property
    def mail(self) -> str:
        """Return the page a mail shows."""
        return render.mail(self.report, self.dashboard, PICTURE_ADDRESS if self.picture else None)

    @cached_property
    def page(self) -> str:
        """Return the whole report as a page that stands alone."""
        return render.html(self.report, self.dashboard)

    @cached_property
    def picture(self) -> bytes | None:
        """Return the first chart as PNG; None when there is none."""
        anomaly = render.pictured(self.report)
        if anomaly is None or anomaly.chart is None:
            return None
        return charts.png(anomaly.chart, anomaly.span, self.report.zone, anomaly.title)

    @cached_property
    def body(self) -> bytes:
        """Return what a webhook gets: the same bytes each time it is sent."""
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.report.as_of_ns // 1000)
        return json.dumps(
            {
                "type": "runwell.report",
                "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "data": {
                    "title": self.subject,
                    "url": self.link,
                    "report": json.loads(render.json(self.report, self.dashboard)),
                },
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()

    @property
    def stem(self) -> str:
        """Return the beginning of file names."""
        return f"runwell-{re.sub(r'[^a-z0-9]+', '-', self.report.schedule.lower()).strip('-')}-{self.report.id}"


def inert(text: str) -> str:
    """Return *text* so that no chat program makes a mention, a link or markup of it."""
    plain = _MARKUP.sub(lambda m: m[0].translate(_ALIKE), visible(text))
    return _ACTIVE.sub(rf"\1{_JOINER}", plain)
