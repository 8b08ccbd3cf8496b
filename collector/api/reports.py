"""Routes for reports: list, read, make one now, what comes next, where they went, and what people say of anomalies."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.api import form
from collector.control import Control
from collector.model.asked import Ask, Preview
from collector.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from collector.model.report import Report

FORMATS = ("json", "html", "md")
_TYPES = {"json": "application/json", "html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8"}
_MOST_BODY = 10_000
_MOST_ROWS = 1_000
_DEFAULT_SINCE = "24h"
_KEY = re.compile(r"[0-9A-Za-z._:-]{1,64}")


class Desk(Protocol):
    """Who makes reports."""

    def make(self, ask: Ask) -> tuple[Report, list[Preview]]:
        """Make a report now; keep it and owe it to channels, unless it is a dry run. BadInput: no such schedule."""
        ...

    def upcoming(self, now_ns: int, n: int) -> list[dict[str, Any]]:
        """Return by schedule its next *n* firings and what they cover."""
        ...


def routes(control: Control, desk: Desk, dashboard: str | None) -> list[Route]:
    """Return the routes. *dashboard*: where links in reports lead, unless a request names another."""

    async def listed(request: Request) -> Response:
        """Answer the newest reports."""
        given = _parameters(request, "schedule", "limit")
        limit = form.count(given.get("limit", "50"), "limit", 1, _MOST_ROWS)
        rows = await run_in_threadpool(lambda: control.reports(given.get("schedule"), limit))
        return _json([asdict(row) for row in rows])

    async def one(request: Request) -> Response:
        """Answer one report in a form."""
        given = _parameters(request, "dashboard")
        report_id, kind = request.path_params["id"], request.path_params.get("format", "json")
        if kind not in FORMATS:
            raise NotFound(f"reports come as {', '.join(FORMATS)}, not as {kind[:20]!r}")
        report = await run_in_threadpool(lambda: control.report(report_id))
        if report is None:
            raise NotFound(f"no report {report_id[:60]!r} is kept here, or it is of another version's shape")
        text = await run_in_threadpool(lambda: rendered(report, kind, given.get("dashboard", dashboard)))
        return _page(text, kind)

    async def upcoming(request: Request) -> Response:
        """Answer when each schedule comes round next."""
        given = _parameters(request, "n")
        n = form.count(given.get("n", "3"), "n", 1, 100)
        return _json(await run_in_threadpool(lambda: desk.upcoming(time.time_ns(), n)))

    async def make(request: Request) -> Response:
        """Make a report now."""
        given = await _object(request, "schedule", "since", "until", "deliver", "dry_run", "format")
        kind = _one_of(given, "format", FORMATS, "json")
        ask = _ask(given, time.time_ns())
        report, previews = await run_in_threadpool(lambda: desk.make(ask))
        text = await run_in_threadpool(lambda: rendered(report, kind, dashboard)) if kind != "json" else None
        answer = {
            "saved": not ask.dry_run,
            "deliveries": [asdict(p) for p in previews],
            "report": report.model_dump(mode="json"),
            "rendered": text,
        }
        return _json(answer, 200 if ask.dry_run else 201)

    async def deliveries(request: Request) -> Response:
        """Answer where reports went, the latest first."""
        given = _parameters(request, "report", "limit")
        limit = form.count(given.get("limit", "100"), "limit", 1, _MOST_ROWS)
        found = await run_in_threadpool(lambda: control.deliveries(given.get("report"), limit))
        return _json([asdict(d) for d in found])

    async def firings(request: Request) -> Response:
        """Answer which firings were made, skipped or failed, the latest first."""
        given = _parameters(request, "schedule", "limit")
        limit = form.count(given.get("limit", "100"), "limit", 1, _MOST_ROWS)
        found = await run_in_threadpool(lambda: control.firings(given.get("schedule"), limit=limit))
        return _json([asdict(f) for f in found])

    async def feedback(request: Request) -> Response:
        """Answer what was said of anomalies."""
        _parameters(request)
        return _json([asdict(f) for f in await run_in_threadpool(control.feedback)])

    async def say(request: Request) -> Response:
        """Remember that an anomaly is expected, or take that back."""
        given = await _object(request, "key", "expected", "note", "until")
        key, note = given.get("key"), given.get("note", "")
        if not (isinstance(key, str) and _KEY.fullmatch(key)):
            raise BadInput("expected the key of an anomaly, as its report has it", field="key")
        if not isinstance(note, str) or len(note) > 500:
            raise BadInput("expected a text of at most 500 characters", field="note")
        until, now_ns = given.get("until"), time.time_ns()
        until_ns = None if until is None else form.moment(str(until), "until", now_ns)
        if _yes(given, "expected", True):
            act: Callable[[], None] = lambda: control.save_feedback(key, note, until_ns, now_ns)  # noqa: E731
        else:
            act = lambda: control.forget_feedback(key)  # noqa: E731
        await run_in_threadpool(act)
        return _json([asdict(f) for f in await run_in_threadpool(control.feedback)])

    base = "/api/v1/reports"
    return [
        Route(base, listed),
        Route(base, make, methods=["POST"]),
        Route(f"{base}/next", upcoming),
        Route(f"{base}/deliveries", deliveries),
        Route(f"{base}/firings", firings),
        Route(f"{base}/feedback", feedback),
        Route(f"{base}/feedback", say, methods=["POST"]),
        Route(base + "/{id:str}.{format:str}", one),
        Route(base + "/{id:str}", one),
    ]


def rendered(report: Report, kind: str, dashboard: str | None) -> str:
    """Return *report* as json, html or md, with links to *dashboard*."""
    from collector.report import render  # Vega is heavy

    if kind == "html":
        return render.html(report, dashboard)
    return render.markdown(report, dashboard) if kind == "md" else render.json(report)


def _ask(given: dict[str, Any], now_ns: int) -> Ask:
    schedule = given.get("schedule")
    if schedule is not None and not isinstance(schedule, str):
        raise BadInput("expected the name of a schedule", field="schedule")
    since, until = given.get("since"), given.get("until")
    period = None
    if schedule is None or since is not None or until is not None:
        to_ns = now_ns if until is None else form.moment(str(until), "until", now_ns)
        # A length counts back from the end of the period.
        from_ns = form.moment(str(since if since is not None else _DEFAULT_SINCE), "since", to_ns)
        if not 0 <= from_ns < to_ns <= now_ns:
            raise BadInput("expected a time before until, and until not in the future", field="since")
        if to_ns - from_ns > 31 * 86_400 * 10**9:
            raise BadInput("expected a period of 31 days at most", field="since")
        period = (from_ns, to_ns)
    deliver = _yes(given, "deliver", False)
    if deliver and schedule is None:
        raise BadInput("a report goes to the channels of its schedule; name one", field="deliver")
    return Ask(schedule, period, deliver, _yes(given, "dry_run", False))


def _parameters(request: Request, *known: str) -> dict[str, str]:
    given = dict(request.query_params)
    if unknown := sorted(set(given) - set(known)):
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise BadInput(f"no such parameter; {there}", field=unknown[0][:60])
    return given


async def _object(request: Request, *known: str) -> dict[str, Any]:
    """Return the JSON object of a request that changes something.

    Its content type must say so: a foreign web page cannot send that without asking first, and nobody tells it yes.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadInput("expected application/json", field="content-type")
    sent = await request.body()
    if len(sent) > _MOST_BODY:
        raise BadInput(f"longer than {_MOST_BODY} bytes", field="body")
    try:
        given = json.loads(sent or b"{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise BadInput(f"expected a JSON object with {', '.join(known)}", field="body")
    if unknown := sorted(set(given) - set(known)):
        raise BadInput(f"no such field; there are {', '.join(known)}", field=unknown[0][:60])
    return given


def _yes(given: dict[str, Any], field: str, default: bool) -> bool:
    value = given.get(field, default)
    if not isinstance(value, bool):
        raise BadInput("expected true or false", field=field)
    return value


def _one_of(given: dict[str, Any], field: str, choices: tuple[str, ...], default: str) -> str:
    value = given.get(field, default)
    if value not in choices:
        raise BadInput(f"expected one of {', '.join(choices)}", field=field)
    return str(value)


def _json(value: Any, status: int = 200) -> Response:
    return Response(form.json_bytes(value), status_code=status, media_type="application/json")


def _page(text: str, kind: str) -> Response:
    headers = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    if kind == "html":
        from collector.report import render

        headers["content-security-policy"] = f"{render.policy()}; frame-ancestors 'none'; sandbox"
    return Response(text, media_type=_TYPES[kind], headers=headers)
